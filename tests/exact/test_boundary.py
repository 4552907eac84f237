"""The nearest point of a linear boundary, against its closed form."""

from typing import Any

import pytest
import torch

from saddlepoint import L1, L2, Linf
from saddlepoint.attacks.boundary import towards
from saddlepoint.core.shapes import dot
from tests.exact.distance import smallest
from tests.exact.linear import WEIGHTS, inputs, weights

BALL = pytest.mark.parametrize("ball", [Linf, L2, L1], ids=["linf", "l2", "l1"])


@BALL
@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("dims", [3, 64, 784])
@pytest.mark.parametrize("share", [1e-3, 0.3, 0.95])
@pytest.mark.parametrize("sign", [1, -1])
def test_nearest(ball: Any, kind: str, dims: int, share: float, sign: int) -> None:  # noqa: ANN401
    x, g = inputs(dims, 3), weights(kind, 6, dims, 9)
    room = torch.where(sign * g > 0, 1 - x, x)
    b = share * (g.abs() * room).sum(1) * sign
    d = towards(ball(eps=0.1), x, g, b)
    want = [
        smallest(a, sign * w, sign * c, ball.order)
        for a, w, c in zip(x.numpy(), g.numpy(), b.tolist(), strict=True)
    ]
    torch.testing.assert_close(dot(g, d), b, rtol=2e-6, atol=0)
    size = ball(eps=0.1).size(x, d)
    torch.testing.assert_close(size, torch.tensor(want).double(), rtol=1e-4, atol=0)
    assert bool(ball(eps=0.1).at(1e6).contains(x, d, 1e-9).all())


@BALL
def test_what_is_out_of_reach_ends_at_the_best_corner(ball: Any) -> None:  # noqa: ANN401
    x, g = torch.tensor([[0.25, 0.5], [0.25, 0.5]]), torch.tensor([[1.0, -2.0], [0.0, 0.0]])
    d = towards(ball(eps=0.1), x, g, torch.tensor([9.0, 1.0]))
    torch.testing.assert_close(d[0], torch.tensor([0.75, -0.5]))
    assert bool(d.isfinite().all())
    torch.testing.assert_close((d * g).sum(1), torch.tensor([1.75, 0.0]))


@BALL
def test_on_the_boundary_nothing_moves(ball: Any) -> None:  # noqa: ANN401
    x, g = torch.full((2, 3), 0.5), torch.ones(2, 3)
    assert torch.equal(towards(ball(eps=0.1), x, g, torch.zeros(2)).abs(), torch.zeros(2, 3))


@BALL
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_scale_of_the_gradient_does_not_matter(ball: Any, scale: float) -> None:  # noqa: ANN401
    x, g = inputs(8, 1).float(), weights("normal", 6, 8, 2).float()
    plain = towards(ball(eps=0.1), x, g, torch.full((6,), 0.3))
    scaled = towards(ball(eps=0.1), x, g * scale, torch.full((6,), 0.3 * scale))
    torch.testing.assert_close(scaled, plain, rtol=1e-4, atol=1e-6)
