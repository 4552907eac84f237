"""Bounds from counts, against scipy's distributions and numbers that are known."""

import pytest
import torch
from scipy import stats

from saddlepoint.verify.binomial import fair_coin, lower_bound

ALPHAS = [0.05, 0.001, 1e-6]


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("n", [1, 2, 10, 137, 10_000, 1_000_000])
def test_the_bound_is_where_so_many_hits_have_probability_alpha(n: int, alpha: float) -> None:
    hits = torch.tensor(sorted({0, 1, n // 3, n // 2, n - 1, n}))
    for k, p in zip(hits.tolist(), lower_bound(hits, n, alpha).tolist(), strict=True):
        if k == 0:
            assert p == 0
        else:
            assert stats.binom.sf(k - 1, n, p) == pytest.approx(alpha, rel=1e-6)
            assert p == pytest.approx(
                stats.binomtest(k, n, alternative="greater").proportion_ci(1 - alpha).low, rel=1e-9
            )


def test_known_numbers() -> None:
    # All n agree: alpha^(1/n). 90 of 100: the low end of R's binom.test, 0.8238.
    assert lower_bound(torch.tensor([1000]), 1000, 0.001).item() == pytest.approx(0.001**0.001)
    assert lower_bound(torch.tensor([90]), 100, 0.025).item() == pytest.approx(0.8238, abs=5e-5)


@pytest.mark.parametrize("p", [0.5, 0.9, 0.999])
@pytest.mark.parametrize("alpha", ALPHAS[:2])
def test_the_bound_is_too_high_with_probability_alpha_at_most(p: float, alpha: float) -> None:
    n = 400
    k = torch.arange(n + 1)
    over = (lower_bound(k, n, alpha) > p).numpy()
    assert stats.binom.pmf(k.numpy(), n, p)[over].sum() <= alpha


def test_a_fair_coin() -> None:
    first = torch.tensor([0, 1, 5, 0, 600, 7, 60_000, 3])
    second = torch.tensor([0, 0, 0, 5, 500, 7, 59_000, 2])
    p = fair_coin(first, second)
    for a, b, value in zip(first.tolist(), second.tolist(), p.tolist(), strict=True):
        exact = stats.binomtest(a, a + b).pvalue if a + b else 1.0
        assert value == pytest.approx(exact, rel=1e-6)
