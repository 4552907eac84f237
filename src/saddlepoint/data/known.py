"""Known data sets, loaded and compared with what is on record about them."""

from pathlib import Path

import numpy as np

from saddlepoint.core.errors import BadData
from saddlepoint.data.dataset import Dataset
from saddlepoint.data.digits import load_digits
from saddlepoint.data.download import file_sha256
from saddlepoint.data.fetch import fetch
from saddlepoint.data.npz import load_npz
from saddlepoint.data.registry import KnownSet

__all__ = ["load_known"]


def load_known(known: KnownSet, progress: bool = True) -> tuple[Dataset, tuple[str, ...]]:
    """Return the data set and what was verified about it, in words.

    Raises ``BadData`` when a checksum, a shape or a label count is not the one on record.
    """
    if known.read is None:
        return load_digits(), ("built from scikit-learn's copy",)
    paths = fetch(known.name, progress)
    if paths[0].suffix == ".npz":
        data = load_npz(paths[0], known.name)
        notes = _compare(known, data, paths[0])
    else:
        _verify_files(known, paths)
        x_train, y_train, x_test, y_test = known.read(paths)
        y_train, y_test = y_train.astype(np.int64), y_test.astype(np.int64)
        data = Dataset(known.name, x_train, y_train, x_test, y_test, known.classes)
        notes = (f"sha256 of {len(paths)} official files as published",)
    names = known.label_names
    full = Dataset(
        known.name, data.x_train, data.y_train, data.x_test, data.y_test, known.classes, names
    )
    return full, notes


def _verify_files(known: KnownSet, paths: tuple[Path, ...]) -> None:
    for path, file in zip(paths, known.files, strict=True):
        if (found := file_sha256(path)) != file.sha256:
            raise BadData(
                f"{path}: sha256 is {found}, expected {file.sha256}: "
                "it was altered or is incomplete; delete it and fetch it again"
            )


def _compare(known: KnownSet, data: Dataset, path: Path) -> tuple[str, ...]:
    by_path = f"to use it all the same, load it by its path, {path}"
    found = (len(data.y_train), len(data.y_test), data.shape)
    expected = (known.n_train, known.n_test, known.shape)
    if found != expected:
        raise BadData(
            f"{path}: (train, test, shape) is {found}, but {known.name} has {expected}; {by_path}"
        )
    if known.content is not None:
        for half, recorded in zip(("train", "test"), known.content, strict=True):
            if (sha256 := data.split(half).sha256()) != recorded:
                raise BadData(
                    f"{path}: the {half} split is not the official {known.name}: sha256 of its "
                    f"content is {sha256}, recorded is {recorded}; {by_path}"
                )
        return ("content and order as published (sha256)",)
    counts = np.bincount(np.concatenate([data.y_train, data.y_test]), minlength=known.classes)
    each = (known.n_train + known.n_test) // known.classes
    if counts.tolist() != [each] * known.classes:
        raise BadData(
            f"{path}: samples per class are {counts.tolist()}, but {known.name} has "
            f"{each} of each; {by_path}"
        )
    return (f"shapes and label counts ({each} per class) as published", "order not checked")
