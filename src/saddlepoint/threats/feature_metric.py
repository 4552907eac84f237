"""Directions in the metric of a network's features, J^T J, which is never written out."""

from collections.abc import Callable

import torch
from torch import Tensor

from saddlepoint.core.shapes import dot, like, norm
from saddlepoint.models.perceptual import Perceptual

__all__ = ["direction", "jacobian"]

Map = Callable[[Tensor], Tensor]
_DAMPING = 1e-2  # of the metric's largest size: it keeps out directions that no feature sees


def jacobian(phi: Map, at: Tensor) -> tuple[Map, Map]:
    """Return v -> J v and s -> J^T s for J = d phi / d x at a batch of points.

    J v is the derivative of J^T w with respect to w, which needs no forward mode: any network
    that can be differentiated twice will do.

    >>> push, pull = jacobian(lambda x: x * x, torch.tensor([[3.0]]))
    >>> push(torch.ones(1, 1)), pull(torch.ones(1, 1))
    (tensor([[6.]]), tensor([[6.]]))
    """
    with torch.enable_grad():
        leaf = at.detach().requires_grad_()
        out = phi(leaf)
        dual = torch.zeros_like(out).requires_grad_()
        (back,) = torch.autograd.grad(out, leaf, dual, create_graph=True)

    def push(v: Tensor) -> Tensor:
        (moved,) = torch.autograd.grad(back, dual, v, retain_graph=True)
        return moved

    def pull(s: Tensor) -> Tensor:
        (g,) = torch.autograd.grad(out, leaf, s, retain_graph=True)
        return g

    return push, pull


def direction(
    perceptual: Perceptual, at: Tensor, g: Tensor, free: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """(B, *F) a direction v that climbs g, and (B,) the length of J v.

    ``steps`` conjugate-gradient iterations on (J^T J + d) v = g within the ``free`` values; none
    returns g's own direction. Few iterations, and the damping d, keep v from running away where
    the features see little of it. A zero gradient gives a zero direction.
    """
    push, pull = jacobian(perceptual.features, at)
    b = g / like(norm(g, torch.inf).clamp(min=torch.finfo(g.dtype).tiny), g)
    b = b / like(norm(b, 2).clamp(min=torch.finfo(g.dtype).tiny), b)
    moved = push(b)
    if not steps:
        return b, norm(moved, 2)
    damping = _DAMPING * _strongest(push, pull, b, moved)
    v, seen, r, p, jp = torch.zeros_like(b), torch.zeros_like(moved), b, b, moved
    for k in range(steps):
        if k:
            jp = push(p)
        rr = dot(r, r)
        a = _ratio(rr, dot(jp, jp) + damping * dot(p, p))
        v, seen = v + like(a, v) * p, seen + like(a, seen) * jp
        r = r - like(a, r) * (torch.where(free, pull(jp), 0) + like(damping, p) * p)
        p = r + like(_ratio(dot(r, r), rr), p) * p
    # Where the features see nothing at all, the gradient is as good as anything.
    blind = dot(v, v) == 0
    v, seen = torch.where(like(blind, b), b, v), torch.where(like(blind, moved), moved, seen)
    return v, norm(seen, 2)


def _strongest(push: Map, pull: Map, b: Tensor, moved: Tensor) -> Tensor:
    """(B,) the largest squared stretch that J has, by one step of the power method from b."""
    q = pull(moved)
    there = push(q)
    return torch.maximum(_ratio(dot(there, there), dot(q, q)), dot(moved, moved))


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """A / b, and 0 where there is nothing to divide by."""
    return torch.where(b > 0, a / b.clamp(min=torch.finfo(b.dtype).tiny), 0)
