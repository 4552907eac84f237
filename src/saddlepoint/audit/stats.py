"""Intervals and tests: what a finite sample says about the population."""

import math

from saddlepoint.core.errors import Invalid

__all__ = ["clopper_pearson", "sign_test"]


def clopper_pearson(hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact two-sided interval for a proportion (Clopper, Pearson 1934).

    low is the p at which ``hits`` or more has probability (1 - confidence) / 2, high the p at which
    ``hits`` or fewer has; both are quantiles of beta distributions.

    >>> low, high = clopper_pearson(90, 100)
    >>> print(f"{low:.4f} {high:.4f}")
    0.8238 0.9510
    """
    from scipy.stats import beta

    if not 0 <= hits <= n or n < 1:
        raise Invalid("hits", hits, f"a whole number in 0 … {n}, with n >= 1")
    if not 0 < confidence < 1:
        raise Invalid("confidence", confidence, "a number between 0 and 1")
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, hits, n - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, n - hits)) if hits < n else 1.0
    return low, high


def sign_test(wins: int, losses: int) -> float:
    """Chance of at least ``wins`` out of wins + losses when neither side is favoured.

    The exact one-sided form of McNemar's test: pairs in which both sides agree say nothing.

    >>> sign_test(5, 0)
    0.03125
    """
    n = wins + losses
    return float(sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n)
