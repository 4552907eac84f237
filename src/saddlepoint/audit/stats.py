"""Intervals: what a finite sample says about the population."""

import math

from saddlepoint.core.errors import Invalid

__all__ = ["clopper_pearson", "dkw"]


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


def dkw(n: int, confidence: float = 0.95) -> float:
    """Half width of a band around an empirical distribution that holds all of the true one.

    P(sup |F_n - F| > t) <= 2 exp(-2 n t^2) (Dvoretzky, Kiefer, Wolfowitz 1956; constant by Massart
    1990), whatever F is.

    >>> print(f"{dkw(1000):.4f}")
    0.0429
    """
    if n < 1:
        raise Invalid("n", n, "a whole number of at least 1")
    if not 0 < confidence < 1:
        raise Invalid("confidence", confidence, "a number between 0 and 1")
    return math.sqrt(math.log(2 / (1 - confidence)) / (2 * n))
