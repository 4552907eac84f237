"""Counts: whole numbers that have to be large enough."""

from saddlepoint.core.errors import Invalid

__all__ = ["is_whole", "require_whole"]


def is_whole(value: object, least: int = 1) -> bool:
    """Tell whether ``value`` is an int, and no bool, of at least ``least``.

    >>> is_whole(3), is_whole(True), is_whole(3.0), is_whole(0)
    (True, False, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def require_whole(name: str, value: object, least: int = 1) -> None:
    """Raise ``Invalid`` unless ``value`` is a whole number of at least ``least``.

    >>> require_whole("steps", 0)
    Traceback (most recent call last):
    saddlepoint.core.errors.Invalid: steps = 0: must be a whole number of at least 1
    """
    if not is_whole(value, least):
        raise Invalid(name, value, f"a whole number of at least {least}")
