"""A stand-in for RobustBench 1.1.1 with its public interface, and checkpoints as it reads them.

The package itself needs torchvision, which does not import beside torch for the CPU. Names,
signatures, folders and ``torch.load`` are as in its robustbench/utils.py; the nets are small.
"""

from pathlib import Path

__all__ = ["write_package"]

_UTILS = """
import os
from pathlib import Path

import torch

from robustbench.model_zoo import model_dicts
from robustbench.model_zoo.enums import BenchmarkDataset, ThreatModel


def load_model(
    model_name,
    model_dir="./models",
    dataset=BenchmarkDataset.cifar_10,
    threat_model=ThreatModel.Linf,
    custom_checkpoint="",
    norm=None,
):
    dataset, threat_model = BenchmarkDataset(dataset), ThreatModel(threat_model)
    path = Path(model_dir) / dataset.value / threat_model.value / f"{model_name}.pt"
    model = model_dicts[dataset][threat_model][model_name]["model"]()
    if not os.path.isfile(path):
        raise ConnectionError("no network in a test")
    checkpoint = torch.load(path, map_location="cpu", weights_only=False)
    model.load_state_dict(checkpoint["state_dict"])
    return model.train()
"""
_ENUMS = """
from enum import Enum


class BenchmarkDataset(Enum):
    cifar_10 = "cifar10"
    cifar_100 = "cifar100"
    imagenet = "imagenet"


class ThreatModel(Enum):
    Linf = "Linf"
    L2 = "L2"
    corruptions = "corruptions"
    corruptions_3d = "corruptions_3d"
"""
_ZOO = """
from torch import nn

from robustbench.model_zoo.enums import BenchmarkDataset, ThreatModel


def small():
    return nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(48, 10))


model_dicts = {
    BenchmarkDataset.cifar_10: {
        ThreatModel.Linf: {
            "Small2026_WRN-28-10": {"model": small, "gdrive_id": "x"},
            "Absent2026": {"model": small, "gdrive_id": "x"},
        }
    }
}
"""


def write_package(folder: Path) -> Path:
    """Write ``robustbench`` into a folder for ``sys.path``; return that folder."""
    files = {
        "__init__.py": "from .utils import load_model\n",
        "utils.py": _UTILS,
        "model_zoo/__init__.py": _ZOO,
        "model_zoo/enums.py": _ENUMS,
    }
    for name, text in files.items():
        path = folder / "robustbench" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
