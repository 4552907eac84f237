"""Noise of the sensor."""

import math
from dataclasses import dataclass

from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.spec import compact
from saddlepoint.views.chain import then
from saddlepoint.views.spans import check_box

__all__ = ["Noise"]


@dataclass(frozen=True, repr=False)
class Noise:
    """Add sigma · N(0, 1) to every input value, and cut to the input range.

    sigma: standard deviation, in units of the input. box: the input range, None to cut nothing off.
    x: (B, *F) of any shape. Raises ``Invalid``.

    >>> import torch
    >>> draw = Draw.of(seed=0, ids=torch.arange(1))
    >>> Noise(0.1, box=None)(torch.zeros(1, 1000), draw).std().item()  # doctest: +ELLIPSIS
    0.10...
    """

    sigma: float
    box: tuple[float, float] | None = (0.0, 1.0)

    def __post_init__(self) -> None:
        number = isinstance(self.sigma, int | float) and not isinstance(self.sigma, bool)
        if not number or not 0 <= self.sigma < math.inf:
            raise Invalid("sigma", self.sigma, "a finite number of at least 0")
        check_box(self.box)

    __repr__ = compact
    __rshift__ = then

    @property
    def still(self) -> bool:
        """Whether there is no noise."""
        return self.sigma == 0

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return any shape as it is."""
        return shape

    def __call__(self, x: Tensor, draw: Draw) -> Tensor:
        """Add a draw of noise to each sample."""
        moved = x + self.sigma * draw.normal(*x.shape[1:]).to(x.dtype)
        return moved if self.box is None else moved.clamp(*self.box)
