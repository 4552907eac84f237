"""Score-based attacks against linear models and corners that can all be tried."""

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.attacks.bandits import _spread
from saddlepoint.attacks.blocks import cells
from saddlepoint.attacks.differences import apart, uniform
from saddlepoint.attacks.exchange import bump, exchange, tiles
from saddlepoint.attacks.simba import _cosines, _pixels
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import norm
from tests.exact.linear import inputs, model, radius, shares, weights

BALLS = {"linf": sp.Linf, "l2": sp.L2, "l1": sp.L1}


@pytest.mark.parametrize(
    ("attack", "ball", "least"),
    [
        (sp.ZOO(n_queries=1 + 16 + 1, coordinates=8), "linf", 1.0),
        (sp.SimBA(n_queries=1 + 2 * 8), "linf", 1.0),
        (sp.SignHunter(n_queries=1 + 1 + 2 + 4 + 8), "linf", 1.0),
        (sp.Parsimonious(n_queries=1 + 8 + 8), "linf", 1.0),
        (sp.Bandits(n_queries=200), "linf", 0.99),
        (sp.Bandits(n_queries=200), "l2", 0.99),
        (sp.Bandits(n_queries=200), "l1", 0.99),
        (sp.NES(n_queries=300, pairs=5), "l2", 0.99),
        (sp.SPSA(n_queries=300, pairs=5, step_size=0.2), "linf", 0.99),
        (sp.ZOO(n_queries=300, coordinates=1), "l2", 0.99),
        (sp.SimBA(n_queries=200), "l2", 0.9),  # steps of a tenth of a radius never settle
    ],
    ids=str,
)
def test_linear_models_in_few_dimensions(attack: Any, ball: str, least: float) -> None:  # noqa: ANN401
    """Weights far from uniform, the box active, and so many queries: no more."""
    options = {"access": "scores", "loss": "margin"}
    dims = 8 if least == 1.0 else 4
    share = shares(attack, "heavy-tailed", dims, BALLS[ball], **options)
    assert float(share.min()) >= least - 1e-5


@pytest.mark.parametrize(
    "attack", [sp.SignHunter(n_queries=9), sp.Parsimonious(n_queries=20)], ids=str
)
@pytest.mark.parametrize("ball", [sp.Linf, sp.L2])
def test_the_best_of_all_corners_is_found(attack: Any, ball: Any) -> None:  # noqa: ANN401
    """In the L2 ball a corner is no optimum, but the best of 16 of them is found."""
    dims, kind = 4, "heavy-tailed"
    x, threat = inputs(dims, 0), ball(eps=radius(ball.order, dims))
    w = weights(kind, 2, dims, 0)
    found = sp.search(
        attack,
        model(w, x, torch.float64),
        x,
        torch.zeros(len(x)).long(),
        threat,
        early_stop=False,
        access="scores",
    )
    g = w[1] - w[0]
    gains = []
    for signs in itertools.product((-1.0, 1.0), repeat=dims):
        far = 100 * torch.tensor(signs, dtype=torch.float64).expand_as(x)
        gains.append(threat.project(x, far) @ g)
    torch.testing.assert_close(found.u @ g, torch.stack(gains).amax(0), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3, 40])
@pytest.mark.parametrize(
    "kind", ["NES", "SPSA", "ZOO", "Bandits", "SimBA", "SignHunter", "Parsimonious", "Square"]
)
def test_every_query_is_spent_and_none_beyond(kind: str, n: int) -> None:
    x = torch.full((2, 1, 4, 4), 0.5)

    def far(v: Tensor) -> Tensor:
        s = v.flatten(1).sum(1)
        return torch.stack([torch.full_like(s, 1e3), s], 1)

    for threat in (sp.Linf(0.1), sp.L2(0.5)):
        attack = getattr(sp, kind)(n_queries=n)
        found = sp.search(attack, far, x, torch.zeros(2).long(), threat, access="scores")
        assert found.error is None
        assert found.cost.forward.tolist() == [1 + n] * 2
        assert found.cost.rows_forward == 2 * (1 + n)


class _Set:
    """As much of an oracle as questions about the set need."""

    def __init__(self, threat: Any, x: Tensor) -> None:  # noqa: ANN401
        self.threat, self.x = threat, x


@pytest.mark.parametrize(
    ("threat", "free", "shared"),
    [
        (sp.Linf(0.1), True, False),
        (sp.L2(0.5), False, True),
        (sp.L1(1.0), False, False),
        (sp.L0(3), False, False),
        (sp.Masked(sp.Linf(0.1), mask=((0, 2), (1, 3))), True, False),
        (sp.Masked(sp.L2(0.5), mask=((0, 2), (1, 3))), False, True),
        (sp.L2(0.5) >> sp.Linf(0.01), False, False),
    ],
    ids=repr,
)
def test_sets_are_told_apart_by_their_verbs(threat: Any, free: bool, shared: bool) -> None:  # noqa: ANN401
    x = Draw.of(0, torch.arange(3)).uniform(1, 4, 4)
    u = threat.start(x)
    oracle: Any = _Set(threat, x)
    n = Draw.of(1, torch.arange(3)).normal(*u.shape[1:])
    assert apart(oracle, u, n).tolist() == [free] * 3
    assert uniform(oracle, u, n).tolist() == [shared] * 3


