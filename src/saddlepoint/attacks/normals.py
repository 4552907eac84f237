"""The normal of the decision boundary, from labels around a point on it."""

from collections.abc import Callable

import torch
from torch import Tensor

from saddlepoint.attacks.hunt import Hunt
from saddlepoint.core.shapes import like

__all__ = ["normal"]


def normal(
    hunt: Hunt,
    u: Tensor,
    size: Tensor,
    count: int,
    noise: Callable[[int], Tensor],
    keep: int = 0,
) -> Tensor:
    """(B, *P) sum_i (phi_i - mean phi) d_i, phi = 1 where u + d_i breaks and -1 elsewhere.

    d_i is a step of the given size (B,) along noise, cut to the input range. Where all phi agree,
    they say only on which side u is, and the mean is left out (1904.02144, eq. 16). count:
    questions; a row asks no more than leave it ``keep``. noise: i -> (B, *P).
    """
    signed, plain = torch.zeros_like(u), torch.zeros_like(u)
    votes, asked = torch.zeros_like(size), torch.zeros_like(size)
    for i in range(count):
        paying = hunt.known & (hunt.left > keep)
        if not bool(paying.any()):
            break
        v = hunt.step(u, noise(i), size)
        phi = torch.where(hunt.ask(v, paying), 1.0, -1.0).to(u.dtype) * paying
        d = (v - u) * like(paying, u)
        signed, plain = signed + like(phi, u) * d, plain + d
        votes, asked = votes + phi, asked + paying
    mean = torch.where(votes.abs() < asked, votes / asked.clamp(min=1), 0)
    return signed - like(mean, u) * plain
