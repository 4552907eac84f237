"""The inputs that a certificate speaks of, in float64, from x, eps and the input range alone."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saddlepoint.core.errors import BadData, Unsupported

__all__ = ["Inputs", "inputs"]

_ORDERS = {"Linf": math.inf, "L2": 2.0, "L1": 1.0}  # known by name: no threat vouches for itself
_HALVINGS = 60


@dataclass(frozen=True, eq=False)
class Inputs:
    """The box from ``low`` to ``high``, (*F) float64, cut by a ball of ``order`` around x if any.

    >>> box = Inputs(torch.zeros(2).double(), torch.ones(2).double())
    >>> box.least(torch.tensor([[1.0, -2.0]]).double())
    tensor([-2.], dtype=torch.float64)
    """

    low: Tensor
    high: Tensor
    x: Tensor | None = None
    eps: float = math.inf
    order: float = math.inf

    def least(self, a: Tensor) -> Tensor:
        """(R,) a number that no <a_r, x> of the set (a: (R, *F)) falls below.

        Exact for a box. For a ball within a box it is the Lagrangian's value at some multiplier of
        the norm: by weak duality each is a bound, and bisection only makes it a good one.
        """
        rows = a.flatten(1)
        low, high = self.low.flatten(), self.high.flatten()
        box = rows.clamp(min=0) @ low + rows.clamp(max=0) @ high
        if self.x is None or math.isinf(self.order):
            return box
        x = self.x.flatten()
        below, above = low - x, high - x
        dual = self._euclid if self.order == 2 else self._taxi
        under, over = torch.zeros_like(box), self._steepest(rows.detach())
        for _ in range(_HALVINGS):
            middle = (under + over) / 2
            rising = dual(rows.detach(), below, above, middle)[1] > 0
            under, over = torch.where(rising, middle, under), torch.where(rising, over, middle)
        ball = rows @ x + dual(rows, below, above, over)[0]
        return torch.maximum(box, ball)

    def _steepest(self, rows: Tensor) -> Tensor:
        """A multiplier at which no coordinate has reason to leave the ball."""
        if self.order == 1:
            return rows.abs().amax(1)
        length: Tensor = torch.linalg.vector_norm(rows, dim=1)
        return length / max(self.eps, 1e-300)

    def _euclid(self, a: Tensor, low: Tensor, high: Tensor, by: Tensor) -> tuple[Tensor, Tensor]:
        """min_u <a, u> + by (|u|^2 - eps^2) / 2 over the box, and its derivative in ``by``."""
        by = by.clamp(min=1e-300)[:, None]
        u = (-a.detach() / by).clamp(low, high)
        spare = (u * u).sum(1) - self.eps**2
        return (a * u).sum(1) + by[:, 0] / 2 * spare, spare

    def _taxi(self, a: Tensor, low: Tensor, high: Tensor, by: Tensor) -> tuple[Tensor, Tensor]:
        """min_u <a, u> + by (|u|_1 - eps) over the box, and a derivative in ``by``."""
        rest = torch.zeros_like(low).clamp(low, high)
        ends = torch.stack([torch.stack((e, e.abs())) for e in (rest, low, high)])
        value = a[:, None] * ends[:, 0] + by[:, None, None] * ends[:, 1]
        least, which = value.min(1)
        length = ends[:, 1].expand(len(a), -1, -1).gather(1, which[:, None])[:, 0]
        return least.sum(1) - by * self.eps, length.sum(1) - self.eps


def inputs(threat: Any, x: Tensor, row: int = 0) -> Inputs:  # noqa: ANN401
    """Return the set of ``threat`` around one x (*F); ``row`` finds its radius among several.

    Raises ``Unsupported`` for a threat model that is not known here, ``BadData`` where x leaves the
    threat model's input range so far that no input is left.

    >>> from saddlepoint.threats import Linf
    >>> inputs(Linf(eps=0.5), torch.zeros(2)).high
    tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    if type(threat).__name__ == "Masked":
        return _pinned(threat, x, row)
    inner = getattr(threat, "threat", threat)  # of a set cut to 8 bits, the continuous one
    name = type(inner).__name__
    if name not in _ORDERS:
        raise Unsupported(f"no independent checker knows {name}: it knows " + ", ".join(_ORDERS))
    radius = torch.as_tensor(inner.eps, dtype=torch.float64)
    eps = float(radius[row] if radius.dim() else radius)
    least, most = (float(end) for end in inner.box)
    x = x.detach().cpu().double()
    low, high = (x - eps).clamp(min=least), (x + eps).clamp(max=most)
    if not bool((low <= high).all()):
        raise BadData(f"x leaves the input range [{least:g}, {most:g}] by more than {eps:g}")
    return Inputs(low, high, x, eps, _ORDERS[name])


def _pinned(threat: Any, x: Tensor, row: int) -> Inputs:  # noqa: ANN401
    """The base's inputs with the values outside the mask held at x."""
    whole = inputs(threat.base, x, row)
    x = x.detach().cpu().double()
    kept = _free(threat, tuple(x.shape))
    low, high = torch.where(kept, whole.low, x), torch.where(kept, whole.high, x)
    return Inputs(low, high, whole.x, whole.eps, whole.order)


def _free(threat: Any, shape: tuple[int, ...]) -> Tensor:  # noqa: ANN401
    """(*F) bool, from the mask as the set holds it."""
    if isinstance(threat.mask, tuple):
        free = torch.zeros(shape, dtype=torch.bool)
        ends = [slice(None) if pair is None else slice(*pair) for pair in threat.mask]
        place: tuple[Any, ...] = (..., *ends)
        free[place] = True
        return free
    values: Tensor = threat.mask if isinstance(threat.mask, Tensor) else threat.values
    return values.cpu().bool().expand(shape)
