"""JSMA on models whose saliency map can be worked out by hand."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saddlepoint import JSMA, L0, Targeted, Untargeted, nearest, search
from saddlepoint.attacks.jsma import _best
from saddlepoint.core.errors import Invalid


def linear(w: list[list[float]], b: list[float]) -> nn.Linear:
    net = nn.Linear(len(w[0]), len(w))
    with torch.no_grad():
        net.weight.copy_(torch.tensor(w))
        net.bias.copy_(torch.tensor(b))
    return net


# Of class 1 against class 0: value 2 is worth most, 0 next; value 1 helps class 0.
NET = linear([[-1.0, 2.0, -2.0, 0.0], [2.0, -1.0, 3.0, 0.0]], [3.0, 0.0])
X = torch.full((1, 4), 0.2)
TO_ONE = Targeted(torch.tensor([1]))


def moved(attack: JSMA, goal: Any = TO_ONE, k: int = 4, x: Tensor = X) -> list[float]:  # noqa: ANN401
    found = search(attack, NET, x, goal, L0(eps=k))
    assert found.error is None
    return [round(v, 6) for v in found.u[0].tolist()]


def test_the_most_salient_value_moves_first() -> None:
    assert moved(JSMA(pair=False, steps=1)) == [0, 0, 0.8, 0]
    assert moved(JSMA(pair=False, steps=1, sign=-1)) == [0, -0.2, 0, 0]
    assert moved(JSMA(pair=False, steps=1, sign=0)) == [0, 0, 0.8, 0]
    assert moved(JSMA(pair=False, steps=1, theta=0.25)) == [0, 0, 0.25, 0]


def test_two_move_at_once_where_that_is_worth_more() -> None:
    assert moved(JSMA(steps=1)) == [0.8, 0, 0.8, 0]


def test_a_pair_does_what_no_value_does_alone() -> None:
    """Value 0 raises both classes, value 1 lowers both: only together do they part them."""
    net = linear([[1.0, -2.0], [3.0, -1.0]], [2.5, 0.0])
    x = torch.full((1, 2), 0.4)
    for pair, broken in ((False, False), (True, True)):
        found = search(JSMA(pair=pair), net, x, TO_ONE, L0(eps=2))
        assert found.broken.tolist() == [broken]


def test_leaving_a_class_is_reaching_the_other_of_two() -> None:
    assert moved(JSMA(), Untargeted(torch.tensor([0]))) == moved(JSMA())


def test_a_goal_without_classes_is_climbed_by_its_margin() -> None:
    class Ahead:
        def margin(self, out: Tensor) -> Tensor:
            return out[:, 1] - out[:, 0]

        def __getitem__(self, keep: Tensor) -> "Ahead":
            return self

    assert moved(JSMA(pair=False, steps=1), Ahead()) == [0, 0, 0.8, 0]


@pytest.mark.parametrize(("k", "want"), [(0, [0, 0, 0, 0]), (1, [0, 0, 0.8, 0])])
def test_it_stays_within_its_number_of_places(k: int, want: list[float]) -> None:
    assert moved(JSMA(), k=k) == want


def test_it_ends_at_the_first_break_and_where_nothing_helps() -> None:
    found = nearest(JSMA(pair=False), NET, X, TO_ONE, L0(eps=4))
    assert found.size.tolist() == [1.0]
    assert found.cost.backward.tolist() == [2]
    lost = linear([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]], [1.0, 0.0])
    found = nearest(JSMA(), lost, X, TO_ONE, L0(eps=4))
    assert found.size.tolist() == [float("inf")]
    assert found.cost.backward.tolist() == [2]


def test_probabilities_have_no_slope_where_the_model_is_sure() -> None:
    """The masking that defensive distillation brings about: logits scaled by a temperature."""
    sure = linear([[-100.0, 200.0, -200.0, 0.0], [200.0, -100.0, 300.0, 0.0]], [300.0, 0.0])
    seen, blind = (
        nearest(JSMA(scale=scale), sure, X, TO_ONE, L0(eps=4))  # type: ignore[arg-type]
        for scale in ("logits", "probabilities")
    )
    assert seen.size.tolist() == [1.0] or seen.size.tolist() == [2.0]
    assert blind.size.tolist() == [float("inf")]


def test_all_colours_of_a_pixel_move_together() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    w = torch.zeros(2, 3, 2, 2)
    w[1, :, 0, 1], w[1, 0, 1, 1], w[0, :, 1, 0] = 1.0, 2.5, 1.0  # one pixel in three colours
    w[0, :, 0, 1], w[0, 0, 1, 1] = -0.1, -0.1
    with torch.no_grad():
        net[1].weight.copy_(w.flatten(1))  # type: ignore[union-attr,operator]
        net[1].bias.copy_(torch.tensor([9.0, 0.0]))  # type: ignore[union-attr,operator]
    x = torch.zeros(1, 3, 2, 2)
    by_pixel = search(JSMA(pair=False), net, x, TO_ONE, L0(eps=1, per="pixel"))
    assert by_pixel.u.nonzero()[:, 1:].tolist() == [[c, 0, 1] for c in range(3)]
    by_value = search(JSMA(pair=False), net, x, TO_ONE, L0(eps=1))
    assert by_value.u.nonzero()[:, 1:].tolist() == [[0, 1, 1]]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("left", [1.0, 2.0, 9.0])
def test_the_best_pair_is_found_without_trying_all(seed: int, left: float) -> None:
    rng = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(3, 12, generator=rng).round(decimals=1) for _ in range(2))
    able, fresh = torch.rand(3, 12, generator=rng) < 0.8, torch.rand(3, 12, generator=rng) < 0.6
    choice, worth = _best(a, b, able, fresh, torch.full((3,), left), pair=True)
    for i in range(3):
        worths = {
            (p, q): max(0.0, float(a[i, p] + a[i, q] * (p != q)))
            * max(0.0, -float(b[i, p] + b[i, q] * (p != q)))
            for p, q in itertools.combinations_with_replacement(range(12), 2)
            if able[i, p] and able[i, q] and int(fresh[i, p]) + int(fresh[i, q]) * (p != q) <= left
        }
        assert float(worth[i]) == pytest.approx(max(worths.values()), abs=1e-6)
        if float(worth[i]) > 0:
            pair: tuple[int, int] = tuple(sorted(choice[i].tolist()))  # type: ignore[assignment]
            assert worths[pair] == pytest.approx(float(worth[i]))


@pytest.mark.parametrize(
    "bad",
    [{"theta": 0.0}, {"theta": 1.5}, {"sign": 2}, {"sign": True}, {"scale": "odds"}, {"steps": 0}],
    ids=str,
)
def test_bad_settings(bad: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=next(iter(bad))):
        JSMA(**bad)
