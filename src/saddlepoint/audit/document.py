"""audit.json: the result as one documented, versioned object."""

import os
import platform
import sys
from importlib import metadata
from typing import Any

import numpy as np
import torch

from saddlepoint.audit.asked import asked
from saddlepoint.audit.checks import Finding
from saddlepoint.audit.described import described
from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.heading import heading
from saddlepoint.audit.incompleteness import incompleteness
from saddlepoint.audit.proving.summary import verification
from saddlepoint.audit.randomness import randomness
from saddlepoint.audit.stats import clopper_pearson
from saddlepoint.core.expectation import Expectation
from saddlepoint.core.ledger import Status

__all__ = ["SCHEMA_VERSION", "document", "environment"]

SCHEMA_VERSION = "1.1"


def environment(device: str) -> dict[str, Any]:
    """Versions and hardware that a number may depend on."""
    cuda = device.startswith("cuda")
    return {
        "saddlepoint": metadata.version("saddlepoint"),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if cuda else device,
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def document(
    evidence: Evidence, findings: list[Finding], about: dict[str, Any], device: str
) -> dict[str, Any]:
    """Assemble the JSON object; ``about`` holds model, data and their hashes."""
    plan, n = evidence.plan, evidence.plan.n
    counts = _counts(evidence)
    right = round(evidence.clean_accuracy * n)
    return {
        **heading(SCHEMA_VERSION, about),
        "threat": _threat(evidence),
        "n": n,
        "clean_accuracy": evidence.clean_accuracy,
        "clean_interval": list(clopper_pearson(right, n, plan.confidence)),
        "robust_accuracy": robust_accuracy(evidence),
        "verification": verification(evidence),
        "counts": counts,
        "attacks": _attacks(evidence),
        "cost": _cost(evidence),
        "probes": {
            "samples": int(evidence.probes.get("n", 0)),
            "rows_forward": int(evidence.probes.get("rows_forward", 0)),
            "rows_backward": int(evidence.probes.get("rows_backward", 0)),
        },
        "randomness": randomness(evidence),
        "findings": [f.as_json() for f in findings],
        "model_sha256": about["model_sha256"],
        "data_sha256": about["data_sha256"],
        "plan": plan.describe(),
        "seed": plan.seed,
        "environment": environment(device),
        **({} if (found := asked(evidence)) is None else {"queries": found}),
        **({} if evidence.usage is None else {"usage": evidence.usage}),
        **({} if evidence.borrowed is None else {"borrowed": evidence.borrowed}),
        **({} if evidence.perceived is None else {"perceptual": evidence.perceived.as_json()}),
    }


def _cost(evidence: Evidence) -> dict[str, float]:
    """Passes per sample that the adversary pays for, and what the machine did."""
    rounds, n = evidence.rounds, evidence.plan.n
    return {
        "forward": sum(int(r.forward.sum()) for r in rounds) / n,
        "backward": sum(int(r.backward.sum()) for r in rounds) / n,
        "rows_forward": sum(r.rows_forward for r in rounds),
        "rows_backward": sum(r.rows_backward for r in rounds),
        "seconds": round(sum(r.seconds for r in rounds), 3),
    }


def _counts(evidence: Evidence) -> dict[str, int]:
    counts = {s.value: evidence.count(s) for s in Status}
    counts["clean_wrong"] = len(evidence.rounds[0].where(Status.BROKEN))
    if evidence.proofs is not None:
        counts["certified"] = int(evidence.proofs.certified.sum())
    if evidence.target is not None:
        counts["at_target"] = int(evidence.exempt.sum())
    return counts


def robust_accuracy(evidence: Evidence) -> dict[str, Any]:
    """Bracket the robust accuracy.

    upper: share of samples that nothing broke; errors and unattacked samples stay in, since they
    may be robust. lower: share that is proven, zero where nothing was verified. interval: for the
    population's share of samples that these attacks cannot break; its low end counts errors and
    unattacked samples as broken, its high end as robust. bracket: for the population's robust
    accuracy itself, whatever the attack: from proofs below, from attacks above. incompleteness:
    what stronger attacks might still break on these samples.
    """
    plan, n = evidence.plan, evidence.plan.n
    unbroken, survived = n - evidence.count(Status.BROKEN), evidence.count(Status.SURVIVED)
    certified = 0 if evidence.proofs is None else int(evidence.proofs.certified.sum())
    return {
        "upper": unbroken / n,
        "lower": certified / n,
        "bracket": [
            clopper_pearson(certified, n, plan.confidence)[0],
            clopper_pearson(unbroken, n, plan.confidence)[1],
        ],
        "interval": [
            clopper_pearson(survived, n, plan.confidence)[0],
            clopper_pearson(unbroken, n, plan.confidence)[1],
        ],
        "confidence": plan.confidence,
        "incompleteness": incompleteness(evidence),
    }


def _attacks(evidence: Evidence) -> list[dict[str, Any]]:
    """One object per round, in order, with what was left after it."""
    broken, said = np.zeros(evidence.n, dtype=np.bool_), []
    for r in evidence.rounds:
        before = int(broken.sum())
        broken[r.where(Status.BROKEN)] = True
        counts = {s.value: len(r.where(s)) for s in Status}
        counts["not_run"] += evidence.n - len(r.rows)
        said.append(
            {
                "spec": r.name,
                "arm": r.arm,
                "stage": r.stage,
                "evaluated": evidence.n - counts["not_run"],
                **counts,
                "newly_broken": int(broken.sum()) - before,
                "robust_accuracy_after": float(1 - broken.mean()),
                "forward": int(r.forward.sum()) / evidence.n,
                "backward": int(r.backward.sum()) / evidence.n,
                "seconds": round(r.seconds, 3),
                "message": r.error or None,
            }
        )
    return said


def _threat(evidence: Evidence) -> dict[str, Any]:
    plan = evidence.plan
    threat: Any = plan.threat
    inner: Any = getattr(threat, "threat", threat)
    name, eps = type(inner).__name__, getattr(inner, "eps", None)
    box = getattr(inner, "box", None)
    quantize = getattr(threat, "to_type", None) if inner is not threat else None
    return {
        "spec": repr(threat),
        "name": name,
        "eps": float(eps) if isinstance(eps, int | float) else None,
        "box": list(box) if box else None,
        "quantize": quantize,
        "access": plan.access,
        "goal": "untargeted" if plan.target is None else f"targeted: {plan.target}",
        "description": described(threat) + _seen(plan.under),
        **({} if plan.target is None else {"target": str(plan.target)}),
    }


def _seen(under: Expectation | None) -> str:
    """Say what lies before the model, and what then counts as broken."""
    if under is None:
        return ""
    return (
        f"; the model sees it under {under.distribution!r}, and errs on a broken one in more than "
        f"{under.level:.0%} of {under.trials} fresh draws by the lower end of a "
        f"{under.confidence:.0%} interval ({under.quorum} or more)"
    )
