"""Folders of images, one subfolder per class."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from saddlepoint.core.errors import BadData
from saddlepoint.data.dataset import Dataset
from saddlepoint.data.files import SUFFIXES, ImageFiles
from saddlepoint.data.order import spread

__all__ = ["load_folder"]


def load_folder(root: Path) -> Dataset:
    """Return the images under ``root/test/<class>/`` (and ``root/train/<class>/``), read lazily.

    Without a folder ``test``, ``root/<class>/`` is the test split. Classes are numbered in order of
    their names. Samples come in a fixed shuffled order, so that the first n hold every class.
    Raises ``BadData`` for a layout without classes, a class without images, images that differ in
    size or mode, and files that are not readable images.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat", "dog"):
    ...         (Path(folder) / name).mkdir()
    ...         Image.new("RGB", (4, 3)).save(Path(folder) / name / "1.png")
    ...     data = load_folder(Path(folder))
    >>> data.shape, data.label_names
    ((3, 3, 4), ('cat', 'dog'))
    """
    split = (root / "test").is_dir()
    test = _classes(root / "test" if split else root)
    train = _classes(root / "train") if split and (root / "train").is_dir() else {}
    if train and (strays := sorted(test.keys() - train.keys())):
        raise BadData(
            f"{root}: test has classes that train has not: {', '.join(strays)}; "
            f"train has {', '.join(sorted(train))}"
        )
    names = tuple(sorted(train or test))
    x_test, y_test = _rows(root, test, names)
    x_train, y_train = _rows(root, train, names) if train else (x_test[:0], y_test[:0])
    return Dataset(root.resolve().name, x_train, y_train, x_test, y_test, len(names), names)


def _classes(folder: Path) -> dict[str, list[Path]]:
    """Return the images of every class, by the class's name."""
    try:
        found = {
            entry.name: sorted(p for p in entry.iterdir() if p.suffix.lower() in SUFFIXES)
            for entry in sorted(folder.iterdir())
            if entry.is_dir() and not entry.name.startswith(".")
        }
    except OSError as error:
        raise BadData(f"{folder} cannot be read: {error.strerror}") from error
    if len(found) < 2:
        raise BadData(
            f"{folder}: found {len(found)} class folders, at least 2 are needed: "
            "lay it out as <class>/<image>.png, or test/<class>/<image>.png and train/<class>/…"
        )
    for name, paths in found.items():
        if not paths:
            raise BadData(f"{folder / name}: no images ({' '.join(SUFFIXES)}) in this class")
    return found


def _rows(
    root: Path, found: dict[str, list[Path]], names: tuple[str, ...]
) -> tuple[ImageFiles, NDArray[np.int64]]:
    pairs = [(path, label) for label, name in enumerate(names) for path in found.get(name, [])]
    keys = [path.relative_to(root).as_posix() for path, _ in pairs]
    order = spread(keys, [label for _, label in pairs])
    labels = np.array([pairs[i][1] for i in order], dtype=np.int64)
    return ImageFiles([pairs[i][0] for i in order]), labels
