"""What an audit says while it runs: one line for each attack that has finished."""

import sys
from collections.abc import Callable

__all__ = ["Progress", "heard", "line_after"]

# (attack's name, samples done, samples to do in this round, broken so far). The stages of a
# verification, whose names begin with "verify" or "sandwich", count what is certified instead.
Progress = Callable[[str, int, int, int], None]
_SILENT = ("figures", "sandwich", "radius")


def line_after(name: str, done: int, todo: int, count: int, total: int) -> str:
    """One line when ``name`` has done all, else nothing; a verification counts what is proved.

    >>> line_after("PGD()", 40, 40, 10, 50)
    'robust accuracy after PGD(): 80.00 %'
    >>> line_after("PGD()", 30, 40, 10, 50)
    ''
    """
    if done != todo or name.startswith(_SILENT):
        return ""
    if name.startswith("verify"):
        return f"certified accuracy after {name}: {100 * count / total:.2f} %"
    what = "clean accuracy" if name == "clean" else f"robust accuracy after {name}"
    return f"{what}: {100 * (1 - count / total):.2f} %"


def heard(progress: Progress | bool | None, total: int) -> Progress:
    """Return who is told: a function as it is; True, the standard error; else nobody."""

    def write(name: str, done: int, todo: int, count: int) -> None:
        if line := line_after(name, done, todo, count, total):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    return write if progress is True else progress or (lambda *_: None)
