"""Where the input may be: a box, or a convex set over which linear functions can be minimised."""

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from saddlepoint.core.errors import Unsupported
from saddlepoint.core.shapes import flat
from saddlepoint.core.threat import Convex
from saddlepoint.verify.interval import Interval

__all__ = ["Around", "Box", "Region", "region"]


class Region(Protocol):
    """A set of inputs for each of B samples."""

    def hull(self) -> Interval:
        """Return the smallest box around the set, (B, *F)."""
        ...

    def least(self, a: Tensor) -> Tensor:
        """min <a, x> over the set: a is (B, R, *F), the result (B, R)."""
        ...

    def minimiser(self, a: Tensor) -> Tensor:
        """Argmin <a, x> over the set, (B, R, *F)."""
        ...

    def climb(self, x: Tensor, g: Tensor, share: float) -> Tensor:
        """Return members (B, *F) a step of ``share`` of the radius along g from the members x."""
        ...

    def __getitem__(self, rows: Tensor) -> Self:
        """Return the regions of the sub-batch, rows may repeat."""
        ...

    def to(self, dtype: torch.dtype) -> Self:
        """Return the regions in another floating type."""
        ...


@dataclass(frozen=True, eq=False)
class Box:
    """Every input between ``low`` and ``high``, (B, *F) each.

    >>> box = Box(torch.tensor([[0.0, -1.0]]), torch.tensor([[1.0, 2.0]]))
    >>> box.least(torch.tensor([[[1.0, -1.0]]]))
    tensor([[-2.]])
    """

    low: Tensor
    high: Tensor

    def hull(self) -> Interval:
        """The box itself."""
        return Interval(self.low, self.high)

    def least(self, a: Tensor) -> Tensor:
        """<a, c> - <|a|, r>, with c the centre and r half the width."""
        rows = a.flatten(2)
        centre = flat((self.high + self.low) / 2)[..., None]
        radius = flat((self.high - self.low) / 2)[..., None]
        return (rows @ centre - rows.abs() @ radius).squeeze(-1)

    def minimiser(self, a: Tensor) -> Tensor:
        """The low end where the coefficient is positive, the high end elsewhere."""
        return torch.where(a > 0, self.low[:, None], self.high[:, None])

    def climb(self, x: Tensor, g: Tensor, share: float) -> Tensor:
        """Step along the sign, cut to the box."""
        step = (self.high - self.low) * (share / 2)
        return torch.clamp(x + step * g.sign(), self.low, self.high)

    def __getitem__(self, rows: Tensor) -> "Box":
        return Box(self.low[rows], self.high[rows])

    def to(self, dtype: torch.dtype) -> "Box":
        """Return the box in another floating type."""
        return Box(self.low.to(dtype), self.high.to(dtype))


@dataclass(frozen=True, eq=False)
class Around:
    """A convex threat model around x (B, *F), whose members are x + u."""

    threat: Any  # Convex with hull
    x: Tensor

    def hull(self) -> Interval:
        """As the threat model says."""
        return Interval(*self.threat.hull(self.x))

    def least(self, a: Tensor) -> Tensor:
        """<a, x*> at the minimiser; by the envelope theorem x* is constant for the gradient."""
        product: Tensor = a * self.minimiser(a.detach())
        return product.flatten(2).sum(2)

    def minimiser(self, a: Tensor) -> Tensor:
        """X plus what maximises <-a, u>."""
        b, r = a.shape[:2]
        rows = torch.arange(b, device=a.device).repeat_interleave(r)
        x = self.x[rows]
        u = self.threat[rows].maximise(x, -a.flatten(0, 1).contiguous())
        found: Tensor = (x + u).reshape(a.shape)
        return found

    def climb(self, x: Tensor, g: Tensor, share: float) -> Tensor:
        """Step along the steepest direction, projected."""
        u = x - self.x
        moved = u + share * self.threat.steepest(self.x, u, g)
        found: Tensor = self.x + self.threat.project(self.x, moved)
        return found

    def __getitem__(self, rows: Tensor) -> "Around":
        return Around(self.threat[rows], self.x[rows])

    def to(self, dtype: torch.dtype) -> "Around":
        """Return the set around x in another floating type."""
        return replace(self, x=self.x.to(dtype))


def region(threat: Convex, x: Tensor) -> Region:
    """Where ``threat`` may put x (B, *F): a box where the threat is one, the set itself elsewhere.

    Raises ``Unsupported`` for a threat model that cannot maximise a linear function, that has no
    hull, or whose members are not x + u.

    >>> from saddlepoint.threats import Linf
    >>> region(Linf(eps=0.5), torch.zeros(1, 2)).high
    tensor([[0.5000, 0.5000]])
    """
    name = type(threat).__name__
    if not isinstance(threat, Convex) or not hasattr(threat, "hull"):
        raise Unsupported(
            f"{name}: bounds need a convex set that knows its hull and the maximum of a linear "
            "function over it, such as Linf, L2 or L1"
        )
    if getattr(threat, "is_box", False):
        low, high = threat.hull(x)
        return Box(low, high)
    return Around(threat, x)
