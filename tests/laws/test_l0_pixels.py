"""L0 that counts pixels: what a pixel is, and the nearest point by trying all choices."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from saddlepoint import FMN, L0, PGD, SigmaZero, nearest, search
from saddlepoint.audit.witness import distance, inspect
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import dot

B, SHAPE = 3, (3, 2, 2)
DRAW = Draw.of(0, torch.arange(B))
PIXELS = [(i, j) for i in range(2) for j in range(2)]


def inputs() -> Tensor:
    x = DRAW.tag("x").uniform(*SHAPE).double()
    return torch.where(x < 0.3, 0.0, x)


def only(u: Tensor, pixels: tuple[tuple[int, int], ...]) -> Tensor:
    mask = torch.zeros_like(u)
    for i, j in pixels:
        mask[..., i, j] = 1
    return u * mask


def set_of(k: int) -> L0:
    return L0(eps=k, per="pixel")


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("size", [0.3, 3.0])
def test_projection_is_nearest(k: int, size: float) -> None:
    x, u = inputs(), DRAW.tag("u", size).normal(*SHAPE).double() * size
    got = set_of(k).project(x, u)
    cut = torch.minimum(torch.maximum(u, -x), 1 - x)
    for row in range(B):
        chosen = itertools.combinations(PIXELS, k)
        want = min(float((only(cut[row], c) - u[row]).norm()) for c in chosen)
        assert float((got[row] - u[row]).norm()) == pytest.approx(want)
    assert bool(set_of(k).contains(x, got, 1e-6).all())
    torch.testing.assert_close(set_of(k).project(x, got), got)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_a_whole_steepest_step_lands_on_the_best_vertex(k: int) -> None:
    x, g = inputs(), DRAW.tag("g").normal(*SHAPE).double()
    threat = set_of(k)
    for u in (threat.start(x), threat.sample(x, DRAW)):
        got = dot(g, threat.project(x, u + threat.steepest(x, u, g)))
        far = torch.where(g > 0, 1 - x, -x)
        for row in range(B):
            gains = [
                float((g[row] * only(far[row], c)).sum()) for c in itertools.combinations(PIXELS, k)
            ]
            assert float(got[row]) == pytest.approx(max(gains))


def test_all_values_of_a_pixel_are_one_place() -> None:
    x, u = torch.full((1, *SHAPE), 0.5), torch.zeros(1, *SHAPE)
    u[0, :, 0, 1] = 0.2
    u[0, 2, 1, 1] = -0.1
    assert set_of(1).size(x, u).tolist() == [2]
    assert L0(eps=1).size(x, u).tolist() == [4]
    assert set_of(2).contains(x, u, 0.0).tolist() == [True]
    assert set_of(1).contains(x, u, 0.0).tolist() == [False]
    assert set_of(1).project(x, u).nonzero()[:, 1:].tolist() == [[c, 0, 1] for c in range(3)]


def test_inputs_without_channels_have_a_value_in_each_pixel() -> None:
    for shape in ((5,), (4, 5)):
        x, u = torch.full((2, *shape), 0.5), torch.randn(2, *shape)
        assert torch.equal(set_of(2).project(x, u), L0(eps=2).project(x, u))
        assert torch.equal(set_of(2).size(x, u), L0(eps=2).size(x, u))


def test_samples_change_whole_pixels() -> None:
    x = torch.full((50, 3, 4, 4), 0.5)
    u = set_of(2).sample(x, Draw.of(0, torch.arange(50)))
    assert set_of(2).size(x, u).tolist() == [2] * 50
    assert (u != 0).flatten(1).sum(1).tolist() == [6] * 50


@pytest.mark.parametrize("attack", [PGD(), FMN(), SigmaZero(steps=60)], ids=repr)
def test_attacks_find_the_one_pixel_that_breaks(attack: PGD) -> None:
    """Three values of one pixel together break, no two of them do."""
    w = torch.zeros(SHAPE)
    w[:, 1, 0], w[0, 0, 0] = 1.0, 0.9

    def model(v: Tensor) -> Tensor:
        s = (v * w).sum((1, 2, 3))
        return torch.stack([torch.full_like(s, 2.0), s], 1)

    x, y = torch.full((1, *SHAPE), 0.1), torch.zeros(1, dtype=torch.int64)
    if attack != PGD():  # which does not look for few
        assert nearest(attack, model, x, y, set_of(4)).size.tolist() == [1]
    assert search(attack, model, x, y, set_of(1), loss="margin").broken.tolist() == [True]
    assert search(attack, model, x, y, L0(eps=1), loss="margin").broken.tolist() == [False]


def test_witnesses_are_counted_by_pixel_without_the_sets_own_code() -> None:
    x = np.full((2, *SHAPE), 0.5)
    moved = x.copy()
    moved[0, :, 0, 1] = 0.7
    moved[1, 0, 0, 0] = moved[1, 1, 1, 1] = 0.7
    rows = np.arange(2)
    assert distance(x, moved, set_of(1)).tolist() == [1, 2]
    assert distance(x, moved, L0(eps=1)).tolist() == [3, 2]
    assert inspect(x, moved, set_of(1), rows) == ["", "L0 distance 2 exceeds 1"]


def test_what_it_says() -> None:
    assert repr(set_of(3)) == "L0(eps=3, per='pixel')"
    with pytest.raises(Invalid, match="per"):
        L0(eps=1, per="patch")  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="pixels that may change"):
        L0(eps=0.5, per="pixel")
