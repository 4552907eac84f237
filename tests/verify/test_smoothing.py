"""Randomised smoothing against the one classifier whose smoothed version is known: a half space."""

import math
from collections.abc import Callable

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from saddlepoint import FMN, L2, nearest
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.verify import ABSTAIN, Smoothing

SIGMA = 0.5


class HalfSpace(nn.Module):
    """Class 1 where <w, x> + b > 0; g says the same, and its radius is the distance to there."""

    def __init__(self, size: int = 12) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(size)
        self.register_buffer("w", torch.randn(size, generator=g) * torch.arange(1, size + 1))
        self.b = 0.3

    def margin(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.w + self.b

    def forward(self, x: Tensor) -> Tensor:
        m = self.margin(x)
        return torch.stack([-m, m], 1)

    def distance(self, x: Tensor) -> Tensor:
        return (self.margin(x).abs() / self.w.norm()).double()

    def at(self, distance: list[float]) -> Tensor:
        """Inputs at signed distances from the plane, in odd places along it."""
        g = torch.Generator().manual_seed(1)
        x = torch.randn(len(distance), len(self.w), generator=g)
        unit = self.w / self.w.norm()
        x = x - (self.margin(x) / self.w.norm())[:, None] * unit
        return x + torch.tensor(distance)[:, None] * unit


def test_the_radius_is_exceeded_no_oftener_than_alpha() -> None:
    model, alpha, seeds = HalfSpace(), 0.05, 400
    x = model.at([0.4])
    smoothing = Smoothing(SIGMA, n0=10, n=200, alpha=alpha)
    found = smoothing(model, x.expand(seeds, -1), seed=7)  # as many ids, as much noise
    over = int((found.radius > model.distance(x)).sum())
    # The exact chance of a bound beyond the true p is just below alpha; both ends can fail.
    p = stats.norm.cdf(0.4 / SIGMA)
    k = torch.arange(201)
    chance = stats.binom.pmf(k, 200, p)[stats.beta.ppf(alpha, k.clip(1), 201 - k.clip(1)) > p].sum()
    assert 0.02 < chance <= alpha
    assert stats.binom.sf(over - 1, seeds, alpha) > 1e-4
    assert stats.binom.cdf(over, seeds, chance) > 1e-4


def test_the_radius_approaches_the_distance() -> None:
    model = HalfSpace()
    x = model.at([-0.6, -0.3, 0.1, 0.45, 0.7])
    true = model.distance(x)
    gaps = []
    for n in (100, 1_000, 10_000, 100_000):
        found = Smoothing(SIGMA, n=n, batch_size=5_000)(model, x, seed=3)
        gaps.append(float((true - found.radius).mean()))
        assert bool((found.radius <= true).all())
    assert gaps == sorted(gaps, reverse=True)
    # Three standard errors of p over the density at p, the largest of the five.
    z = true / SIGMA
    p, density = stats.norm.cdf(z), stats.norm.pdf(z)
    worst = float((SIGMA * 5 * (p * (1 - p) / 100_000) ** 0.5 / density).max())
    assert gaps[-1] < worst < 0.02
    right = model(x).argmax(1)
    assert torch.equal(found.prediction, right)
    assert torch.equal(found.stands(right, 0.29), true > 0.3)


class SoftVote(nn.Module):
    """Mean answer to noisy copies, as an attack on g that follows gradients asks it."""

    def __init__(self, model: HalfSpace) -> None:
        super().__init__()
        self.model = model
        noise = SIGMA * torch.randn(64, 12, generator=torch.Generator().manual_seed(8))
        # In pairs, so that the mean has no bias and breaks where g does.
        self.register_buffer("noise", torch.cat([noise, -noise]))

    def forward(self, x: Tensor) -> Tensor:
        copies = (x[:, None] + self.noise).flatten(0, 1)
        p = (4 * self.model(copies)).softmax(1).reshape(len(x), -1, 2)
        return p.mean(1).log()


def test_no_attack_on_the_smoothed_classifier_beats_the_radius() -> None:
    model = HalfSpace()
    x = model.at([0.35, -0.5, 0.8, -0.2])
    smoothing = Smoothing(SIGMA, n=20_000, batch_size=5_000)
    found = smoothing(model, x)
    assert bool((found.radius > 0.15).all())
    y = model(x).argmax(1)
    broken = nearest(FMN(steps=200), SoftVote(model), x, y, L2(eps=2.0, box=(-30.0, 30.0)))
    assert bool((broken.size > found.radius).all())
    # The attack is a good one, or the line above says nothing.
    assert torch.allclose(broken.size.double(), model.distance(x), rtol=0.03)


def test_the_answer_turns_beyond_the_boundary_and_not_before_the_radius() -> None:
    model = HalfSpace()
    x = model.at([0.35, -0.5])
    smoothing = Smoothing(SIGMA, n=20_000, batch_size=5_000)
    found = smoothing(model, x)
    away = torch.tensor([-1.0, 1.0])[:, None] * model.w / model.w.norm()

    def asked(distance: Tensor) -> list[int]:
        # Under noise that was not used to certify.
        moved = x + away * distance[:, None].float()
        return smoothing.predict(model, moved, seed=99).prediction.tolist()

    assert asked(found.radius * 0.9) == found.prediction.tolist()
    assert asked(model.distance(x) * 1.1) == (1 - found.prediction).tolist()


def test_what_the_bound_is_made_of() -> None:
    model = HalfSpace()
    found = Smoothing(SIGMA, n=500, alpha=0.01)(model, model.at([0.4, -0.2]), seed=4)
    for hits, p, radius in zip(found.hits, found.p_low, found.radius, strict=True):
        # P(hits or more | p) = alpha: the definition of the exact bound.
        assert stats.binom.sf(int(hits) - 1, 500, float(p)) == pytest.approx(0.01, rel=1e-9)
        assert float(radius) == pytest.approx(SIGMA * stats.norm.ppf(float(p)), rel=1e-12)


def test_selection_and_estimation_share_no_draw() -> None:
    seen: list[Tensor] = []

    def model(x: Tensor) -> Tensor:
        seen.append(x.clone())
        return torch.zeros(len(x), dtype=torch.int64)

    smoothing = Smoothing(SIGMA, n0=40, n=60)
    smoothing(model, torch.zeros(2, 3), ids=torch.tensor([0, 1]))
    smoothing.predict(model, torch.zeros(1, 3))
    rows = torch.cat(seen)
    assert len(rows) == 2 * 100 + 60
    assert len(rows.unique(dim=0)) == len(rows)


def test_the_noise_is_normal_and_not_clipped() -> None:
    seen: list[Tensor] = []

    def model(x: Tensor) -> Tensor:
        seen.append(x.clone())
        return torch.zeros(len(x), dtype=torch.int64)

    Smoothing(2.0, n0=1, n=4_000)(model, torch.full((1, 10), 0.5))
    noise = (torch.cat(seen[1:]) - 0.5).flatten()
    assert float(noise.abs().max()) > 6
    assert stats.kstest(noise.numpy(), "norm", (0, 2)).pvalue > 1e-3
    columns = torch.cat(seen[1:]).T.corrcoef()
    assert float((columns - torch.eye(10)).abs().max()) < 5 / math.sqrt(4_000)


def test_it_abstains_where_the_vote_is_open() -> None:
    model = HalfSpace()
    smoothing = Smoothing(SIGMA, n=1_000)
    x = model.at([0.0, 0.5])
    found, asked = smoothing(model, x), smoothing.predict(model, x)
    assert found.prediction.tolist() == asked.prediction.tolist() == [ABSTAIN, 1]
    assert float(found.radius[0]) == 0
    assert int(found.selected[0]) in (0, 1)
    assert not found.stands(torch.tensor([ABSTAIN, 1]), 0.0)[0]


def test_certify_needs_a_majority_where_predict_does_not() -> None:
    """Three classes at 0.45, 0.30 and 0.25: g is certain, but no radius follows from p_A."""
    cuts = torch.tensor([stats.norm.ppf(0.45), stats.norm.ppf(0.75)]).float()

    def thirds(x: Tensor) -> Tensor:
        return torch.bucketize(x[:, 0].contiguous(), cuts)

    smoothing = Smoothing(1.0, n=4_000)
    x = torch.zeros(1, 2)
    assert smoothing(thirds, x).prediction.tolist() == [ABSTAIN]
    asked = smoothing.predict(thirds, x)
    assert asked.prediction.tolist() == [0]
    n = int(asked.first + asked.second)
    exact = stats.binomtest(int(asked.first), n, 0.5).pvalue
    assert float(asked.p) == pytest.approx(exact, rel=1e-6)


def test_predict_errs_no_oftener_than_alpha() -> None:
    model, seeds, alpha = HalfSpace(), 400, 0.1
    smoothing = Smoothing(SIGMA, n=50, alpha=alpha)
    asked = smoothing.predict(model, model.at([0.01]).expand(seeds, -1), seed=2)
    wrong = int((asked.prediction == 0).sum())
    assert stats.binom.sf(wrong - 1, seeds, alpha / 2) > 1e-4
    assert (asked.prediction == ABSTAIN).sum() > seeds / 2


def fields(found: object) -> list[Tensor]:
    return [v for v in vars(found).values() if isinstance(v, Tensor)]


@pytest.mark.parametrize("how", ["call", "predict"])
def test_a_sample_gets_the_same_answer_in_any_company(how: str) -> None:
    model = HalfSpace()
    x, ids = model.at([0.1, -0.2, 0.3, 0.05, -0.4]), torch.tensor([4, 0, 7, 900_000, 3])
    smoothing = Smoothing(SIGMA, n=300)

    def ask(at: Smoothing, rows: list[int]) -> list[Tensor]:
        run: Callable[..., object] = at if how == "call" else at.predict
        return fields(run(model, x[rows], ids=ids[rows], seed=6))

    together = ask(smoothing, [0, 1, 2, 3, 4])
    shuffled = ask(smoothing, [3, 1, 4, 0, 2])
    other = ask(Smoothing(SIGMA, n=300, batch_size=7), [0, 1, 2, 3, 4])
    for k, whole in enumerate(together):
        alone = torch.cat([ask(smoothing, [i])[k] for i in range(5)])
        assert torch.equal(alone, whole)
        assert torch.equal(shuffled[k], whole[[3, 1, 4, 0, 2]])
        assert torch.equal(other[k], whole)
    again = fields(smoothing(model, x, ids=ids + 1, seed=6))
    assert not torch.equal(again[3], fields(smoothing(model, x, ids=ids, seed=6))[3])


def test_a_randomised_model_too() -> None:
    class Noisy(HalfSpace):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x + 0.3 * torch.randn_like(x))

    model = Noisy()
    x = model.at([0.2, 0.3, 0.4])
    before = torch.random.get_rng_state()
    whole = Smoothing(SIGMA, n=300)(model, x)
    assert torch.equal(before, torch.random.get_rng_state())
    last = Smoothing(SIGMA, n=300)(model, x[2:], ids=torch.tensor([2]))
    assert torch.equal(last.hits, whole.hits[2:])


