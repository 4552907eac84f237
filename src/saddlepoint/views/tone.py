"""Brighter, darker, flatter and starker inputs."""

from dataclasses import dataclass

from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.shapes import like
from saddlepoint.core.spec import compact
from saddlepoint.views.chain import then
from saddlepoint.views.spans import Span, check_box, check_span, ends, uniform

__all__ = ["Brightness", "Contrast"]


@dataclass(frozen=True, repr=False)
class Brightness:
    """Add one number ~ U(range) to all values of a sample, and cut to the input range.

    by: a number for (-by, by), or a pair, in units of the input. box: the input range, None to cut
    nothing off. x: (B, *F) of any shape. Raises ``Invalid``.

    >>> import torch
    >>> draw = Draw.of(seed=0, ids=torch.arange(1))
    >>> Brightness((0.25, 0.25))(torch.tensor([[0.5, 0.875]]), draw)
    tensor([[0.7500, 1.0000]])
    """

    by: Span
    box: tuple[float, float] | None = (0.0, 1.0)

    def __post_init__(self) -> None:
        check_span("by", self.by)
        check_box(self.box)

    __repr__ = compact
    __rshift__ = then

    @property
    def still(self) -> bool:
        """Whether nothing is ever added."""
        return ends(self.by) == (0.0, 0.0)

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return any shape as it is."""
        return shape

    def __call__(self, x: Tensor, draw: Draw) -> Tensor:
        """Lighten or darken each sample."""
        moved = x + like(uniform(self.by, draw, x), x)
        return moved if self.box is None else moved.clamp(*self.box)


@dataclass(frozen=True, repr=False)
class Contrast:
    """Multiply what differs from ``middle`` by a factor ~ U(range), and cut to the input range.

    factor: a pair of factors >= 0; below 1 is flatter. box: as for ``Brightness``. x: (B, *F) of
    any shape. Raises ``Invalid``.

    >>> import torch
    >>> draw = Draw.of(seed=0, ids=torch.arange(1))
    >>> Contrast((0.5, 0.5))(torch.tensor([[0.0, 1.0]]), draw)
    tensor([[0.2500, 0.7500]])
    """

    factor: tuple[float, float]
    middle: float = 0.5
    box: tuple[float, float] | None = (0.0, 1.0)

    def __post_init__(self) -> None:
        check_span("factor", self.factor, 0, pair=True)
        check_box(self.box)

    __repr__ = compact
    __rshift__ = then

    @property
    def still(self) -> bool:
        """Whether the contrast never changes."""
        return ends(self.factor) == (1.0, 1.0)

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return any shape as it is."""
        return shape

    def __call__(self, x: Tensor, draw: Draw) -> Tensor:
        """Flatten or sharpen the contrast of each sample."""
        moved = self.middle + like(uniform(self.factor, draw, x), x) * (x - self.middle)
        return moved if self.box is None else moved.clamp(*self.box)
