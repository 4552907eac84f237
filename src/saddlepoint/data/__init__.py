"""Data sets: known ones by name, archives, folders of images; bytes in, floats in [0, 1] out."""

from saddlepoint.data.dataset import Dataset
from saddlepoint.data.fetch import fetch
from saddlepoint.data.load import load_data
from saddlepoint.data.places import cache_folder, data_folder
from saddlepoint.data.registry import DATASETS, KnownSet
from saddlepoint.data.split import Split
from saddlepoint.data.status import DataCheck, DataStatus, check, status

__all__ = [
    "DATASETS",
    "DataCheck",
    "DataStatus",
    "Dataset",
    "KnownSet",
    "Split",
    "cache_folder",
    "check",
    "data_folder",
    "fetch",
    "load_data",
    "status",
]
