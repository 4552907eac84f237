"""Where data sets lie: the folder the user names, then the cache."""

import os
from pathlib import Path

from saddlepoint.core.errors import Invalid

__all__ = ["cache_folder", "data_folder", "search_folders"]


def data_folder() -> Path | None:
    """Return the folder named by ``$SADDLEPOINT_DATA``, or None when it is not set.

    It is looked in first and never written to. Raises ``Invalid`` when it is not a folder.
    """
    named = os.environ.get("SADDLEPOINT_DATA", "")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise Invalid("SADDLEPOINT_DATA", named, "an existing folder", "create it, or unset it")
    return folder


def cache_folder() -> Path:
    """Return the folder downloads go to; it may not exist yet.

    >>> cache_folder().name
    'saddlepoint'
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "saddlepoint"


def search_folders(name: str) -> list[Path]:
    """Return the folders in which the files of data set ``name`` may lie, first choice first."""
    named = data_folder()
    roots = [named] if named else []
    return [folder for root in [*roots, cache_folder()] for folder in (root, root / name)]
