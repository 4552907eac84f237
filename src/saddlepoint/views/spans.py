"""Ranges of parameters, and the samples that a transformation can work on."""

import math

from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid

__all__ = ["Span", "check_box", "check_image", "check_span", "ends", "uniform"]

Span = float | tuple[float, float]


def _finite(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)  # type: ignore[arg-type]


def ends(span: Span) -> tuple[float, float]:
    """Return the ends of a checked range.

    >>> ends(30), ends((0.8, 1.2))
    ((-30.0, 30.0), (0.8, 1.2))
    """
    low, high = span if isinstance(span, tuple) else (-span, span)
    return float(low), float(high)


def check_span(
    name: str, span: object, least: float = -math.inf, most: float = math.inf, pair: bool = False
) -> None:
    """Raise ``Invalid`` unless ``span`` is a range in order, within [least, most].

    pair: a single number would be ambiguous, as for factors.
    """
    allowed = "a pair (low, high)" if pair else "a number r for (-r, r), or a pair (low, high)"
    if math.isfinite(least) or math.isfinite(most):
        allowed += f" within [{least:g}, {most:g}]"
    if isinstance(span, tuple):
        if len(span) != 2 or not all(map(_finite, span)):
            raise Invalid(name, span, allowed)
        if span[0] > span[1]:
            raise Invalid(name, span, allowed, f"in order: ({span[1]:g}, {span[0]:g})")
    elif pair or not _finite(span):
        raise Invalid(name, span, allowed)
    elif span < 0:  # type: ignore[operator]
        raise Invalid(name, span, "at least 0: a number r stands for (-r, r)")
    low, high = ends(span)  # type: ignore[arg-type]
    if low < least or high > most:
        raise Invalid(name, span, allowed)


def uniform(span: Span, draw: Draw, like: Tensor) -> Tensor:
    """(B,) a number of the range for each sample, in the type of ``like``."""
    low, high = ends(span)
    return draw.uniform(1, low=low, high=high)[:, 0].to(like.dtype)


def check_image(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of an image; raise ``Invalid`` for samples that are none."""
    if len(shape) != 3 or min(shape) < 1 or min(shape[1:]) < 2:
        raise Invalid(
            "x",
            f"<samples of shape {shape}>",
            f"images (channels, height, width) of at least 2 x 2 pixels for {name}",
            "Noise, Brightness and Contrast work on inputs of any shape",
        )
    return shape


def check_box(box: object) -> None:
    """Raise ``Invalid`` unless ``box`` is None or an input range."""
    if box is None:
        return
    if not isinstance(box, tuple) or len(box) != 2 or not box[0] < box[1]:
        raise Invalid("box", box, "(low, high) with low < high, or None to cut nothing off")
