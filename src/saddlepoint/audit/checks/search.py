"""Did the search come to its end, and does more of it find more?"""

from itertools import pairwise
from typing import Any

import numpy as np

from saddlepoint.audit.checks.finding import Finding, by_grid, probe, unmeasured
from saddlepoint.audit.evidence import Evidence, code
from saddlepoint.audit.stats import mcnemar
from saddlepoint.core.ledger import Status

__all__ = ["incomplete", "radius", "steps", "unbounded"]

_RISE = 0.02
_RARE = 0.05  # chance below which two shares of the same samples are called different


def _worse(more: set[int], less: set[int]) -> bool:
    """Whether an attack that should break more broke less, beyond what chance explains."""
    lost, gained = len(less - more), len(more - less)
    return lost - gained >= 2 and mcnemar(lost, gained) / 2 < _RARE


def incomplete(e: Evidence) -> Finding:
    """Warn when the search had not come to rest: one more run still raised its running best.

    The running best of the whole audit is scaled by what it had gained since the clean input.
    2106.09947 (I4) looks at the last ten steps of one run instead, which says little of steps that
    shrink towards the end and of several runs.
    """
    check, said = "incomplete optimisation", probe(e, "progress")
    if said is None:
        return unmeasured(e, check, "progress")
    left = e.verdict()[e.probes["index"]] == code(Status.SURVIVED)
    moved = _moved(e, np.array(said["margin"], dtype=np.float64))[left]
    # Over all samples: what a few survivors still hide moves robust accuracy little.
    rise, stood = float(moved.sum()) / len(left), _stood(e)
    text = (
        f"one more {said['attack']} raised the worst margin of {len(left)} samples, "
        f"{len(moved)} of them survivors, by {rise:.1%} of its way on average; short gradient "
        f"probes broke {stood} that the audit left"
    )
    if rise > _RISE or stood >= max(2, 0.03 * e.probes["n"]):
        return Finding(
            check,
            "warn",
            text,
            "the search stopped early, so robust accuracy is overstated",
            "--effort thorough, or Refine(rounds=5, keep=12) among the attacks"
            if by_grid(e)
            else "attack with more steps and restarts, such as the default attacks",
        )
    return Finding(check, "ok", text, "more steps would hardly find more")


def _moved(e: Evidence, margin: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """(m,) by how much of its way from the clean input each worst margin was raised."""
    index = e.probes["index"]
    clean, worst = e.rounds[0].margin[index].astype(np.float64), e.margin()[index]
    rise = np.maximum(margin - worst, 0) / np.maximum(worst - clean, 1e-12)
    moved: np.ndarray[Any, Any] = np.minimum(np.nan_to_num(rise), 1.0)
    return moved


def _stood(e: Evidence) -> int:
    """How many samples gradient probes broke that the audit left."""
    verdict = e.verdict()
    climb, few = probe(e, "progress"), probe(e, "steps")
    lists = [climb["broken"]] if climb is not None else []
    lists += few["broken"].values() if few is not None else []
    return len({i for rows in lists for i in rows if verdict[i] == code(Status.SURVIVED)})


def unbounded(e: Evidence) -> Finding:
    """Warn when samples withstand an attack that may replace the whole input (1902.06705)."""
    check, said = "unbounded attack", probe(e, "unbounded")
    if said is None:
        return unmeasured(e, check, "unbounded")
    left, n = len(said["left"]), int(e.probes["n"])
    text = f"{said['attack']} leaves {left} of {n} samples in {said['set']}"
    if left >= 2:
        return Finding(
            check,
            "fail" if left > 0.1 * n else "warn",
            text,
            "where any input is allowed nothing can be robust: the loss or the gradient misleads",
            "attack with another loss (dlr, margin) and with Square(); look for masked gradients",
        )
    return Finding(check, "ok", text, "the gradient leads out of the class when it may")


def steps(e: Evidence) -> Finding:
    """Warn when fewer steps break more samples than many (1802.00420, section 3)."""
    check, said, climb = "more steps break more", probe(e, "steps"), probe(e, "progress")
    if said is None or climb is None:
        return unmeasured(e, check, "steps" if said is None else "progress")
    broken = {**said["broken"], climb["attack"]: climb["broken"]}
    text = _counts(broken)
    *fewer, most = [set(rows) for rows in broken.values()]
    if any(_worse(most, less) for less in fewer):
        return Finding(
            check,
            "warn",
            text,
            "steps lead away from what one step finds: the gradient misleads",
            "attack with smaller steps, momentum and random starts, and with Square()",
        )
    return Finding(check, "ok", text, "steps add up, as they should")


def radius(e: Evidence) -> Finding:
    """Warn when a larger set yields fewer breaks, which its smaller one contains."""
    check, said = "larger radius breaks more", probe(e, "radius")
    if said is None:
        return unmeasured(e, check, "radius")
    sets = [set(rows) for rows in said["broken"].values()]
    text = _counts({f"{share} radii": rows for share, rows in said["broken"].items()})
    if any(_worse(more, less) for less, more in pairwise(sets)):
        return Finding(
            check,
            "warn",
            text,
            "an attack misses in a larger set what it finds in a smaller: it is lost there",
            "attack from several starts, with smaller steps and with Square()",
        )
    return Finding(check, "ok", text, "what breaks in a small set breaks in a larger")


def _counts(broken: dict[str, list[int]]) -> str:
    return "broken: " + ", ".join(f"{len(rows)} ({name})" for name, rows in broken.items())
