"""Finding the files of a known data set, and downloading those that are nowhere to be found."""

import functools
from pathlib import Path

from saddlepoint.core.errors import BadData, Invalid, closest
from saddlepoint.data.download import download
from saddlepoint.data.places import cache_folder, search_folders
from saddlepoint.data.registry import DATASETS, KnownSet

__all__ = ["fetch", "known_set", "locate"]


def known_set(name: str) -> KnownSet:
    """Return the data set called ``name``, in any case; ``Invalid`` with a suggestion otherwise.

    >>> known_set("minst")
    Traceback (most recent call last):
    saddlepoint.core.errors.Invalid: data = 'minst': must be a known data set, ...
    """
    found = DATASETS.get(name.lower())
    if found is None:
        allowed = "a known data set, an .npz file, or a folder of images"
        raise Invalid("data", name, allowed, closest(name, DATASETS))
    return found


def locate(known: KnownSet) -> tuple[Path, ...]:
    """Return the ``.npz`` or the official files of a data set, or nothing if it is not here.

    Looked in are ``$SADDLEPOINT_DATA`` and the cache, and in each a subfolder of that name.
    """
    if not known.files:
        return ()
    for folder in search_folders(known.name):
        if (npz := folder / f"{known.name}.npz").is_file():
            return (npz,)
        raw = tuple(folder / file.name for file in known.files)
        if all(path.is_file() for path in raw):
            return raw
    return ()


def fetch(name: str, progress: bool = True) -> tuple[Path, ...]:
    """Return the files of data set ``name``, downloading them into the cache where needed.

    Nothing is downloaded when they are in ``$SADDLEPOINT_DATA`` or the cache, or when the data set
    ships with a package (the result is then empty). ``progress`` shows a bar on standard error.
    Raises ``Invalid`` for an unknown name, ``BadData`` when the files cannot be had: it then names
    every address that failed and says where to put the files by hand.

    >>> fetch("digits")
    ()
    """
    known = known_set(name)
    present = locate(known)
    if present or not known.files:
        return present
    folder = cache_folder() / known.name
    try:
        return _fetch_all(known, folder, progress)
    except BadData as error:
        raise BadData(f"{error}\n{_by_hand(known)}") from error


def _fetch_all(known: KnownSet, folder: Path, progress: bool) -> tuple[Path, ...]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    paths = []
    with Progress(*columns, console=Console(stderr=True), disable=not progress) as bar:
        for file in known.files:
            if (here := folder / file.name).is_file():  # from a fetch that was interrupted
                paths.append(here)
                continue
            task = bar.add_task(file.name, total=file.size)
            paths.append(download(file, folder, functools.partial(bar.advance, task)))
    return tuple(paths)


def _by_hand(known: KnownSet) -> str:
    files = " and ".join(file.name for file in known.files)
    looked = "\n".join(f"  {folder}" for folder in search_folders(known.name))
    return (
        f"{known.name} was looked for in\n{looked}\n"
        f"To use it offline, put {known.name}.npz (x_train, y_train, x_test, y_test), or {files}, "
        "into a folder and set SADDLEPOINT_DATA to it."
    )