def test_an_exchange_keeps_length_and_the_rest() -> None:
    threat, x = sp.L2(eps=0.5, box=(-9.0, 9.0)), torch.zeros(2, 1, 6, 6)
    oracle: Any = _Set(threat, x)
    u = Draw.of(0, torch.arange(2)).normal(1, 6, 6)
    u = 0.5 * u / norm(u, 2).view(-1, 1, 1, 1)
    pattern, source = torch.zeros_like(u), torch.zeros_like(u, dtype=torch.bool)
    pattern[:, :, :2, :2], source[:, :, 3:5, 3:5] = -1.0, True
    new = exchange(oracle, u, pattern, source)
    torch.testing.assert_close(norm(new, 2), torch.full((2,), 0.5))
    assert bool((new[source] == 0).all())
    same = ~source & (pattern == 0)
    assert torch.equal(new[same], u[same])
    old, put = u[:, :, :2, :2].flatten(1), new[:, :, :2, :2].flatten(1)
    want = old / norm(old, 2)[:, None] - 0.5
    torch.testing.assert_close(put / norm(put, 2)[:, None], want / norm(want, 2)[:, None])


def test_a_bump_is_two_hills_of_opposite_sign() -> None:
    """A block of 5 x 5 by hand: 1 + 1/4 + 1/9 at the top, less from ring to ring, then scaled."""
    tail = [sum(1 / k**2 for k in range(m + 1, 4)) for m in range(3)]
    up, down = [tail[m] for m in (2, 1, 0, 1, 2)], [tail[m] for m in (2, 1, 1, 1, 2)]
    early, late = torch.tensor([down, up]), torch.tensor([down, up, down])
    want = torch.cat([-early / early.norm(), late / late.norm()])
    u = torch.zeros(2, 2, 5, 7, dtype=torch.float64)
    hill = bump(u, 5, torch.tensor([[0.0, 0.0], [0.9, 0.99]]), torch.tensor([0, 1]))
    torch.testing.assert_close(hill[0, :, :, :5], want.double().expand(2, 5, 5))
    torch.testing.assert_close(hill[1, :, :, 2:], want.T.double().expand(2, 5, 5))
    assert int((hill != 0).sum()) == 4 * 25
    vector = bump(torch.zeros(1, 9), 3, torch.tensor([[0.5]]), torch.tensor([0]))
    assert vector.sign().tolist() == [[0, 0, 0, -1, 1, 1, 0, 0, 0]]


