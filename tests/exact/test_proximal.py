"""The proximal point of each norm, against its closed form and against a solver."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint import L1, L2, Linf
from saddlepoint.attacks.proximal import proximal
from saddlepoint.core.shapes import norm

BALL = pytest.mark.parametrize("ball", [Linf, L2, L1], ids=["linf", "l2", "l1"])
B = 5
DUAL = {1.0: math.inf, 2.0: 2.0, math.inf: 1.0}


def points(dims: int, dtype: torch.dtype) -> Tensor:
    rng = torch.Generator().manual_seed(dims)
    v = torch.randn(B, dims, generator=rng, dtype=torch.float64)
    return (v * torch.randn(B, dims, generator=rng, dtype=torch.float64).exp()).to(dtype)


def closed_form(v: Tensor, weight: Tensor, order: float) -> Tensor:
    """Soft threshold; shrunk length; v minus its projection onto the dual ball, of L_1."""
    w = weight[:, None]
    if order == 1:
        return v.sign() * (v.abs() - w).clamp(min=0)
    if order == 2:
        return v * (1 - w / norm(v, 2)[:, None]).clamp(min=0)
    return v - L1(eps=1.0, box=(-1e9, 1e9)).at(weight).project(torch.zeros_like(v), v)


@BALL
@pytest.mark.parametrize("dims", [2, 50, 784])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.6, 1.2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_without_a_range_it_is_the_closed_form(
    ball: Any,  # noqa: ANN401
    dims: int,
    share: float,
    dtype: torch.dtype,
) -> None:
    v = points(dims, dtype)
    weight = share * norm(v, DUAL[ball.order])  # at the dual norm nothing is left
    u = proximal(ball(eps=0.1, box=(-1e3, 1e3)), torch.zeros_like(v), v, weight)
    miss = norm(u - closed_form(v, weight, ball.order), 2)
    assert float((miss / norm(v, 2)).max()) <= 1e-6


@BALL
def test_what_leaves_the_range_is_cut_before(ball: Any) -> None:  # noqa: ANN401
    v, x = points(6, torch.float64), torch.full((B, 6), 0.25, dtype=torch.float64)
    cut = v.clamp(-0.25, 0.75)
    weight = 0.3 * norm(cut, DUAL[ball.order])
    u = proximal(ball(eps=0.1), x, v, weight)
    torch.testing.assert_close(u, closed_form(cut, weight, ball.order), rtol=1e-6, atol=1e-8)


@BALL
def test_rows_are_alone_and_nothing_in_gives_nothing_out(ball: Any) -> None:  # noqa: ANN401
    v, x = points(4, torch.float64), torch.full((B, 4), 0.5, dtype=torch.float64)
    v[2] = 0
    weight = torch.tensor([0.1, 0.0, 0.1, 9.0, 0.2], dtype=torch.float64)
    u = proximal(ball(eps=0.1), x, v, weight)
    assert u[2:4].abs().max() == 0
    for i in range(B):
        one = proximal(ball(eps=0.1), x[i : i + 1], v[i : i + 1], weight[i : i + 1])
        torch.testing.assert_close(one[0], u[i], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("weight", [0.0, 0.2, 3.0])
def test_shrinkage_is_exact_within_the_range(weight: float) -> None:
    """Value by value: no point of a fine grid of the range is better."""
    v, x = points(7, torch.float64) * 0.7, torch.full((B, 7), 0.3, dtype=torch.float64)
    u = L1(eps=1.0).shrink(x, v, torch.full((B,), weight, dtype=torch.float64))
    grid = torch.linspace(-0.3, 0.7, 1001, dtype=torch.float64)
    best = ((grid - v[..., None]) ** 2 / 2 + weight * grid.abs()).amin(-1)
    got = (u - v) ** 2 / 2 + weight * u.abs()
    assert bool((got <= best + 1e-12).all())
    assert float((x + u).min()) >= 0
    assert float((x + u).max()) <= 1
