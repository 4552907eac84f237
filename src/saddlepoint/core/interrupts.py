"""Ctrl-C, also where a library has made another error of it."""

import contextlib
from collections.abc import Iterator

__all__ = ["forget", "interrupt_behind", "interrupts", "is_told", "told"]


def interrupt_behind(error: BaseException) -> KeyboardInterrupt | None:
    """Return the Ctrl-C that an error is, or came of.

    Stopped while it is loaded, a compiled module raises an ``ImportError``; stopped in the middle
    of an archive, ``zipfile`` raises a ``ValueError``.

    >>> error = ImportError("initialization failed")
    >>> error.__cause__ = KeyboardInterrupt()
    >>> interrupt_behind(error)
    KeyboardInterrupt()
    """
    return next((e for e in _chain(error) if isinstance(e, KeyboardInterrupt)), None)


def _chain(error: BaseException) -> list[BaseException]:
    behind, seen = error.__cause__ or error.__context__, [error]
    while behind is not None and behind not in seen:  # code may raise an error from itself
        seen.append(behind)
        behind = behind.__cause__ or behind.__context__
    return seen


@contextlib.contextmanager
def interrupts() -> Iterator[None]:
    """Raise as a Ctrl-C what came of one in here, before anybody takes it for a failure."""
    try:
        yield
    except Exception as error:
        if interrupt_behind(error) is None:
            raise
        raise KeyboardInterrupt from error


def told(stop: KeyboardInterrupt, words: str) -> None:
    """Note that a user has read what it stopped, and how to go on.

    A class of its own would not do: a process ends as interrupted by a plain one alone.
    """
    stop.args = (words,)
    vars(stop)["told"] = True


def forget(stop: KeyboardInterrupt) -> None:
    """Take that note back, and the words."""
    stop.args = ()
    vars(stop).pop("told", None)


def is_told(error: BaseException) -> bool:
    """Tell whether a user has read of the Ctrl-C behind an error, or of one before it."""
    return any("told" in vars(e) for e in _chain(error) if isinstance(e, KeyboardInterrupt))
