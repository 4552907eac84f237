"""A Ctrl-C that looks like another error."""

from typing import NoReturn


def disguised() -> ImportError:
    """What a compiled module raises where its loading is interrupted."""
    error = ImportError("initialization failed")
    error.__cause__ = KeyboardInterrupt()
    return error


def disguise(*_: object, **__: object) -> NoReturn:
    """Raise it."""
    raise disguised()
