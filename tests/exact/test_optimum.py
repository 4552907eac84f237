"""The closed form itself, checked by solvers that do not know it."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import optimize

from saddlepoint import L1, L2, Linf
from saddlepoint.core.shapes import dot
from tests.exact.linear import WEIGHTS, inputs, radius, weights

KIND = pytest.mark.parametrize("kind", WEIGHTS)


def best_by_linear_programme(x: np.ndarray, g: np.ndarray, eps: float, order: float) -> float:
    """u = a - b with a, b >= 0."""
    up, down = 1 - x, x
    if math.isinf(order):
        up, down = np.minimum(up, eps), np.minimum(down, eps)
    d = len(x)
    rows = {"A_ub": np.ones((1, 2 * d)), "b_ub": [eps]} if order == 1 else {}
    bounds = [(0, t) for t in (*up, *down)]
    return float(-optimize.linprog(np.concatenate([-g, g]), bounds=bounds, **rows).fun)


def best_by_bisection(x: np.ndarray, g: np.ndarray, eps: float) -> float:
    """Lagrange: u = clip(g / m, -x, 1 - x) for the m at which the ball is tight."""
    if np.linalg.norm(np.where(g > 0, 1 - x, x)) <= eps:
        return float(np.abs(g) @ np.where(g > 0, 1 - x, x))
    low, high = 1e-12, 1e12
    for _ in range(300):
        m = math.sqrt(low * high)
        u = np.clip(g / m, -x, 1 - x)
        low, high = (m, high) if np.linalg.norm(u) > eps else (low, m)
    return float(g @ np.clip(g / high, -x, 1 - x))


@pytest.mark.parametrize("ball", [Linf, L2, L1], ids=["linf", "l2", "l1"])
@KIND
@pytest.mark.parametrize("dims", [3, 8, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_maximise_is_the_optimum(ball: Any, kind: str, dims: int, dtype: torch.dtype) -> None:  # noqa: ANN401
    eps, x = radius(ball.order, dims), inputs(dims, 3)
    g = weights(kind, len(x), dims, 9)
    u = ball(eps=eps).maximise(x.to(dtype), g.to(dtype)).double()
    for i, got in enumerate(dot(g, u).tolist()):
        a, b = x[i].numpy(), g[i].numpy()
        want = (
            best_by_bisection(a, b, eps)
            if ball is L2
            else best_by_linear_programme(a, b, eps, ball.order)
        )
        assert got == pytest.approx(want, rel=2e-6 if dtype == torch.float32 else 5e-7)


@KIND
def test_the_bisection_agrees_with_a_general_solver(kind: str) -> None:
    x, g = inputs(4, 3)[0].numpy(), weights(kind, 1, 4, 9)[0].numpy()
    found = optimize.minimize(
        lambda u: -float(g @ u),
        np.zeros(4),
        jac=lambda u: -g,
        bounds=[(-a, 1 - a) for a in x],
        constraints=[{"type": "ineq", "fun": lambda u: 0.16 - u @ u, "jac": lambda u: -2 * u}],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    assert best_by_bisection(x, g, 0.4) == pytest.approx(-found.fun, rel=1e-5)