def test_scores_and_labels_are_the_same_classifier() -> None:
    model = HalfSpace()
    x = model.at([0.1, -0.3])
    scored = Smoothing(SIGMA, n=200)(model, x)
    named = Smoothing(SIGMA, n=200)(lambda x: model(x).argmax(1), x)
    assert all(torch.equal(a, b) for a, b in zip(fields(scored), fields(named), strict=True))


def test_the_model_is_asked_in_eval_mode_and_left_alone() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).double().train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    Smoothing(SIGMA, n=50)(model, torch.rand(2, 3))
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_answers_that_are_not_finite_count_for_no_class() -> None:
    half = HalfSpace()

    def failing(x: Tensor) -> Tensor:
        out = half(x)
        out[x[:, 0] > 0] = math.nan
        return out

    x = half.at([3.0])
    found = Smoothing(SIGMA, n0=100, n=2_000)(failing, x)
    assert int(found.spoilt) > 0
    draws = torch.arange(2_000)
    noise = Draw.of(0, draws).tag("smoothing", "estimate").normal(12) * SIGMA
    good = int((x + noise)[:, 0].le(0).sum())
    assert int(found.hits) == good
    never = Smoothing(SIGMA, n=50).predict(lambda x: half(x) * math.nan, x)
    assert (never.prediction.tolist(), never.spoilt.tolist()) == ([ABSTAIN], [50])
    nothing = Smoothing(SIGMA, n=50)(lambda x: half(x) * math.nan, x)
    assert (nothing.prediction.tolist(), nothing.spoilt.tolist()) == ([ABSTAIN], [150])


