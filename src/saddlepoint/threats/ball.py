"""Balls around x in the L_inf, L_2 and L_1 norm, each cut by the box of valid inputs."""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import flat, like, norm
from saddlepoint.core.spec import compact
from saddlepoint.threats.combine.operators import Combinable
from saddlepoint.threats.nearest import fill, scale, threshold, unit

__all__ = ["L1", "L2", "Ball", "Linf"]


@dataclass(frozen=True, repr=False)
class Ball(Combinable):
    """{u : ||u||_p <= eps, low <= x + u <= high}: what the three balls share.

    eps: a number, or a tensor (B,) with one radius per sample. box: the model's input range.

    Raises ``Invalid`` when eps is negative, not finite, or larger than the box itself.
    """

    order: ClassVar[float]
    is_box: ClassVar[bool] = False  # whether the hull holds nothing but members
    undoes: ClassVar[bool] = True  # whether a member stays one when some changes are undone
    eps: float | Tensor
    box: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if len(self.box) != 2 or not self.box[0] < self.box[1]:
            raise Invalid("box", self.box, "(low, high) with low < high")
        if not isinstance(self.eps, Tensor | int | float) or isinstance(self.eps, bool):
            raise Invalid("eps", self.eps, "a number, or a (B,) tensor of numbers")
        if not _all_finite(self.eps):
            raise Invalid("eps", self.eps, "a finite number >= 0")
        if isinstance(self.eps, Tensor) and self.eps.dim() != 1:
            raise Invalid("eps", f"<shape {tuple(self.eps.shape)}>", "a number or a (B,) tensor")
        self._check_size(1)

    def _check_size(self, count: int) -> None:
        """Compare the radius with the box's own diameter in this norm."""
        if isinstance(self.eps, Tensor) and not self.eps.numel():
            return
        widest = (self.box[1] - self.box[0]) * count ** (1 / self.order)
        largest = float(self.eps.max()) if isinstance(self.eps, Tensor) else float(self.eps)
        if (count > 1 or math.isinf(self.order)) and largest > widest * (1 + 1e-6):
            hint = (
                f"did you mean {largest:g}/255?" if largest > 1 and math.isinf(self.order) else ""
            )
            raise Invalid("eps", largest, f"at most {widest:g}, the width of the input range", hint)

    __repr__ = compact

    def __getitem__(self, keep: Tensor) -> Self:
        return replace(self, eps=self.eps[keep]) if isinstance(self.eps, Tensor) else self

    def to(self, device: torch.device) -> Self:
        """Move per-sample radii to a device."""
        return replace(self, eps=self.eps.to(device)) if isinstance(self.eps, Tensor) else self

    def at(self, eps: float | Tensor) -> Self:
        """Return the same ball with another radius; one beyond the input range is the range."""
        widest = self.box[1] - self.box[0] if math.isinf(self.order) else math.inf
        cut = eps.clamp(max=widest) if isinstance(eps, Tensor) else min(eps, widest)
        return replace(self, eps=cut)

    def hull(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Smallest box around the members, (B, *F) each: one coordinate may take all of eps."""
        low, high = self.box
        eps = self._eps(x)
        return (x - eps).clamp(min=low), (x + eps).clamp(max=high)

    def start(self, x: Tensor) -> Tensor:
        """Return the zero perturbation, (B, *F)."""
        self._check_size(max(1, x[0].numel()) if len(x) else 1)
        return torch.zeros_like(x, memory_format=torch.contiguous_format)

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """x + u. No clamp: project leaves u where the sum cannot leave [0, 1] by rounding."""
        return x + u

    def size(self, x: Tensor, u: Tensor) -> Tensor:
        """(B,) the norm of u."""
        return norm(u, self.order)

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        """(B,) bool: norm at most eps and x + u within the box, both up to ``tol``, in float64."""
        moved = flat(x).double() + flat(u).double()
        eps = self.eps.double() if isinstance(self.eps, Tensor) else self.eps
        width = self.box[1] - self.box[0]
        slack = tol * (max(1.0, width) if math.isfinite(width) else 1.0)
        inside = ((moved >= self.box[0] - slack) & (moved <= self.box[1] + slack)).all(1)
        return inside & (norm(u.double(), self.order) <= eps * (1 + tol) + tol)

    def _eps(self, t: Tensor) -> Tensor:
        """Radii shaped to broadcast against t."""
        if isinstance(self.eps, Tensor):
            return like(self.eps.to(device=t.device, dtype=t.dtype), t)
        # Made where it is needed: a copy to a GPU would be waited for.
        return like(torch.full((1,), float(self.eps), device=t.device, dtype=t.dtype), t)

    def _clip(self, x: Tensor, u: Tensor) -> Tensor:
        """Cut u to the box; shrinking coordinates never leaves a ball."""
        low, high = self.box
        with torch.no_grad():
            room = high - x
            cut = torch.minimum(u, room)
            torch.sub(low, x, out=room)  # one buffer for both sides: a fresh one costs page faults
            return torch.maximum(cut, room, out=cut)

    def _room(self, x: Tensor, u: Tensor) -> Tensor:
        """(B, D) distance from x to the side of the box that u points to."""
        low, high = self.box
        return flat(torch.where(u > 0, high - x, x - low))


def _all_finite(eps: float | Tensor) -> bool:
    """Whether every radius is finite and not negative."""
    if isinstance(eps, Tensor):
        return bool((eps.isfinite() & (eps >= 0)).all())
    return math.isfinite(eps) and eps >= 0


class Linf(Ball):
    """{u : max_i |u_i| <= eps}, within the box (1412.6572, 1706.06083).

    >>> Linf(eps=0.3).project(torch.tensor([[0.1, 0.5]]), torch.tensor([[-1.0, 0.4]]))
    tensor([[-0.1000,  0.3000]])
    """

    order = math.inf
    is_box = True

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """Uniform in the ball, cut to the box."""
        u = draw.uniform(*x.shape[1:], low=-1.0).to(x.dtype)
        return self._clip(x, u.mul_(self._factor(x)))

    def _factor(self, t: Tensor) -> Tensor | float:
        """What t is multiplied by or clipped to: a kernel less than a tensor of one number."""
        return self._eps(t) if isinstance(self.eps, Tensor) else float(self.eps)

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Clip every coordinate to its interval, which is the nearest point in any norm."""
        eps: Any = self._factor(u)
        return self._clip(x, u.clamp(min=-eps, max=eps))

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """Eps times the sign of the gradient."""
        return g.sign().mul_(self._factor(g))

    def maximise(self, x: Tensor, g: Tensor) -> Tensor:
        """Eps times the sign of the gradient, cut to the box."""
        return self._clip(x, self.steepest(x, g, g))


class L2(Ball):
    """{u : ||u||_2 <= eps}, within the box.

    >>> L2(eps=0.5).project(torch.tensor([[0.5, 0.5]]), torch.tensor([[3.0, 4.0]]))
    tensor([[0.3000, 0.4000]])
    """

    order = 2.0

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """Uniform in the ball, cut to the box."""
        u = draw.tag("direction").normal(*x.shape[1:]).to(x.dtype)
        radius = draw.tag("radius").uniform(1).to(x.dtype) ** (1 / max(1, flat(x).shape[1]))
        return self._clip(x, u * self._eps(x) * like(radius / norm(u, 2)[:, None], u))

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Nearest point: clip(s u) with the exact s in [0, 1]."""
        inner = self._clip(x, u)
        if bool((norm(inner, 2) <= self._eps(flat(u))[:, 0]).all()):
            return inner
        s = scale(flat(u), self._room(x, u), self._eps(flat(u)), 1.0)
        return self._clip(x, u * like(s, u))

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """Eps times the direction of the gradient on the coordinates that can move.

        A coordinate at its bound, with the gradient pointing outwards, would use up length in vain.
        """
        free = (self._room(x, g) > 0) | (flat(u) * flat(g) < 0)
        v = unit(torch.where(free, flat(g), 0))
        length = torch.linalg.vector_norm(v, dim=1, keepdim=True)
        step: Tensor = v * (self._eps(v) / length.clamp_(min=1e-12))
        return step.view_as(g)

    def maximise(self, x: Tensor, g: Tensor) -> Tensor:
        """Furthest point along g: clip(s g) with the exact s."""
        v = unit(flat(g)).view_as(g)
        s = scale(flat(v), self._room(x, v), self._eps(flat(v)), 1e12)
        return self._clip(x, v * like(s, v))


class L1(Ball):
    """{u : sum_i |u_i| <= eps}, within the box.

    >>> L1(eps=1.0).project(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.9, 0.5]]))
    tensor([[0.7000, 0.3000]])
    """

    order = 1.0

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """Uniform in the ball, cut to the box."""
        size = draw.tag("size").exponential(*x.shape[1:]).to(x.dtype)
        rest = draw.tag("rest").exponential(1).to(x.dtype)
        share = size / like((flat(size).sum(1, keepdim=True) + rest)[:, 0], size)
        sign = draw.tag("sign").sign(*x.shape[1:]).to(x.dtype)
        return self._clip(x, share * sign * self._eps(x))

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Nearest point: the soft threshold sign(u) clip(|u| - tau, 0, c) with the exact tau."""
        inner = self._clip(x, u)
        eps = self._eps(flat(u))
        if bool((norm(inner, 1) <= eps[:, 0]).all()):
            return inner
        size = flat(u).abs()
        tau = threshold(size, self._room(x, u), eps)
        left = (size.double() - tau).clamp_(min=0).to(u.dtype).view_as(u)
        return self._clip(x, left.copysign_(u))

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """Eps times the gradient, on the coordinates that are worth moving.

        The plain steepest direction moves one coordinate; the whole gradient spreads thin. Worth
        moving are those that the best vertex under the box uses, and those on the wrong side of x,
        whose way back is free. No parameter says how many.
        """
        v = unit(flat(g))
        used = (fill(v, self._room(x, g), self._eps(v)) > 0) | (flat(u) * v < 0)
        v = torch.where(used, v, 0)
        return (v * (self._eps(v) / v.abs().sum(1, keepdim=True).clamp_(min=1e-12))).view_as(g)

    def maximise(self, x: Tensor, g: Tensor) -> Tensor:
        """Best vertex: fill coordinates to their bounds in the order of |g|."""
        used = fill(flat(g), self._room(x, g), self._eps(flat(g)))
        return self._clip(x, used.view_as(g) * g.sign())

    def shrink(self, x: Tensor, u: Tensor, by: Tensor) -> Tensor:
        """Argmin_v ||v - u||^2 / 2 + by ||v||_1 in the box: the soft threshold, cut to the box."""
        left = (u.abs() - like(by, u)).clamp_(min=0)
        return self._clip(x, left.copysign_(u))
