"""Inputs that differ from x in at most k values or pixels, which may become anything in range."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

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
    """{u : u differs from zero in at most k places, low <= x + u <= high}.

    per: what a place is, a ``value``, or a ``pixel``: all values of one point of the last two axes,
    such as the three colours. Inputs of less than three axes have one value in each.

    eps: k, a whole number or a tensor (B,) of them; ``at`` takes any number and rounds it down.
    box: the model's input range, which must be finite: without it a single value could do anything.
    The set is not convex and has no ``maximise``: a point between two members is none.

    Raises ``Invalid`` when eps is negative or no whole number, the box is not finite, or ``per`` is
    neither.

    >>> L0(eps=1).project(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.2, -0.3]]))
    tensor([[ 0.0000, -0.3000]])
    """

    undoes: ClassVar[bool] = True  # whether a member stays one when some changes are undone
    eps: float | Tensor
    box: tuple[float, float] = (0.0, 1.0)
    per: Literal["value", "pixel"] = "value"

    def __post_init__(self) -> None:
        if self.per not in ("value", "pixel"):
            raise Invalid("per", self.per, "'value' or 'pixel'")
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
            hint = f"it counts the {self.per}s that may change"
            raise Invalid("eps", self.eps, "a whole number >= 0", hint)

    __repr__ = compact

    def __getitem__(self, keep: Tensor) -> Self:
        return replace(self, eps=self.eps[keep]) if isinstance(self.eps, Tensor) else self

    def to(self, device: torch.device) -> Self:
        """Move per-sample sizes to a device."""
        return replace(self, eps=self.eps.to(device)) if isinstance(self.eps, Tensor) else self

    def at(self, eps: float | Tensor) -> Self:
        """Return the same set for another number of places, rounded down."""
        return replace(self, eps=eps.floor() if isinstance(eps, Tensor) else math.floor(eps))

    def start(self, x: Tensor) -> Tensor:
        """Return the zero perturbation, (B, *F)."""
        return torch.zeros_like(x, memory_format=torch.contiguous_format)

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """x + u."""
        return x + u

    def size(self, x: Tensor, u: Tensor) -> Tensor:
        """(B,) how many places change."""
        return (flat(self.gather((u != 0).to(u.dtype))) > 0).sum(1).to(u.dtype)

    def gather(self, v: Tensor) -> Tensor:
        """(B, *places) sum of v (B, *F) over the values of each place."""
        within = tuple(range(1, v.dim() - 2)) if self.per == "pixel" else ()
        return v.sum(within) if within else v

    def spread(self, m: Tensor, x: Tensor) -> Tensor:
        """(B, *F) the number of each place, m (B, *places), at all its values."""
        within = [1] * (x.dim() - m.dim())
        return m.reshape(len(m), *within, *m.shape[1:]).expand_as(x)

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        """(B,) bool: x + u within the box up to ``tol``, and an exact count of changed places."""
        d = flat(u).double()
        moved, slack = flat(x).double() + d, tol * max(1.0, self.box[1] - self.box[0])
        inside = ((moved >= self.box[0] - slack) & (moved <= self.box[1] + slack)).all(1)
        sites = self._sites(u)
        moves = d.view(len(d), d.shape[1] // max(1, sites), sites) != 0
        return inside & (moves.any(1).sum(1) <= self._k(d)[:, 0])

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """k random places, their values uniform in the box."""
        low, high = self.box
        shape = self.gather(x[:1]).shape[1:]
        where = draw.tag("where").uniform(*shape).to(x.dtype)
        new = draw.tag("value").uniform(*x.shape[1:]).to(x.dtype) * (high - low) + low
        return self._clip(x, (new - x) * self._top(where, x))

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Nearest point: the k places whose loss would cost most are kept, cut to the box.

        Keeping value i at c_i, u_i cut to the box, saves u_i^2 - (u_i - c_i)^2 of the distance.
        """
        c = self._clip(x, u)
        return c * self._top(self.gather(c * (2 * u - c)), c)

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """The best vertex's k places, so far along g that a whole step and ``project`` land on it.

        Value i can gain |g_i| room_i. Steps of n width^2 g_i / t, t the k-th largest gain and n the
        values of a place, save more distance than any other place could; of at least the width of
        the box, they pass it: shorter ones change fewer. Values on the wrong side of x go back.
        """
        low, high = self.box
        room = torch.where(g > 0, high - x, x - low)
        top = flat(g).abs().amax(1)
        v = g / like(torch.where(top > 0, top, 1), g)
        gain = self.gather(v.abs() * room)
        best = self._top(gain, x) & self.spread(gain > 0, x)
        least = torch.where(best, self.spread(gain, x), torch.inf).flatten(1).amin(1)
        n = v[0].numel() // max(1, gain[0].numel())
        back = torch.where(u * v < 0, -u, 0)
        length = (v.abs() * like(n * (high - low) ** 2 / least, v)).clamp(min=high - low)
        return torch.where(best, v.sign() * length, back)

    def smooth(self, x: Tensor, u: Tensor, sigma: float) -> Tensor:
        """Gradient of sum_i s_i / (s_i + sigma) / n (2402.01879), s_i the square of place i's move.

        Moves are in units of the box; n is the number of places.
        """
        width = self.box[1] - self.box[0]
        v = u / width
        square = self.gather(v * v)
        slope: Tensor = 2 * sigma * v / self.spread((square + sigma) ** 2, v)
        return slope / (width * max(1, square[0].numel()))

    def drop(self, x: Tensor, u: Tensor, below: Tensor) -> Tensor:
        """U cut to the box, without places that move by less than ``below`` (B,) of its width."""
        cut = self._clip(x, u)
        if self.per == "value":
            return cut * (cut.abs() >= like(below, cut) * (self.box[1] - self.box[0]))
        size = self.gather(cut * cut).sqrt()
        return cut * self.spread(size >= like(below, size) * (self.box[1] - self.box[0]), cut)

    def _k(self, rows: Tensor) -> Tensor:
        """(B, 1) how many values may change, to compare with."""
        if isinstance(self.eps, Tensor):
            return like(self.eps.to(rows.device), rows)
        return torch.full((len(rows), 1), float(self.eps), device=rows.device)

    def _sites(self, u: Tensor) -> int:
        """How many places an input has; those of a pixel's values are equal modulo it."""
        return math.prod(u.shape[-2:] if self.per == "pixel" and u.dim() > 3 else u.shape[1:])

    def _top(self, worth: Tensor, x: Tensor) -> Tensor:
        """(B, *F) 1 in the k places of largest worth (B, *places); of equal ones the first."""
        rows = flat(worth)
        order = rows.sort(dim=1, descending=True, stable=True).indices
        rank = torch.arange(rows.shape[1], device=rows.device).expand_as(order)
        best = torch.zeros_like(order).scatter_(1, order, rank) < self._k(rows)
        return self.spread(best.view(worth.shape), x)

    def _clip(self, x: Tensor, u: Tensor) -> Tensor:
        low, high = self.box
        with torch.no_grad():
            return torch.maximum(torch.minimum(u, high - x), low - x)
