"""Intervals and tests: what a finite sample says about the population."""

from dataclasses import dataclass
from math import exp, log, sqrt

from saddlepoint.core.errors import Invalid
from saddlepoint.core.whole import require_whole

__all__ = ["Unseen", "at_most", "clopper_pearson", "dkw", "mcnemar", "paired_difference", "unseen"]


def clopper_pearson(hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact two-sided interval for a proportion (Clopper, Pearson 1934).

    low is the p at which ``hits`` or more has probability (1 - confidence) / 2, high the p at which
    ``hits`` or fewer has; both are quantiles of beta distributions.

    >>> low, high = clopper_pearson(90, 100)
    >>> print(f"{low:.4f} {high:.4f}")
    0.8238 0.9510
    """
    from scipy.special import betaincinv  # scipy.stats takes a second to import

    _check_share(hits, n)
    _check_confidence(confidence)
    tail = (1 - confidence) / 2
    low = float(betaincinv(hits, n - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0
    return low, high


def at_most(hits: int, n: int, confidence: float = 0.95) -> float:
    """Exact one-sided upper bound of a proportion (Clopper, Pearson 1934).

    The p at which ``hits`` or fewer has probability 1 - confidence. Where a stronger suite of
    attacks went over n survivors of an audit and broke ``hits`` of them, no more than this share
    of all survivors can be broken by it. Without a hit it is 1 - 0.05^(1/n), about 3/n.

    >>> print(f"{at_most(0, 100):.4f} {at_most(2, 100):.4f}")
    0.0295 0.0616
    """
    from scipy.special import betaincinv

    _check_share(hits, n)
    _check_confidence(confidence)
    return float(betaincinv(hits + 1, n - hits, confidence)) if hits < n else 1.0


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p of McNemar's exact test: do the pairs that disagree split evenly?

    Of pairs judged twice, ``only_first`` were hit the first time only and ``only_second`` the
    second time only; without a difference each is the toss of a fair coin.

    >>> mcnemar(0, 5), mcnemar(7, 7)
    (0.0625, 1.0)
    """
    from scipy.stats import binomtest

    _check_counts(only_first=only_first, only_second=only_second)
    disagree = only_first + only_second
    if not disagree:
        return 1.0
    return float(binomtest(min(only_first, only_second), disagree).pvalue)


def paired_difference(
    only_first: int, only_second: int, n: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Score interval for the difference p1 - p2 of two proportions of the same n (Tango 1998).

    All differences d that a score test would not reject: |b - c - n d| <= z sqrt(n v(d)), with b
    and c pairs hit in one case only and v(d) the variance under the most likely q = P(second only)
    given d. It holds its level for few pairs, and for none that disagree.

    Source: T. Tango, Statistics in Medicine 17 (1998) 891-908.

    >>> low, high = paired_difference(6, 16, 161)
    >>> print(f"{low:.4f} {high:.4f}")
    -0.1240 -0.0054
    """
    _check_counts(only_first=only_first, only_second=only_second)
    _check_share(only_first + only_second, n)
    z = _z(confidence)
    # Exchanging the two mirrors the interval, so one end is all that has to be solved for.
    return -_score_high(only_second, only_first, n, z), _score_high(only_first, only_second, n, z)


def _score_high(b: int, c: int, n: int, z: float) -> float:
    from scipy.optimize import brentq

    def excess(d: float) -> float:
        linear = (2 * n - b + c) * d - b - c
        q = (sqrt(max(0.0, linear**2 + 8 * n * c * d * (1 - d))) - linear) / (4 * n)
        return float((b - c - n * d) ** 2 - z**2 * n * (2 * q + d * (1 - d)))

    if b == n:
        return 1.0
    # The difference itself may be a root as well (no pair disagrees): start beside it.
    return float(brentq(excess, (b - c) / n + 1e-12, 1.0, xtol=1e-12))


@dataclass(frozen=True)
class Unseen:
    """How many were never seen: a lower bound's estimate, and its interval where it has one."""

    estimate: float
    interval: tuple[float, float] | None


def unseen(
    once: int, twice: int, seen: int, runs: int | None = None, confidence: float = 0.95
) -> Unseen:
    """Estimate from repeated runs how many breakable samples no run has broken (Chao 1984, 1987).

    ``seen`` samples were broken by some run, ``once`` of them by one run and ``twice`` by two; f1
    and f2 below. However unequal the samples are, at least k f1^2 / (2 f2) more can be expected
    to break, k f1 (f1 - 1) / 2 where f2 = 0, with k = (runs - 1) / runs, or 1 for many runs. The
    interval is log-normal; None where the estimate is 0, about which these counts say nothing.

    Source: A. Chao, Biometrics 43 (1987) 783-791; R. Colwell, EstimateS, for f2 = 0.

    >>> found = unseen(once=3, twice=3, seen=9)
    >>> print(f"{found.estimate} {found.interval[0]:.2f} {found.interval[1]:.2f}")
    1.5 0.17 12.88
    """
    _check_counts(once=once, twice=twice, seen=seen)
    if once + twice > seen:
        raise Invalid("seen", seen, f"at least once + twice = {once + twice}")
    if runs is not None and runs < 2:
        raise Invalid("runs", runs, "at least 2", "one run cannot say what it has missed")
    z, k = _z(confidence), 1.0 if runs is None else (runs - 1) / runs
    f1, f2 = float(once), float(twice)
    estimate = k * f1 * (f1 - 1) / 2 if f2 == 0 else k * f1**2 / (2 * f2)
    if estimate == 0:
        return Unseen(0.0, None)
    if f2 == 0:
        square = f1 * (2 * f1 - 1) ** 2 - f1**4 / (seen + estimate)
        variance = k * f1 * (f1 - 1) / 2 + k**2 * square / 4
    else:
        r = f1 / f2
        variance = f2 * (k * r**2 / 2 + k**2 * r**3 + k**2 * r**4 / 4)
    spread = exp(z * sqrt(log(1 + variance / estimate**2)))
    return Unseen(estimate, (estimate / spread, estimate * spread))


def _z(confidence: float) -> float:
    from statistics import NormalDist

    _check_confidence(confidence)
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _check_share(hits: int, n: int) -> None:
    if not 0 <= hits <= n or n < 1:
        raise Invalid("hits", hits, f"a whole number in 0 … {n}, with n >= 1")


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise Invalid("confidence", confidence, "a number between 0 and 1")


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if value < 0:
            raise Invalid(name, value, "a count of at least 0")


def dkw(n: int, confidence: float = 0.95) -> float:
    """Half width of a band around an empirical distribution that holds all of the true one.

    P(sup |F_n - F| > t) <= 2 exp(-2 n t^2) (Dvoretzky, Kiefer, Wolfowitz 1956; constant by Massart
    1990), whatever F is.

    >>> print(f"{dkw(1000):.4f}")
    0.0429
    """
    require_whole("n", n)
    _check_confidence(confidence)
    return sqrt(log(2 / (1 - confidence)) / (2 * n))
