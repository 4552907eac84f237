"""Is there a gradient to follow, and does it mean anything a step further on?"""

import numpy as np

from saddlepoint.attacks import NoisyPGD
from saddlepoint.audit.checks.finding import Finding, by_grid, probe, unmeasured
from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.randomness import randomised, success

__all__ = ["gradients", "repeatability", "unstable"]

_SURROGATE = (
    "attack with loss='dlr' or 'margin' and with Square(); look for saturated outputs, rounding or "
    "detached layers, and attack a copy of the model with a smooth layer in their place (BPDA)"
)
_AVERAGE = "average over its randomness: --eot 20 --votes 21"

_VOTED = (
    "the model is randomised: attacks followed the mean of several draws, and each verdict is that "
    "of most fresh draws"
)

_SEEN = (
    "the model sees inputs under random transformations: attacks followed the mean over draws, and "
    "each verdict is by the success rate over fresh ones"
)


def _blind(e: Evidence) -> tuple[int, int]:
    """Count the samples that were asked for gradients, and those for which most were zero.

    Gradients at noisy points are left out: they are not zero where those of the samples are.
    """
    used, blind = np.zeros(e.n, dtype=np.bool_), np.zeros(e.n, dtype=np.bool_)
    for r in (r for r in e.rounds if NoisyPGD.__name__ not in r.arm):
        used[r.rows[r.backward > 0]] = True
        blind[r.rows[(r.backward > 0) & (r.zero_gradient * 2 > r.backward)]] = True
    climb = probe(e, "progress")
    if not used.any() and climb is not None and not by_grid(e):
        return int(e.probes["n"]), int(climb["blind"])
    return int(used.sum()), int(blind.sum())


def gradients(e: Evidence) -> Finding:
    """Warn when gradients vanish or fail: attacks that follow them are blind (1802.00420)."""
    used, blind = _blind(e)
    refused = e.probes.get("progress", {}).get("skipped", "")
    if by_grid(e):
        return Finding(
            "gradients",
            "inconclusive" if blind or not used else "ok",
            f"zero in most steps for {blind} of {used} samples that were asked for gradients",
            "a grid searches the few parameters of this set: the result does not hang on gradients",
        )
    if not used and refused and e.plan.access == "gradients":
        return Finding(
            "gradients",
            "fail",
            f"the backward pass fails: {refused}",
            "gradient attacks cannot be run at all, and score searches are weak",
            _SURROGATE,
        )
    if not used:
        return Finding("gradients", "inconclusive", "none asked for", "no attack used gradients")
    if blind:
        return Finding(
            "gradients",
            "fail" if blind > 0.1 * used else "warn",
            f"zero in most steps for {blind} samples ({blind / used:.1%})",
            "gradient attacks cannot see these samples, so robust accuracy is overstated",
            _SURROGATE,
        )
    return Finding("gradients", "ok", "not zero", "gradient attacks had something to follow")


def unstable(e: Evidence) -> Finding:
    """Warn when the loss jumps between neighbours (2106.09947, I2)."""
    said = probe(e, "neighbourhood")
    if said is None:
        return unmeasured(e, "unstable predictions", "neighbourhood")
    change, points = said["change"], said["points"]
    where = "the set" if said.get("radius", 0) == 0 else f"a radius of {said['radius']:.3g}"
    text = f"the loss changes by {change:.1%} on average over {points} random points within {where}"
    if change > 0.1:
        return Finding(
            "unstable predictions",
            "warn",
            text,
            "a gradient says little about the next point, so gradient attacks may be lost",
            f"try Square() and more restarts; if the model is randomised, {_AVERAGE}",
        )
    return Finding("unstable predictions", "ok", text, "the loss is smooth around the samples")


def repeatability(e: Evidence) -> Finding:
    """Warn when the same question gets different answers."""
    gap, again = e.notes.get("repeat_gap", 0.0), probe(e, "repeats")
    if again is not None:
        gap = max(gap, float(again["gap"]))
    if not randomised(e):
        return Finding("repeatability", "ok", "identical", "equal questions get equal answers")
    said = f"scores move by {gap:.2g} of their size when asked again"
    if again is not None:
        asked = f"{again['disagree']} of {e.probes['n']} samples"
        said += f"; {asked} change class within {again['passes']} passes"
    if e.plan.votes > 1 and e.plan.eot > 1:
        why = _VOTED if e.plan.under is None else _SEEN
        return Finding("repeatability", "ok", said + _voted(e), why)
    return Finding(
        "repeatability",
        "warn",
        said,
        "the model is randomised, and one draw decided each verdict or each step of an attack",
        _AVERAGE,
    )


def _voted(e: Evidence) -> str:
    """How the witnesses fared at fresh draws."""
    found = success(e)
    if found is None:
        return ""
    rate, low, high = found
    return (
        f"; the {len(e.hits)} witnesses work at {rate:.1%} of fresh draws ({low:.1%} to {high:.1%} "
        "over the model's randomness)"
    )
