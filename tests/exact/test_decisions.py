"""Attacks by labels on linear models, where the nearest break is known: in few dimensions, close.

What is held is a share of the exact distance after a number of questions; 1 is all there is.
"""

from typing import Any

import pytest

from saddlepoint import L1, L2, Boundary, GeoDA, HopSkipJump, Linf, RayS
from tests.exact.distance import ratios

SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("kind", "dims", "asked"),
    [
        ("normal", 8, 200),
        pytest.param("spread", 8, 200, marks=SLOW),
        pytest.param("normal", 64, 2000, marks=SLOW),
        pytest.param("spread", 64, 2000, marks=SLOW),
        pytest.param("heavy-tailed", 64, 2000, marks=SLOW),
    ],
)
def test_signs_find_the_nearest_corner(kind: str, dims: int, asked: int) -> None:
    """In a box the direction of the nearest break is one of signs, and single flips lead to it."""
    share = ratios(RayS(n_queries=asked), kind, dims, Linf, access="labels")
    assert float(share.min()) >= 0.995
    assert float(share.max()) <= 1 + 1e-4


@pytest.mark.parametrize(
    ("attack", "ball", "kind", "dims", "least"),
    [
        pytest.param(GeoDA(n_queries=300), L2, "normal", 8, 0.9, id="plane"),
        pytest.param(HopSkipJump(n_queries=300), L2, "normal", 8, 0.9, id="hop"),
        pytest.param(Boundary(n_queries=400), L2, "normal", 8, 0.75, id="walk"),
        pytest.param(GeoDA(n_queries=2000), L2, "normal", 8, 0.95, marks=SLOW, id="plane-l2"),
        pytest.param(GeoDA(n_queries=2000), Linf, "normal", 8, 0.95, marks=SLOW, id="plane-linf"),
        pytest.param(GeoDA(n_queries=2000), L1, "normal", 8, 0.9, marks=SLOW, id="plane-l1"),
        pytest.param(HopSkipJump(n_queries=2000), L2, "normal", 8, 0.95, marks=SLOW, id="hop-l2"),
        pytest.param(
            HopSkipJump(n_queries=2000), Linf, "normal", 8, 0.95, marks=SLOW, id="hop-linf"
        ),
        pytest.param(HopSkipJump(n_queries=2000), L1, "normal", 8, 0.9, marks=SLOW, id="hop-l1"),
        pytest.param(Boundary(n_queries=2000), L2, "normal", 8, 0.9, marks=SLOW, id="walk-l2"),
        pytest.param(GeoDA(n_queries=5000), L2, "spread", 64, 0.95, marks=SLOW, id="plane-64"),
        pytest.param(HopSkipJump(), L2, "spread", 64, 0.95, marks=SLOW, id="hop-64"),
    ],
)
def test_the_distance_is_nearly_found(
    attack: Any,  # noqa: ANN401
    ball: Any,  # noqa: ANN401
    kind: str,
    dims: int,
    least: float,
) -> None:
    share = ratios(attack, kind, dims, ball, access="labels")
    assert float(share.min()) >= least
    assert float(share.max()) <= 1 + 1e-4
