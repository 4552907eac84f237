"""What a check of membership takes and returns, and what all of them share."""

from typing import Any, Protocol

import numpy as np

__all__ = ["Array", "Check", "widen"]

Array = np.ndarray[Any, Any]


class Check(Protocol):
    """Judges witnesses of one kind of set."""

    def __call__(
        self,
        x: Array,
        u: Array | None,
        x_adv: Array,
        threat: Any,  # noqa: ANN401
        rows: Array,
    ) -> list[str]:
        """Say for each row what is wrong, or "" where x_adv is a member.

        x, x_adv: (B, *F). u: (B, *P) parameters, where the set has some. rows: (B,) numbers of the
        samples, for sets with a size per sample.
        """
        ...


def widen(x: Array) -> Array:
    """Values in float64; 8-bit images in the range from 0 to 1.

    >>> widen(np.array([255], dtype=np.uint8))
    array([1.])
    """
    return x / 255.0 if x.dtype == np.uint8 else x.astype(np.float64)
