import sys
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, multinomial

from saddlepoint.audit.stats import at_most, clopper_pearson, mcnemar, paired_difference, unseen
from saddlepoint.core.errors import Invalid

SHARES = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(SHARES)
def test_tails(case: tuple[int, int]) -> None:
    hits, n = case
    low, high = clopper_pearson(hits, n, 0.9)
    assert 0 <= low <= hits / n <= high <= 1
    if hits:
        assert binom.sf(hits - 1, n, low) == pytest.approx(0.05, rel=1e-6)
    if hits < n:
        assert binom.cdf(hits, n, high) == pytest.approx(0.05, rel=1e-6)


@pytest.mark.parametrize("case", [(-1, 5, 0.95), (6, 5, 0.95), (0, 0, 0.95), (1, 5, 1.0)])
def test_refused(case: tuple[int, int, float]) -> None:
    with pytest.raises(Invalid):
        clopper_pearson(*case)
    with pytest.raises(Invalid):
        at_most(*case)


@given(SHARES)
def test_one_tail(case: tuple[int, int]) -> None:
    hits, n = case
    high = at_most(hits, n, 0.9)
    assert hits / n <= high <= 1
    if hits < n:
        assert binom.cdf(hits, n, high) == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize("m", [1, 59, 1000])
def test_no_hit_is_the_rule_of_three(m: int) -> None:
    assert at_most(0, m) == pytest.approx(1 - 0.05 ** (1 / m))
    assert at_most(0, m) <= 3 / m
    assert at_most(m, m) == 1.0


@pytest.mark.parametrize(("m", "share"), [(30, 0.02), (30, 0.4), (200, 0.1), (200, 0.99)])
def test_one_tail_covers(m: int, share: float) -> None:
    k = np.arange(m + 1)
    covers = np.array([share <= at_most(int(i), m) for i in k])
    assert binom.pmf(k, m, share)[covers].sum() >= 0.95


def test_intervals_do_without_a_slow_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)  # importing it would now fail
    assert clopper_pearson(90, 100)[0] < 0.9 < at_most(90, 100)


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_the_sum_of_the_tails(a: int, b: int) -> None:
    n = a + b
    tail = sum(comb(n, i) for i in range(min(a, b) + 1))
    assert mcnemar(a, b) == pytest.approx(min(1.0, 2 * tail / 2**n), rel=1e-12)
    assert mcnemar(a, b) == mcnemar(b, a)


# Fagerland, Lydersen, Laake (2014) on Cavo et al. (2012); a textbook's 10 against 2; extremes.
@pytest.mark.parametrize(
    ("a", "b", "p"), [(6, 16, 0.052479), (10, 2, 0.038574), (0, 0, 1.0), (0, 2000, 0.0)]
)
def test_mcnemar_as_published(a: int, b: int, p: float) -> None:
    assert mcnemar(a, b) == pytest.approx(p, abs=5e-7)


# Tango's interval in R: contingencytables on Cavo (2012), Bentur (2009); PropCIs at 90 %.
@pytest.mark.parametrize(
    ("b", "c", "n", "level", "low", "high"),
    [
        (6, 16, 161, 0.95, -0.1240, -0.0054),
        (1, 7, 21, 0.95, -0.517, -0.026),
        (28, 25, 618, 0.90, -0.0148, 0.0247),
    ],
)
def test_difference_as_published(
    b: int, c: int, n: int, level: float, low: float, high: float
) -> None:
    digits = 5e-4 if n == 21 else 5e-5
    assert paired_difference(b, c, n, level) == pytest.approx((low, high), abs=digits)


def test_difference_without_a_pair_that_disagrees() -> None:
    z2, n = 1.959963984540054**2, 50
    assert paired_difference(0, 0, n) == pytest.approx((-z2 / (n + z2), z2 / (n + z2)))
    low, high = paired_difference(n, 0, n)
    assert 0.85 < low < high == 1.0
    assert paired_difference(0, n, n) == (-high, -low)


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 40))
def test_difference_lies_within_and_mirrors(b: int, c: int, same: int) -> None:
    n = b + c + same + 1
    low, high = paired_difference(b, c, n)
    assert -1 <= low < (b - c) / n < high <= 1
    assert paired_difference(c, b, n) == pytest.approx((-high, -low), abs=1e-9)
    wide = paired_difference(b, c, n, 0.99)
    assert wide[0] < low < high < wide[1]


