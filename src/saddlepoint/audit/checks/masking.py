"""Do attackers without the model's gradient do better than those that have it?"""

from typing import Any

import numpy as np

from saddlepoint.audit.checks.finding import Finding, by_chance, by_grid, probe, unmeasured
from saddlepoint.audit.evidence import Evidence, code
from saddlepoint.core.ledger import Status

__all__ = ["black_box", "transfer"]

Mask = np.ndarray[Any, Any]
_POINTS = 0.002
_MASKED = "without the model's gradient more is found than with it: gradients are masked"
_NEXT = (
    "treat robust accuracy as overstated; put Square(n_queries=5000) among the attacks, and attack "
    "a copy of the model with smooth layers (BPDA)"
)


def _ran(e: Evidence, gradients: bool) -> tuple[Mask, Mask]:
    """(n,) samples that attacks with or without gradients were run on, and that these broke."""
    ran, broken = np.zeros(e.n, dtype=np.bool_), np.zeros(e.n, dtype=np.bool_)
    for r in e.attacks:
        if bool((r.backward > 0).any()) == gradients:
            finished = (r.status == code(Status.SURVIVED)) | (r.status == code(Status.BROKEN))
            ran[r.rows[finished & (r.forward > 0)]] = True
            broken[r.where(Status.BROKEN)] = True
    rival = probe(e, "black_box")
    if rival is not None:
        ran[rival["climbed" if gradients else "index"]] = True
        broken[rival["gradients" if gradients else "broken"]] = True
    few, climb = probe(e, "steps"), probe(e, "progress")
    if gradients and few is not None and climb is not None:
        ran[e.probes["index"]] = True
        for rows in (*few["broken"].values(), climb["broken"]):
            broken[rows] = True
    return ran, broken


def black_box(e: Evidence) -> Finding:
    """Warn when attacks without gradients break what none with them broke, on the same samples.

    Score searches are such attacks, and points made on surrogates or taken from earlier runs.

    Compared are the samples that both were run on, or that gradients broke. The threshold is that
    of the flags of AutoAttack (2003.01690): 0.2 points, and two samples at least.
    """
    check = "black box against gradients"
    if by_grid(e):
        return Finding(
            check,
            "inconclusive",
            "not compared: a grid searches the few parameters of this set better than ascent",
            "what grids alone break here is no sign of masked gradients",
        )
    if by_chance(e):
        return _pieces(check)
    (white, fell), (black, hit) = _ran(e, gradients=True), _ran(e, gradients=False)
    compared = white & (black | fell)
    if not (white & black).any() and probe(e, "black_box") is None:
        return unmeasured(e, check, "black_box")
    if not white.any():
        return Finding(check, "inconclusive", "no gradients", "there is nothing to compare with")
    only = int((compared & hit & ~fell).sum())
    share = only / max(1, int(compared.sum()))
    text = f"attacks without them alone broke {only} of {int(compared.sum())} samples ({share:.1%})"
    if only >= 2 and share > _POINTS:
        serious = only > 0.05 * int(white.sum())
        return Finding(check, "fail" if serious else "warn", text, _MASKED, _NEXT)
    return Finding(check, "ok", text, "gradients find what attacks without them find")


def transfer(e: Evidence) -> Finding:
    """Warn when points made on a blurred stand-in break what the model's own gradient did not."""
    check, said = "transfer against gradients", probe(e, "transfer")
    if by_chance(e):
        return _pieces(check)
    if said is None:
        return unmeasured(e, check, "transfer")
    _, fell = _ran(e, gradients=True)
    n = int(e.probes["n"])
    only = sum(not fell[i] for i in said["broken"])
    text = f"points made on {said['source']} alone broke {only} of {n} samples"
    if only >= 2 and only / n > _POINTS:
        return Finding(check, "fail" if only > 0.05 * n else "warn", text, _MASKED, _NEXT)
    return Finding(check, "ok", text, "the model's own gradient is the better guide")


def _pieces(check: str) -> Finding:
    return Finding(
        check,
        "inconclusive",
        "not compared: this set is in pieces, and gradients see only the one that they are in",
        "what other searches alone break here is no sign of masked gradients",
    )
