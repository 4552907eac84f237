"""Attacking a mean over transformations: closed forms, coverage, independence, what is refused."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from scipy.stats import binomtest
from torch import Tensor, nn

from saddlepoint import APGD, PGD, Expectation, Linf, Square, Status, Targeted, Untargeted, search
from saddlepoint.audit.stats import clopper_pearson
from saddlepoint.core.door import Door
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.expect import ballot
from saddlepoint.core.expectation import quorum
from saddlepoint.core.loss import Margin
from saddlepoint.core.oracle import Oracle
from saddlepoint.core.referee import hits_of
from saddlepoint.views import Brightness, Contrast, Noise, Rotate, Scale
from tests.laws.models import problem
from tests.laws.test_attack_independence import agree
from tests.table import ATTACKS, THREATS, AttackRow

LINF = THREATS[0]
NOISY = Brightness(0.1, box=None) >> Noise(0.05, box=None)


@dataclass(frozen=True)
class Same:
    """Says that it may do something, and never does."""

    still: bool = False

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def __call__(self, x: Tensor, draw: Draw) -> Tensor:
        return x


def linear(dims: int = 6) -> nn.Linear:
    layer = nn.Linear(dims, 2).double()
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(2, dims, generator=rng))
        layer.bias.copy_(torch.tensor([0.3, -0.2]))
    return layer


def test_the_mean_of_a_linear_model_is_its_closed_form() -> None:
    net, n, draws = linear(), 4, 200
    x = torch.rand(n, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = torch.zeros(n, dtype=torch.int64)
    low, high, middle, shift = 0.2, 1.4, 0.5, 0.3
    under = Expectation(
        Contrast((low, high), middle, box=None) >> Brightness((0.0, shift), box=None), draws=draws
    )
    way = (net.weight[1] - net.weight[0]).detach()
    factor = (low + high) / 2
    seen = middle + factor * (x - middle) + shift / 2
    value = seen @ way + (net.bias[1] - net.bias[0]).detach()
    with Door(net, under=under) as door:
        options: Any = {"loss": Margin(), "draw": Draw.of(0, torch.arange(n)), "early_stop": False}
        oracle = Oracle(door, x, Untargeted(y), Linf(0.1), **options)
        got, g = oracle.value_and_grad(torch.zeros_like(x))
        again = oracle.value(torch.zeros_like(x))
    spread = ((x - middle) @ way).abs() * (high - low) + way.sum().abs() * shift
    limit = 5 * spread / (12 * draws) ** 0.5
    assert bool(((got - value).abs() < limit).all())
    assert bool(((again - value).abs() < limit).all())
    assert not torch.equal(got, again)  # another question, other draws
    tolerance = float(5 * (high - low) / (12 * draws) ** 0.5 * way.abs().max())
    torch.testing.assert_close(g, factor * way.expand(n, -1), rtol=0, atol=tolerance)


def test_the_quorum_is_that_of_the_interval() -> None:
    for n in (6, 20, 101):
        for level in (0.1, 0.5, 0.9):
            for confidence in (0.9, 0.99):
                k = quorum(n, level, confidence)
                ends = [clopper_pearson(i, n, confidence)[0] for i in range(n + 1)]
                assert k == next((i for i, low in enumerate(ends) if low > level), n + 1)


def test_ballots_count() -> None:
    margins = [torch.tensor([1.0, -1.0, 2.0]), torch.tensor([-3.0, -2.0, 1.0]), torch.ones(3)]
    for k in (1, 2, 3):
        hits = sum((m > 0).long() for m in margins)
        assert torch.equal(ballot(margins, k) > 0, hits >= k)
    margins[0][2] = torch.nan
    assert not ballot(margins, 1)[2] > 0


class Threshold(nn.Module):
    """Errs where the first value exceeds a bound."""

    def forward(self, x: Tensor) -> Tensor:
        push = x.flatten(1)[:, :1] - 0.5
        return torch.cat([-push, push], 1)


def trials_of(p: float, n: int, under: Expectation) -> Tensor:
    """(n,) successes of points that err with probability p."""
    x = torch.full((n, 1), 0.5 - (1 - 2 * p))  # x + U(-1, 1) > 0.5 with chance p
    with Door(Threshold(), under=under) as door:
        draw = Draw.of(3, torch.arange(n))
        return hits_of(door, x, Untargeted(torch.zeros(n, dtype=torch.int64)), draw)


@pytest.mark.parametrize("p", [0.03, 0.3, 0.5, 0.8])
def test_the_interval_covers_the_truth_at_its_level(p: float) -> None:
    under = Expectation(Brightness(1.0, box=None), trials=60)
    hits = trials_of(p, 1500, under)
    total = int(hits.sum())
    assert binomtest(total, 1500 * 60, p).pvalue > 1e-4
    bounds = {k: clopper_pearson(k, 60) for k in range(61)}
    covered = sum(bounds[k][0] <= p <= bounds[k][1] for k in hits.tolist())
    assert binomtest(covered, 1500, 0.95, alternative="less").pvalue > 1e-4


def test_a_point_at_the_level_is_seldom_called_broken() -> None:
    under = Expectation(Brightness(1.0, box=None), trials=60)
    called = int((trials_of(0.5, 1500, under) >= under.quorum).sum())
    assert binomtest(called, 1500, 0.025, alternative="greater").pvalue > 1e-4
    sure = int((trials_of(0.8, 200, under) >= under.quorum).sum())
    assert sure > 190


@pytest.mark.parametrize("attack", [PGD(steps=4), APGD(steps=5), Square(n_queries=8)], ids=repr)
def test_a_distribution_of_the_identity_is_none(attack: Any) -> None:  # noqa: ANN401
    net, x, y, threat = problem(LINF)
    plain = search(attack, net, x, y, threat, early_stop=False)
    under = Expectation(Same(), draws=2, trials=8)
    seen = search(attack, net, x, y, threat, early_stop=False, under=under)
    assert seen.status == plain.status
    assert torch.equal(seen.u, plain.u)
    torch.testing.assert_close(seen.margin, plain.margin)
    assert seen.hits is not None
    assert seen.hits.tolist() == [8 * (s is Status.BROKEN) for s in plain.status]
    assert plain.hits is None


def attacks() -> list[Any]:
    quick = ("pgd", "square", "fmn")
    slow = pytest.mark.slow
    return [pytest.param(a, id=a.name, marks=[] if a.name in quick else [slow]) for a in ATTACKS]


@pytest.mark.parametrize("attack", attacks())
def test_alone_permuted_and_chunked(attack: AttackRow) -> None:
    net, x, y, threat = problem(LINF)
    under, ids = Expectation(NOISY, draws=2, trials=8), torch.arange(100, 108)
    whole = search(attack.small, net, x, y, threat, ids=ids, under=under)
    assert whole.error is None
    for rows in (torch.tensor([4]), torch.tensor([7, 0, 3, 2])):
        part = search(attack.small, net, x[rows], y[rows], threat[rows], ids=ids[rows], under=under)
        agree(whole, part, rows)
        assert torch.equal(part.hits, whole.hits[rows])  # type: ignore[index,arg-type]
    pieces = search(attack.small, net, x, y, threat, ids=ids, under=under, batch_size=3)
    agree(whole, pieces, torch.arange(8))


def test_questions_cost_their_draws_and_verdicts_their_trials() -> None:
    net, x, y, threat = problem(LINF)
    under = Expectation(NOISY, draws=3, trials=8)
    found = search(PGD(steps=4), net, x, y, threat, under=under, early_stop=False)
    right = found.clean_margin <= 0
    assert set(found.cost.backward[right].tolist()) == {4 * 3}
    assert set(found.cost.forward[right].tolist()) == {8 + 5 * 3}


def test_a_break_shows_at_further_draws() -> None:
    net, x, y, threat = problem(LINF, n=40)
    under = Expectation(NOISY, draws=4, trials=40)
    found = search(PGD(steps=8), net, x, y, threat, under=under, early_stop=False)
    assert found.hits is not None
    assert 3 < int(found.broken.sum()) < 40
    assert bool((found.hits[found.broken] >= under.quorum).all())
    assert bool(((found.margin > 0) == found.broken).all())


def test_a_higher_level_asks_for_more() -> None:
    net, x, y, threat = problem(LINF, n=20)
    broken = []
    for level in (0.1, 0.5, 0.9):
        under = Expectation(NOISY >> Noise(0.3, box=None), draws=4, trials=60, level=level)
        found = search(PGD(steps=6), net, x, y, threat, under=under, early_stop=False)
        broken.append(int(found.broken.sum()))
    assert broken[0] > broken[1] > broken[2]


def test_goals_and_precisions() -> None:
    net, x, y, threat = problem(LINF, dtype=torch.float32)
    under = Expectation(NOISY, draws=2, trials=8)
    goal = Targeted((y + 1) % 4)
    for precision in ("float32", "bfloat16"):
        found = search(PGD(steps=4), net, x, goal, threat, under=under, precision=precision)  # type: ignore[arg-type]
        assert found.error is None
        assert bool(((found.margin > 0) == found.broken).all())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Expectation(Rotate((0, 0))), "leaves the identity.*widen a range"),
        (lambda: Expectation(Scale((1, 1)) >> Noise(0)), "leaves the identity"),
        (
            lambda: Expectation(Rotate(5), draws=0),
            "draws = 0: must be a whole number of at",
        ),
        (lambda: Expectation(Rotate(5), trials=0), "trials = 0"),
        (lambda: Expectation(Rotate(5), trials=5), "trials = 5: must be at least 6"),
        (lambda: Expectation(Rotate(5), draws=True), "draws = True"),
        (lambda: Expectation(Rotate(5), level=1.0), r"level = 1\.0: must be a share"),
        (lambda: Expectation(Rotate(5), confidence=95), "confidence = 95"),
        (lambda: Expectation("Rotate(5)"), "<str>.*such as Rotate"),  # type: ignore[arg-type]
    ],
)
def test_bad_input(make: Any, said: str) -> None:  # noqa: ANN401
    with pytest.raises(Invalid, match=said):
        make()


def test_vectors_cannot_be_turned() -> None:
    x, y = torch.rand(3, 6).double(), torch.zeros(3, dtype=torch.int64)
    with pytest.raises(Invalid, match=r"samples of shape \(6,\).*must be images"):
        search(PGD(steps=1), linear(), x, y, Linf(0.1), under=Expectation(Rotate(10)))
