"""Bounds that a family of changes takes, checked when it is made."""

from collections.abc import Mapping

from saddlepoint.core.errors import Invalid

__all__ = ["check_bounds"]


def check_bounds(threat: object, largest: Mapping[str, float]) -> None:
    """Raise ``Invalid`` unless each bound is a number in [0, largest] and one of them is above 0.

    >>> from types import SimpleNamespace
    >>> check_bounds(SimpleNamespace(degrees=200.0), {"degrees": 180.0})
    Traceback (most recent call last):
    saddlepoint.core.errors.Invalid: degrees = 200.0: must be a number in [0, 180]
    """
    for name, most in largest.items():
        value = getattr(threat, name)
        real = isinstance(value, int | float) and not isinstance(value, bool)
        if not real or not 0 <= value <= most:
            raise Invalid(name, value, f"a number in [0, {most:g}]")
    if not any(getattr(threat, name) for name in largest):
        names = ", ".join(largest)
        raise Invalid(names, 0, "above 0, one of them at least", "nothing could change")