@pytest.mark.parametrize(("p_first", "p_second"), [(0.1, 0.1), (0.3, 0.1), (0.02, 0.2), (0.6, 0.3)])
def test_difference_covers(p_first: float, p_second: float) -> None:
    n, covered = 30, 0.0
    for b, c in product(range(n + 1), repeat=2):
        weight = (
            multinomial.pmf([b, c, n - b - c], n, [p_first, p_second, 1 - p_first - p_second])
            if b + c <= n
            else 0.0
        )
        if weight > 1e-6:
            low, high = paired_difference(b, c, n)
            covered += weight * (low <= p_first - p_second <= high)
    assert 0.935 < covered < 0.985


# EstimateS, as scikit-bio's tests quote it (species seen + unseen), rounded to two digits.
@pytest.mark.parametrize(
    ("once", "twice", "seen", "estimate", "low", "high"),
    [(3, 3, 9, 1.5, 0.17, 12.89), (2, 0, 4, 1.0, 0.08, 13.27)],
)
def test_unseen_as_published(
    once: int, twice: int, seen: int, estimate: float, low: float, high: float
) -> None:
    found = unseen(once, twice, seen)
    assert found.estimate == estimate
    assert found.interval == pytest.approx((low, high), abs=0.006)


# By the delta method for Poisson counts: estimate + k^2 (f1^3 / f2^2 + f1^4 / (4 f2^3)).
@pytest.mark.parametrize(
    ("runs", "estimate", "variance"),
    [(None, 12.5, 114.0625), (3, 25 / 3, 25 / 3 + 4 / 9 * 101.5625)],
)
def test_unseen_by_hand(runs: int | None, estimate: float, variance: float) -> None:
    found = unseen(10, 4, 30, runs)
    spread = np.exp(1.959963984540054 * np.sqrt(np.log1p(variance / estimate**2)))
    assert found.estimate == pytest.approx(estimate)
    assert found.interval == pytest.approx((estimate / spread, estimate * spread))


def test_unseen_where_the_counts_say_nothing() -> None:
    assert unseen(0, 5, 9).interval is None
    assert unseen(1, 0, 1).estimate == 0.0
    assert unseen(0, 0, 0).interval is None


def test_few_runs_have_missed_less() -> None:
    assert unseen(6, 4, 20, runs=3).estimate == pytest.approx(2 / 3 * unseen(6, 4, 20).estimate)
    assert unseen(6, 0, 20, runs=3).estimate == pytest.approx(2 / 3 * 15)


@pytest.mark.parametrize("unequal", [False, True])
def test_unseen_finds_what_the_runs_missed(unequal: bool) -> None:
    rng, runs, samples = np.random.default_rng(0), 4, 300
    p = rng.beta(2, 3, (400, samples)) if unequal else np.full((400, samples), 0.4)
    times = rng.binomial(runs, p)
    missed = (times == 0).sum(1)
    found = [
        unseen(int((row == 1).sum()), int((row == 2).sum()), int((row > 0).sum()), runs)
        for row in times
    ]
    mean = np.mean([f.estimate for f in found])
    if unequal:  # then it is a lower bound, and no more
        assert 0.5 * missed.mean() < mean < missed.mean()
        return
    assert mean == pytest.approx(missed.mean(), rel=0.05)
    within = [f.interval[0] <= m <= f.interval[1] for f, m in zip(found, missed, strict=True)]
    assert 0.92 < np.mean(within) < 0.999


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mcnemar(-1, 2), "only_first = -1"),
        (lambda: mcnemar(1, -2), "only_second = -2"),
        (lambda: paired_difference(3, 3, 5), "hits = 6"),
        (lambda: paired_difference(1, 1, 5, 1.0), "confidence"),
        (lambda: unseen(3, 3, 5), "at least once . twice = 6"),
        (lambda: unseen(3, 1, 5, runs=1), "one run cannot say"),
        (lambda: unseen(3, 1, 5, confidence=0.0), "confidence"),
    ],
)
def test_nonsense_is_refused(call: object, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        call()  # type: ignore[operator]
