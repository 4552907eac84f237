"""Inputs that differ from x in at most k values, which may become anything in the input range."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import flat, like
from saddlepoint.core.spec import compact
from saddlepoint.threats.combine.operators import Combinable

__all__ = ["L0"]


@dataclass(frozen=True, repr=False)
class L0(Combinable):
    """{u : at most k of the u_i are not zero, low <= x + u <= high}.

    eps: k, a whole number or a tensor (B,) of them; ``at`` takes any number and rounds it down.
    box: the model's input range, which must be finite: without it a single value could do anything.
    The set is not convex and has no ``maximise``: a point between two members is none.

    Raises ``Invalid`` when eps is negative or no whole number, or the box is not finite.

    >>> L0(eps=1).project(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.2, -0.3]]))
    tensor([[ 0.0000, -0.3000]])
    """

    undoes: ClassVar[bool] = True  # whether a member stays one when some changes are undone
    eps: float | Tensor
    box: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if len(self.box) != 2 or not self.box[0] < self.box[1]:
            raise Invalid("box", self.box, "(low, high) with low < high")
        if not math.isfinite(self.box[1] - self.box[0]):
            raise Invalid("box", self.box, "finite: changed values may take any value in it")
        if not isinstance(self.eps, Tensor | int | float) or isinstance(self.eps, bool):
            raise Invalid("eps", self.eps, "a whole number, or a (B,) tensor of them")
        if isinstance(self.eps, Tensor) and self.eps.dim() != 1:
            raise Invalid("eps", f"<shape {tuple(self.eps.shape)}>", "a number or a (B,) tensor")
        eps = self.eps if isinstance(self.eps, Tensor) else torch.tensor(float(self.eps))
        if not bool((eps.isfinite() & (eps >= 0) & (eps == eps.floor())).all()):
            hint = "it counts the values that may change"
            raise Invalid("eps", self.eps, "a whole number >= 0", hint)

    __repr__ = compact

    def __getitem__(self, keep: Tensor) -> Self:
        return replace(self, eps=self.eps[keep]) if isinstance(self.eps, Tensor) else self

    def to(self, device: torch.device) -> Self:
        """Move per-sample sizes to a device."""
        return replace(self, eps=self.eps.to(device)) if isinstance(self.eps, Tensor) else self

    def at(self, eps: float | Tensor) -> Self:
        """Return the same set for another number of values, rounded down."""
        return replace(self, eps=eps.floor() if isinstance(eps, Tensor) else math.floor(eps))

    def start(self, x: Tensor) -> Tensor:
        """Return the zero perturbation, (B, *F)."""
        return torch.zeros_like(x, memory_format=torch.contiguous_format)

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """x + u."""
        return x + u

    def size(self, x: Tensor, u: Tensor) -> Tensor:
        """(B,) how many values change."""
        return (flat(u) != 0).sum(1).to(u.dtype)

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        """(B,) bool: x + u within the box up to ``tol``, and an exact count of changed values."""
        d = flat(u).double()
        moved, slack = flat(x).double() + d, tol * max(1.0, self.box[1] - self.box[0])
        inside = ((moved >= self.box[0] - slack) & (moved <= self.box[1] + slack)).all(1)
        return inside & ((d != 0).sum(1) <= self._k(d)[:, 0])

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """k values at random places, each uniform in the box."""
        low, high = self.box
        where = flat(draw.tag("where").uniform(*x.shape[1:]).to(x.dtype))
        new = draw.tag("value").uniform(*x.shape[1:]).to(x.dtype) * (high - low) + low
        return self._clip(x, (new - x) * self._top(where).view(x.shape))

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Nearest point: the k values whose loss would cost most are kept, cut to the box.

        Keeping value i at c_i, u_i cut to the box, saves u_i^2 - (u_i - c_i)^2 of the distance.
        """
        c = self._clip(x, u)
        saved = flat(c * (2 * u - c))
        return c * self._top(saved).view(c.shape)

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """The best vertex's k values, so far along g that a whole step and ``project`` land on it.

        Value i can gain |g_i| room_i. Steps of width^2 g_i / t, t the k-th largest gain, save more
        distance than any other value could, and pass the box: shorter ones change some values.
        Values on the wrong side of x go back.
        """
        low, high = self.box
        room = flat(torch.where(g > 0, high - x, x - low))
        top = flat(g).abs().amax(1, keepdim=True)
        v = flat(g) / torch.where(top > 0, top, 1)
        gain = v.abs() * room
        best = self._top(gain) & (gain > 0)
        least = torch.where(best, gain, torch.inf).amin(1, keepdim=True)
        back = torch.where(flat(u) * v < 0, -flat(u), 0)
        return torch.where(best, v * ((high - low) ** 2 / least), back).view_as(g)

    def smooth(self, x: Tensor, u: Tensor, sigma: float) -> Tensor:
        """Gradient of sum_i v_i^2 / (v_i^2 + sigma) / D, v = u in units of the box (2402.01879)."""
        width = self.box[1] - self.box[0]
        v = u / width
        slope: Tensor = 2 * sigma * v / (v * v + sigma) ** 2
        return slope / (width * max(1, u[0].numel()))

    def drop(self, x: Tensor, u: Tensor, below: Tensor) -> Tensor:
        """U cut to the box, without values that change by less than ``below`` (B,) of its width."""
        cut = self._clip(x, u)
        kept = cut.abs() >= like(below, cut) * (self.box[1] - self.box[0])
        return cut * kept

    def _k(self, rows: Tensor) -> Tensor:
        """(B, 1) how many values may change, to compare with."""
        if isinstance(self.eps, Tensor):
            return like(self.eps.to(rows.device), rows)
        return torch.full((len(rows), 1), float(self.eps), device=rows.device)

    def _top(self, rows: Tensor) -> Tensor:
        """(B, D) bool: the k largest of each row; of equal ones the first."""
        order = rows.sort(dim=1, descending=True, stable=True).indices
        rank = torch.arange(rows.shape[1], device=rows.device).expand_as(order)
        return torch.zeros_like(order).scatter_(1, order, rank) < self._k(rows)

    def _clip(self, x: Tensor, u: Tensor) -> Tensor:
        low, high = self.box
        with torch.no_grad():
            return torch.maximum(torch.minimum(u, high - x), low - x)