def test_a_class_that_the_second_draws_never_give() -> None:
    calls = []

    def turncoat(x: Tensor) -> Tensor:
        calls.append(len(x))
        return torch.full((len(x),), 9 if len(calls) == 1 else 0)

    found = Smoothing(SIGMA, n0=10, n=20)(turncoat, torch.zeros(1, 2))
    assert (found.selected.tolist(), found.hits.tolist(), found.p_low.tolist()) == ([9], [0], [0])
    assert found.prediction.tolist() == [ABSTAIN]


@pytest.mark.parametrize("alpha", [0.5, 0.3, 0.05, 0.001, 0.25, 1e-9])
def test_so_few_draws_that_nothing_follows_are_refused(alpha: float) -> None:
    least = next(n for n in range(1, 99) if alpha ** (1 / n) > 0.5)
    assert Smoothing(1.0, n=least, alpha=alpha).largest > 0
    if least > 1:
        with pytest.raises(Invalid, match=f"at least {least} at alpha"):
            Smoothing(1.0, n=least - 1, alpha=alpha)


def test_the_largest_radius_is_that_of_a_constant() -> None:
    smoothing = Smoothing(0.25, n=100, alpha=0.001)
    found = smoothing(lambda x: torch.zeros(len(x), dtype=torch.int64), torch.zeros(1, 2))
    assert float(found.radius) == pytest.approx(smoothing.largest, rel=1e-12)
    # Cohen et al. 2019, section 3.2.2: about 4 sigma with n = 100,000 and alpha = 0.001.
    assert Smoothing(1.0, n=100_000).largest == pytest.approx(3.81, abs=0.01)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("sigma", v) for v in (0, -1.0, math.inf, math.nan, "1", True)),
        *(("n", v) for v in (0, -5, 10.0, True, 1 << 32, 9)),
        *(("n0", v) for v in (0, 1.5)),
        *(("alpha", v) for v in (0, 1, -0.1, 1.1, math.nan)),
        ("batch_size", 0),
    ],
)
def test_bad_settings(name: str, value: object) -> None:
    with pytest.raises(Invalid, match=f"^{name} = "):
        Smoothing(**{"sigma": 0.5, name: value})  # type: ignore[arg-type]


