import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from saddlepoint.audit.stats import clopper_pearson
from saddlepoint.core.errors import Invalid


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
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
