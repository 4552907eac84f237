"""What a verification has shown, for audit.json and evidence.npz."""

from typing import Any

import numpy as np

from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.proving.proofs import FATES, Proofs
from saddlepoint.audit.stats import clopper_pearson
from saddlepoint.core.ledger import Status
from saddlepoint.verify.ladder import Rung

__all__ = ["by_proof", "verification"]

Array = np.ndarray[Any, Any]
Json = dict[str, Any]


def by_proof(e: Evidence) -> dict[str, Array]:
    """(n,) each, of an audit with a verification.

    proof: index into ``FATES``. rung: of the method that certified the sample, 0 where none did.
    bound: an upper bound on the margin, NaN where none was computed. subproblems: bounded for it.
    """
    p = e.proofs or Proofs.empty(e.n)
    return {
        "proof": fates(e, p),
        "rung": np.where(p.certified, p.rung, np.int8(0)),
        "bound": p.bound,
        "subproblems": p.spent,
    }


def fates(e: Evidence, p: Proofs) -> Array:
    """(n,) int8 index into ``FATES``: wrong when clean, broken, certified or undecided."""
    found = np.zeros(e.n, dtype=np.int8)
    found[p.certified] = FATES.index("certified")
    found[e.marked(Status.BROKEN)] = FATES.index("broken")
    found[e.rounds[0].where(Status.BROKEN)] = FATES.index("wrong")
    return found


def verification(e: Evidence) -> Json | None:
    """Return the object of audit.json; None where no verification was asked for.

    reason: why nothing could be verified, else null. finished: whether every open sample got all
    of its turns. unconfirmed: inputs of the search on which the model itself was right. refused:
    certificates that the checker did not accept.
    """
    p = e.proofs
    if p is None:
        return None
    fate = fates(e, p)
    counts = {name: int((fate == i).sum()) for i, name in enumerate(FATES)}
    by_search = {int(i) for r in e.rounds if r.stage == "branch" for i in r.where(Status.BROKEN)}
    return {
        "reason": p.reason or None,
        "finished": not p.unfinished and not p.reason,
        "counts": counts,
        "certified_interval": list(clopper_pearson(counts["certified"], e.n, e.plan.confidence)),
        "certified_by": p.by_rung(),
        "broken_by_search": len(by_search),
        "undecided": np.flatnonzero(fate == FATES.index("undecided")).tolist(),
        "unconfirmed": len(p.refuted),
        "refused": sum(int(fate[i] == FATES.index("undecided")) for i in p.refused),
        "subproblems": int(p.spent.sum()),
        "seconds": {k: round(v, 3) for k, v in p.seconds.items()},
        "sandwich": {rung.name: p.sandwiched.get(rung.name, 0) for rung in (Rung.IBP, Rung.CROWN)},
    }