ANSWERS: list[tuple[str, Callable[[Tensor], object]]] = [
    ("one score", lambda x: torch.zeros(len(x), 1)),
    ("float32 of shape", lambda x: torch.zeros(len(x))),
    ("bool of shape", lambda x: torch.zeros(len(x), dtype=torch.bool)),
    ("float32 of shape", lambda x: torch.zeros(1, 3)),
    ("int64 of shape", lambda x: torch.zeros(len(x), 3).long()),
    ("NoneType", lambda x: None),
    ("class = -1", lambda x: torch.full((len(x),), -1)),
    ("classes = ", lambda x: torch.zeros(len(x), 3 if len(x) == 10 else 4)),
    ("scores at one time", lambda x: torch.zeros((len(x), 3) if len(x) == 10 else len(x)).long()
     if len(x) != 10 else torch.zeros(len(x), 3)),
]  # fmt: skip


@pytest.mark.parametrize(("message", "model"), ANSWERS)
def test_answers_of_another_form(message: str, model: Callable[[Tensor], object]) -> None:
    with pytest.raises(Invalid, match=message):
        Smoothing(SIGMA, n0=10, n=20)(model, torch.zeros(1, 2))


def test_classes_that_do_not_match() -> None:
    x = torch.zeros(1, 12)
    with pytest.raises(Invalid, match="classes = 2"):
        Smoothing(SIGMA, n=20)(HalfSpace(), x, classes=3)
    with pytest.raises(Invalid, match="class = 4"):
        Smoothing(SIGMA, n=20)(lambda x: torch.full((len(x),), 4), x, classes=3)


@pytest.mark.parametrize(
    ("x", "ids", "message"),
    [
        (torch.zeros(1, 12).long(), None, "int64"),
        (torch.zeros(12), None, "shape"),
        ([[0.0]], None, "list"),
        (torch.zeros(2, 12), torch.tensor([0]), "one for each of 2"),
        (torch.zeros(1, 12), torch.tensor([-1]), "ids = -1"),
        (torch.zeros(1, 12), torch.tensor([1 << 31]), "ids = 2147483648"),
    ],
)
def test_bad_inputs(x: Tensor, ids: Tensor | None, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        Smoothing(SIGMA, n=20)(HalfSpace(), x, ids=ids)
    with pytest.raises(Invalid, match="seed"):
        Smoothing(SIGMA, n=20)(HalfSpace(), torch.zeros(1, 12), seed=-1)


def test_no_samples_give_no_rows() -> None:
    found = Smoothing(SIGMA)(HalfSpace(), torch.zeros(0, 12))
    assert [len(t) for t in fields(found)] == [0] * 6
