"""One way in: a name, an archive or a folder becomes a data set."""

from pathlib import Path

from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.data.dataset import Dataset
from saddlepoint.data.fetch import known_set
from saddlepoint.data.folder import load_folder
from saddlepoint.data.known import load_known
from saddlepoint.data.npz import load_npz
from saddlepoint.data.registry import DATASETS

__all__ = ["load_data"]


def load_data(name_or_path: str | Path, progress: bool = True) -> Dataset:
    """Return the data set called, or stored at, ``name_or_path``.

    A known name (``digits``, ``mnist``, ``cifar10``) is looked for in ``$SADDLEPOINT_DATA``, then
    in the cache, then downloaded; it is compared with what is on record. Otherwise an ``.npz`` file
    or a folder of images. Raises ``Invalid`` for what is neither, ``BadData`` for what is broken.

    >>> load_data("digits").shape
    (1, 8, 8)
    """
    name, path = str(name_or_path), Path(name_or_path).expanduser()
    if isinstance(name_or_path, str) and name.lower() in DATASETS:
        return load_known(known_set(name), progress)[0]
    if path.is_dir():
        return load_folder(path)
    if path.suffix.lower() == ".npz":
        return load_npz(path)
    if path.exists():
        hint = 'numpy.savez("data.npz", x_test=x, y_test=y) writes one'
        raise Invalid("data", name, "a known data set, an .npz file, or a folder of images", hint)
    if len(path.parts) > 1:
        raise BadData(f"{path}: no such file or folder")
    known_set(name)  # raises, with the nearest name
    raise BadData(f"{path}: no such file or folder")