@pytest.mark.parametrize("shape", [(10,), (3, 25, 15), (2, 2, 11, 9)])
def test_the_first_point_is_a_grid_of_bumps(shape: tuple[int, ...]) -> None:
    hills = tiles(torch.zeros(40, *shape), Draw.of(0, torch.arange(40)))
    assert hills.shape == (40, *shape)
    used = math.prod(5 * max(1, length // 5) for length in shape[-2:])
    assert (hills != 0).flatten(1).sum(1).tolist() == [used * math.prod(shape[:-2])] * 40
    assert abs(float(hills.sign().mean())) < 0.2
    if len(shape) == 3:
        one = hills[:, :, :5, :3]  # a tile: every sign occurs, whichever way it is turned
        assert bool((one.flatten(2).amin(2) * one.flatten(2).amax(2) < 0).all())


@pytest.mark.parametrize("eps", [0.3, 3.0])
def test_square_moves_along_the_sphere(eps: float) -> None:
    """In an L2 ball that the input range does not cut, every question is eps away."""
    asked = []

    def model(x: Tensor) -> Tensor:
        asked.append(x.clone())
        s = x.flatten(1).cumsum(1)[:, 20]
        return torch.stack([torch.full_like(s, 1e3), s], 1)

    x, y = torch.zeros(3, 2, 8, 8), torch.zeros(3).long()
    threat = sp.L2(eps, box=(-9.0, 9.0))
    found = sp.search(sp.Square(n_queries=60), model, x, y, threat, access="scores")
    size = norm(torch.cat(asked[1:]), 2)
    torch.testing.assert_close(size, torch.full_like(size, eps))
    assert bool((found.margin > found.clean_margin + eps).all())


@pytest.mark.parametrize("shape", [(12,), (4, 5), (3, 4, 6), (2, 2, 4, 3)])
def test_bases_are_orthonormal(shape: tuple[int, ...]) -> None:
    u = torch.zeros(1, *shape, dtype=torch.float64)
    for basis in (_pixels(u), _cosines(u, 1.0)):
        assert basis.count == u.numel()
        q = basis.of(torch.arange(basis.count)).flatten(1)
        torch.testing.assert_close(q @ q.T, torch.eye(len(q), dtype=q.dtype))


def test_low_frequencies_come_from_each_axis() -> None:
    basis = _cosines(torch.zeros(1, 3, 8, 6), 0.5)
    assert basis.count == 3 * 4 * 3
    q = basis.of(torch.arange(basis.count))
    assert q.shape == (36, 3, 8, 6)
    assert bool((q[0] == q[0, :, :1, :1]).all())  # the first is constant on its channel
    assert int((q[0].flatten(1).abs().sum(1) > 0).sum()) == 1


def test_blocks_cover_every_coordinate_once() -> None:
    number = cells(torch.zeros(1, 2, 5, 7), 3)
    counts = number.bincount().view(2, 2, 3)
    assert counts.tolist() == [[[9, 9, 3], [6, 6, 2]]] * 2
    assert cells(torch.zeros(1, 5), 2).tolist() == [0, 0, 1, 1, 2]
    spread = _spread(torch.arange(4.0).view(1, 1, 2, 2), torch.zeros(1, 1, 4, 6))
    assert spread[0, 0, :, 0].tolist() == [0, 0, 2, 2]
    assert spread[0, 0, 0].tolist() == [0, 0, 0, 1, 1, 1]


def tiled(x: Tensor) -> Tensor:
    """A linear model whose weights are the same within each cell of 4 x 4, unlike elsewhere."""
    w = Draw.of(7, torch.arange(1)).normal(1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    s = (x * w).flatten(1).sum(1)
    return torch.stack([torch.full_like(s, 1e3), s], 1)


@pytest.mark.parametrize("threat", [sp.Linf(0.1), sp.L2(0.5)], ids=repr)
def test_a_data_prior_saves_questions(threat: Any) -> None:  # noqa: ANN401
    x, y = torch.full((4, 1, 16, 16), 0.5), torch.zeros(4).long()
    gain = {}
    for count in (4, 16):
        attack = sp.Bandits(n_queries=120, tiles=count)
        found = sp.search(attack, tiled, x, y, threat, access="scores")
        gain[count] = float((found.margin - found.clean_margin).min())
    assert gain[4] > 1.3 * gain[16]


@pytest.mark.parametrize("k", [3, 5])
def test_gains_that_depend_on_each_other_are_measured_again(k: int) -> None:
    """The score is best with exactly k of eight signs up, not with all that gain by themselves."""
    lean = torch.linspace(0.0, 0.07, 8)

    def model(x: Tensor) -> Tensor:
        up = (x > 0.5).float()
        s = (up * lean).sum(1) - (up.sum(1) - k).square()
        return torch.stack([torch.full_like(s, 9.0), s], 1)

    x, y = torch.full((3, 8), 0.5), torch.zeros(3).long()
    attack = sp.Parsimonious(n_queries=40, group=8)
    found = sp.search(attack, model, x, y, sp.Linf(0.1), access="scores")
    best = lean.flip(0)[:k].sum().double() - 9
    torch.testing.assert_close(found.margin, best.expand(3), rtol=0, atol=1e-6)
    assert bool(((found.u > 0).sum(1) == k).all())


def test_bandits_do_not_mind_the_scale_of_the_loss() -> None:
    x, y = torch.full((2, 1, 16, 16), 0.5, dtype=torch.float64), torch.zeros(2).long()
    points = [
        sp.search(
            sp.Bandits(n_queries=40),
            lambda v, c=c: (
                c * (tiled(v.float()) - torch.tensor([1e3, 0.0])).double()
                + torch.tensor([1e6, 0.0])
            ),
            x,
            y,
            sp.Linf(0.1),
            access="scores",
        ).u
        for c in (1.0, 64.0)
    ]
    torch.testing.assert_close(*points, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("NES", {"pairs": 0}),
        ("NES", {"sigma": 0.0}),
        ("NES", {"momentum": 1.0}),
        ("SPSA", {"c": -1.0}),
        ("ZOO", {"solver": "sgd"}),
        ("ZOO", {"h": 0.0}),
        ("Bandits", {"tiles": 0}),
        ("Bandits", {"rate": float("nan")}),
        ("SimBA", {"basis": "wavelet"}),
        ("SimBA", {"low": 0.0}),
        ("SimBA", {"step_size": 0.0}),
        ("SignHunter", {"n_queries": 0}),
        ("Parsimonious", {"block": 2.0}),
        ("Parsimonious", {"loss": "marge"}),
    ],
    ids=str,
)
def test_bad_settings_are_refused(kind: str, options: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=next(iter(options))):
        getattr(sp, kind)(**options)
