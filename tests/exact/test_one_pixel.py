"""One-pixel search on inputs so small that all there is can be tried."""

from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint import L0, OnePixel, search
from saddlepoint.attacks.one_pixel import _others
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid

SHAPE = (2, 2, 3)
W = Draw.of(3, torch.arange(1)).normal(*SHAPE)[0].double()
X = Draw.of(4, torch.arange(5)).uniform(*SHAPE).double()
Y = torch.zeros(5, dtype=torch.int64)


def model(x: Tensor) -> Tensor:
    s = (x * W).sum((1, 2, 3))
    return torch.stack([torch.full_like(s, 1e3), s], 1)


def best(per: str) -> Tensor:
    """(B,) the most that one place can add to the score, each value at an end of its range."""
    gain = torch.where(W > 0, 1 - X, -X) * W
    return (gain.sum(1) if per == "pixel" else gain).flatten(1).amax(1)


@pytest.mark.parametrize(("per", "population"), [("pixel", 80), ("value", 40)])
def test_the_best_place_is_found(per: Any, population: int) -> None:  # noqa: ANN401
    attack = OnePixel(population=population, generations=10)
    found = search(attack, model, X, Y, L0(eps=1, per=per), early_stop=False)
    assert found.error is None
    gain = (found.u * W).sum((1, 2, 3))
    torch.testing.assert_close(gain, best(per), rtol=1e-6, atol=0)
    assert found.cost.forward.tolist() == [1 + population * 11] * 5
    assert found.cost.backward.tolist() == [0] * 5


def test_more_places_do_more_and_the_set_decides_how_many() -> None:
    gains = []
    for places, k in ((1, 3), (3, 3), (3, 1)):
        attack = OnePixel(places=places, population=12, generations=6)
        found = search(attack, model, X, Y, L0(eps=k, per="pixel"), early_stop=False)
        changed = (found.u.abs().sum(1) > 0).flatten(1).sum(1)
        assert int(changed.max()) <= min(places, k)
        gains.append(float((found.u * W).sum((1, 2, 3)).mean()))
    assert gains[1] > gains[0]
    assert gains[1] > gains[2]


def test_parents_are_three_others() -> None:
    three = _others(Draw.of(0, torch.arange(40)), 5)
    assert set(three.flatten().tolist()) == set(range(5))
    for i in range(5):
        four = torch.cat([three[:, i], torch.full((40, 1), i)], 1)
        assert all(len(set(row)) == 4 for row in four.tolist())


@pytest.mark.parametrize(
    "bad",
    [{"places": 0}, {"population": 3}, {"generations": 0}, {"weight": 0.0}, {"loss": "odds"}],
    ids=str,
)
def test_bad_settings(bad: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=next(iter(bad))):
        OnePixel(**bad)
