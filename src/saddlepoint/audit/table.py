"""The result as columns of equal length, which ``pandas.DataFrame`` and others take as they are."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from saddlepoint.audit.evidence import CODES, Evidence
from saddlepoint.audit.proving.proofs import FATES
from saddlepoint.audit.proving.summary import by_proof
from saddlepoint.verify.ladder import Rung

__all__ = ["by_round", "by_sample"]

Array = np.ndarray[Any, Any]
# Of the rounds, as audit.json names them.
_COUNTED = ("evaluated", "broken", "newly_broken", "survived", "error", "not_run")
_MEASURED = ("robust_accuracy_after", "forward", "backward", "seconds")


def _texts(values: list[str], which: Array) -> Array:
    """Repeat texts by reference: a column of fixed width would be many times as large."""
    return np.array([*values, ""], dtype=object)[which]


def by_sample(e: Evidence) -> dict[str, Array]:
    """(n,) each: index, label, prediction, status, margin, broken_by, forward, backward.

    prediction: of the clean input. status: ``broken | survived | error | not_run``. margin: the
    worst that any round reached, > 0 where broken, NaN where none ran. broken_by: the round that
    broke the sample first ("clean" where it was wrong as it is), "" where none did. target: of a
    targeted audit, the class to reach. forward,
    backward: passes that the adversary paid for. After a verification also proof: what came of it
    (``certified | broken | undecided | wrong``), rung: the method that certified the sample, ""
    where none did, and bound: an upper bound on the margin, NaN where none was computed.
    With a perceptual network also perceptual: its distance from input to witness, NaN without one.
    """
    return {
        "index": np.arange(e.n),
        "label": e.label.copy(),
        "prediction": e.prediction.astype(np.int64),
        **({} if e.target is None else {"target": e.target.copy()}),
        "status": _texts([s.value for s in CODES], e.verdict()),
        "margin": e.margin(),
        "broken_by": _texts([r.name for r in e.rounds], e.broken_by()),
        "forward": e.total("forward"),
        "backward": e.total("backward"),
        **({} if e.proofs is None else _proved(e)),
        **({} if e.perceived is None else {"perceptual": e.perceived.distance}),
    }


def _proved(e: Evidence) -> dict[str, Array]:
    said = by_proof(e)
    rungs = ["", *(r.name for r in Rung if r is not Rung.NONE)]
    return {
        "proof": _texts(list(FATES), said["proof"]),
        "rung": _texts(rungs, said["rung"]),
        "bound": said["bound"],
    }


def by_round(document: Mapping[str, Any]) -> dict[str, Array]:
    """One entry per round, in order: name, arm, stage, how many it met and broke, and its cost.

    forward, backward: passes, on average over all n samples.
    """
    rows = document["attacks"]
    texts = {"name": "spec", "arm": "arm", "stage": "stage"}
    return {
        **{k: np.array([r[of] for r in rows], dtype=object) for k, of in texts.items()},
        **{k: np.array([r[k] for r in rows]) for k in (*_COUNTED, *_MEASURED)},
    }
