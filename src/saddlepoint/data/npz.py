"""NumPy archives: arrays x_train, y_train, x_test, y_test, read without unpickling anything."""

import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saddlepoint.core.errors import BadData
from saddlepoint.data.dataset import Dataset

__all__ = ["load_npz"]

_KEYS = ("x_train", "y_train", "x_test", "y_test")
_CHANNELS = (1, 3, 4)
_DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    SyntaxError,
    NotImplementedError,  # a compression or zip version that nobody writes
    RuntimeError,  # an encrypted member
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
)


def load_npz(path: Path, name: str | None = None) -> Dataset:
    """Read an ``.npz`` with x_test and y_test, and x_train and y_train for a training set.

    Samples are uint8 or float in [0, 1]: (N, C, H, W), (N, H, W, C) with C in {1, 3, 4}, (N, H, W),
    or (N, features); labels are whole numbers from 0. Images come back as NCHW.
    Raises ``BadData`` for a file that is missing, truncated, holds Python objects, lacks a key, or
    whose arrays do not fit together.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "toy.npz"
    ...     np.savez(path, x_test=np.zeros((3, 8, 8, 3), dtype=np.uint8), y_test=[0, 2, 1])
    ...     load_npz(path).shape
    (3, 8, 8)
    """
    name = name or path.stem
    arrays = _read(path)
    _check_keys(path, arrays)
    for half in ("train", "test"):
        if f"x_{half}" in arrays:
            arrays[f"x_{half}"] = _samples(f"{path}: x_{half}", arrays[f"x_{half}"])
            arrays[f"y_{half}"] = _labels(f"{path}: y_{half}", arrays[f"y_{half}"])
    x_test, y_test = arrays["x_test"], arrays["y_test"]
    if not len(y_test):
        raise BadData(f"{path}: x_test is empty: there is nothing to audit")
    x_train = arrays.get("x_train", x_test[:0])
    y_train = arrays.get("y_train", y_test[:0])
    largest = max(int(y.max(initial=0)) for y in (y_train, y_test))
    return Dataset(name, x_train, y_train, x_test, y_test, classes=max(largest + 1, 2))


def _read(path: Path) -> dict[str, NDArray[Any]]:
    """Return the four arrays that are there; other members of the archive are not even opened."""
    if not path.is_file():
        raise BadData(f"{path}: no such file")
    try:
        # Opened here, as np.load leaves the file open when its content is damaged.
        with path.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise BadData(f"{path}: one array, not an archive: write it with np.savez")
            with archive:
                found = {key: archive[key] for key in _KEYS if key in archive.files}
                others = [key for key in archive.files if key not in _KEYS]
    except MemoryError as error:
        raise BadData(
            f"{path}: an array in it claims a size beyond this machine's memory"
        ) from error
    except BadData:
        raise
    except _DAMAGE as error:
        raise BadData(f"{path}: {_reason(error)}") from error
    if not found:
        there = ", ".join(sorted(others)) or "nothing"
        raise BadData(f"{path}: must hold x_test and y_test, but holds {there}")
    return found


def _reason(error: Exception) -> str:
    if "allow_pickle" in str(error) or "pickle" in str(error).lower():
        return (
            "holds pickled Python objects, which could run code when read, so it was not read: "
            "save plain arrays, for example np.savez(path, x_test=np.stack(images), y_test=labels)"
        )
    if isinstance(error, PermissionError):
        return "may not be read: check its permissions"
    return f"truncated or corrupt ({error or type(error).__name__}): fetch or write it again"


def _check_keys(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    for half in ("test", "train"):
        have = [key for key in (f"x_{half}", f"y_{half}") if key in arrays]
        if len(have) == 1 or (half == "test" and not have):
            lacks = " and ".join(k for k in (f"x_{half}", f"y_{half}") if k not in have)
            raise BadData(f"{path}: lacks {lacks}; it holds {', '.join(sorted(arrays))}")


def _samples(name: str, x: NDArray[Any]) -> NDArray[Any]:
    """Return x as uint8 or float32 with the channels first."""
    if x.dtype.kind == "f":
        x = x.astype(np.float32, copy=False)
    elif x.dtype != np.uint8:
        raise BadData(
            f"{name} has dtype {x.dtype}: must be uint8 (0..255) or float in [0, 1], "
            "so that there is no doubt about its scale"
        )
    if x.ndim not in (2, 3, 4):
        raise BadData(
            f"{name} has shape {x.shape}: must be (N, C, H, W), (N, H, W, C), (N, H, W) "
            "or (N, features)"
        )
    if 0 in x.shape[1:]:
        raise BadData(f"{name} has shape {x.shape}: a sample must not be empty")
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and x.shape[3] in _CHANNELS and x.shape[1] not in _CHANNELS:
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    return x


def _labels(name: str, y: NDArray[Any]) -> NDArray[np.int64]:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2:
        raise BadData(f"{name} has shape {y.shape}: must be (N,); for one-hot rows take argmax(1)")
    if y.ndim != 1:
        raise BadData(f"{name} has shape {y.shape}: must be (N,)")
    if y.dtype.kind not in "iu":
        raise BadData(f"{name} has dtype {y.dtype}: labels must be whole numbers (int64)")
    if y.size and (int(y.min()) < 0 or int(y.max()) > 2**31):
        raise BadData(f"{name} has labels from {y.min()} to {y.max()}: they must count from 0")
    return y.astype(np.int64)
