"""What is known about a data set, where it is, and whether it is what it should be."""

from dataclasses import dataclass
from pathlib import Path

from saddlepoint.data.fetch import known_set, locate
from saddlepoint.data.known import load_known
from saddlepoint.data.load import load_data
from saddlepoint.data.registry import DATASETS

__all__ = ["DataCheck", "DataStatus", "check", "status"]


@dataclass(frozen=True)
class DataStatus:
    """One line of ``saddlepoint data list``; ``where`` is None until the files are here.

    ``ready`` says whether loading needs no network: the files are here or ship with a package.
    ``source`` is who made it, ``terms`` are those of its use; ``shape`` is one sample's,
    ``n_train`` and ``n_test`` say how many there are.
    """

    name: str
    where: Path | None
    ready: bool
    source: str
    shape: tuple[int, ...]
    classes: int
    n_train: int
    n_test: int
    terms: str


@dataclass(frozen=True)
class DataCheck:
    """A data set that passed its check: the hashes of its content and what was verified.

    ``train_sha256`` is None where there is no training split, ``test_sha256`` is that of the test
    split, and ``notes`` say what was compared with what.
    """

    name: str
    where: Path | None
    shape: tuple[int, ...]
    classes: int
    train_sha256: str | None
    test_sha256: str
    notes: tuple[str, ...]


def status(name: str) -> DataStatus:
    """Return what is known about a data set by name, without reading or fetching anything.

    Raises ``Invalid`` for an unknown name.

    >>> found = status("digits")
    >>> found.ready, found.where, found.n_test
    (True, None, 500)
    """
    known = known_set(name)
    paths = locate(known)
    return DataStatus(
        name=known.name,
        where=_place(paths),
        ready=bool(paths) or not known.files,
        source=known.source,
        shape=known.shape,
        classes=known.classes,
        n_train=known.n_train,
        n_test=known.n_test,
        terms=known.terms,
    )


def _place(paths: tuple[Path, ...]) -> Path | None:
    if not paths:
        return None
    return paths[0] if len(paths) == 1 else paths[0].parent


def check(name_or_path: str, progress: bool = True) -> DataCheck:
    """Read a whole data set, compare it with what is on record, and return its hashes.

    name_or_path: as ``load_data`` takes it. Raises ``BadData`` that names what was recorded and
    what was found when they differ, and ``Invalid`` for an unknown name. A file or folder of your
    own has no record: it is read, checked for consistency, and hashed.

    >>> check("digits").notes
    ("built from scikit-learn's copy",)
    """
    where: Path | None
    if name_or_path.lower() in DATASETS:
        known = known_set(name_or_path)
        data, notes = load_known(known, progress)
        where = _place(locate(known))
    else:
        data, notes = load_data(name_or_path), ("consistent; no record to compare with",)
        where = Path(name_or_path).expanduser()
    train = data.split("train").sha256() if len(data.y_train) else None
    test = data.split("test").sha256()
    return DataCheck(data.name, where, data.shape, data.classes, train, test, notes)
