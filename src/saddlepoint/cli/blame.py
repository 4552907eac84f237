"""Whose code an error comes from: ours, or that of a component of the user's own."""

import os
import sysconfig
import traceback
from pathlib import Path

import saddlepoint

__all__ = ["culprit"]

_OURS = str(Path(saddlepoint.__file__).parent) + os.sep
_PYTHON = sysconfig.get_path("stdlib") + os.sep
_INSTALLED = ("site-packages", "dist-packages")


def culprit(error: BaseException) -> str | None:
    """Return ``file, line N, in name`` of the user's own line that raised; None where it is ours.

    That is the last line outside Python's library and installed packages, if it comes after one of
    ours: what we called, and not who called us.

    >>> culprit(ValueError("raised nowhere"))
    """
    asked, found = False, None
    for frame in traceback.extract_tb(error.__traceback__):
        path = frame.filename
        if path.startswith(_OURS):
            asked, found = True, None
        elif asked and not _installed(path):
            found = f"{path}, line {frame.lineno}, in {frame.name}"
    return found


def _installed(path: str) -> bool:
    made = "torchinductor"  # torch.compile writes code of its own
    parts = Path(path).parts
    return path.startswith((_PYTHON, "<")) or any(p in _INSTALLED or made in p for p in parts)
