"""Health checks: each reads the evidence, never the model, and says what to do next."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.stats import clopper_pearson
from saddlepoint.core.ledger import Status

__all__ = ["CHECKS", "Finding", "examine"]

Verdict = Literal["ok", "warn", "fail", "inconclusive"]


@dataclass(frozen=True)
class Finding:
    """One check's verdict, what was measured, what it means and what to do."""

    check: str
    verdict: Verdict
    measured: str
    meaning: str
    next_step: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the finding with its field names as keys."""
        return asdict(self)


Check = Callable[[Evidence], Finding]


def clean_accuracy(e: Evidence) -> Finding:
    """Warn when the clean accuracy is not clearly better than guessing."""
    value, n = e.clean_accuracy, e.plan.n
    low, high = clopper_pearson(round(value * n), n, e.plan.confidence)
    said = f"{value:.1%} of {n} ({low:.1%} to {high:.1%}), guessing {1 / e.classes:.1%}"
    if low <= 1 / e.classes:
        return Finding(
            "clean accuracy",
            "warn",
            said,
            "too few samples, or too weak a model, to tell it from guessing",
            "audit more samples; check input range, label order and weights",
        )
    return Finding("clean accuracy", "ok", said, "the model works on unperturbed inputs")


def attack_errors(e: Evidence) -> Finding:
    """Fail when an attack raised: its samples are inconclusive, never robust."""
    failed = [f"{r.name}: {r.error.strip().splitlines()[-1]}" for r in e.rounds if r.error]
    if failed:
        return Finding(
            "attack errors",
            "fail",
            "; ".join(failed),
            "samples that this attack did not finish are inconclusive",
            "read the traceback in audit.json, repair the attack, and audit again",
        )
    return Finding("attack errors", "ok", "none", "every attack ran to its end")


def finite(e: Evidence) -> Finding:
    """Fail when scores or gradients were not finite."""
    rows = int((e.total("nonfinite") > 0).sum())
    if rows:
        return Finding(
            "finite answers",
            "fail",
            f"{rows} of {e.plan.n} samples met NaN or infinity",
            "where the model breaks down an attack is blind; such samples count as errors",
            "find the layer that overflows; scale the logits down",
        )
    return Finding("finite answers", "ok", "all", "scores and gradients were finite throughout")


def gradients(e: Evidence) -> Finding:
    """Warn when gradients vanish: attacks that follow them are blind (1802.00420)."""
    used, blind = np.zeros(e.n, dtype=np.bool_), np.zeros(e.n, dtype=np.bool_)
    for r in e.rounds:
        used[r.rows[r.backward > 0]] = True
        blind[r.rows[(r.backward > 0) & (r.zero_gradient * 2 > r.backward)]] = True
    if not used.any():
        return Finding(
            "gradients", "inconclusive", "none asked for", "no attack used gradients", ""
        )
    rows = int(blind.sum())
    if rows:
        share = rows / int(used.sum())
        return Finding(
            "gradients",
            "fail" if share > 0.1 else "warn",
            f"zero in most steps for {rows} samples ({share:.1%})",
            "gradient attacks cannot see these samples, so robust accuracy is overstated",
            "attack with loss='dlr' or 'margin' and with RandomSearch(); look for saturated "
            "outputs, rounding or detached layers in the model",
        )
    return Finding("gradients", "ok", "not zero", "gradient attacks had something to follow")


def batch_independence(e: Evidence) -> Finding:
    """Fail when an answer depends on the other samples of its batch."""
    gap = e.notes.get("batch_gap", 0.0)
    if not gap <= 1e-3:  # NaN is no small gap
        return Finding(
            "batch independence",
            "fail",
            f"scores move by {gap:.2g} of their size when a sample is asked about alone",
            "the verdict on a sample depends on its neighbours",
            "put batch normalisation into eval mode; remove operations across the batch",
        )
    return Finding("batch independence", "ok", f"{gap:.1g}", "each sample is judged by itself")


def repeatability(e: Evidence) -> Finding:
    """Warn when the same question gets different answers."""
    gap = e.notes.get("repeat_gap", 0.0)
    if not gap <= 1e-6:
        return Finding(
            "repeatability",
            "warn",
            f"scores move by {gap:.2g} of their size when asked twice",
            "the model is randomised; one draw decided each verdict here",
            "judge it by its expected answer: average the scores over draws inside the model",
        )
    return Finding("repeatability", "ok", "identical", "equal questions get equal answers")


def witnesses(e: Evidence) -> Finding:
    """Fail when the independent checker refused a witness."""
    broken = int(e.marked(Status.BROKEN).sum())
    if e.rejected:
        (round_, row), fault = next(iter(e.rejected.items()))
        return Finding(
            "witnesses",
            "fail",
            f"{len(e.rejected)} refused; sample {row} by {e.rounds[round_].name}: {fault}",
            "an attack returned inputs outside the threat model; those samples count as errors",
            "report it as a bug of the attack or of the threat model's projection",
        )
    return Finding(
        "witnesses", "ok", f"{broken} hold", "an independent checker re-verified every break"
    )


def unchanged(e: Evidence) -> Finding:
    """Fail when parameters or buffers changed while the model was only asked."""
    if e.model_changed:
        return Finding(
            "model unchanged",
            "fail",
            "hash differs",
            "its answers depend on earlier questions, so no result about it can be replayed",
            "find the layer that writes into a buffer in eval mode",
        )
    return Finding("model unchanged", "ok", "same hash", "the audit left no trace in the model")


CHECKS: tuple[Check, ...] = (
    clean_accuracy,
    attack_errors,
    finite,
    gradients,
    batch_independence,
    repeatability,
    witnesses,
    unchanged,
)


def examine(evidence: Evidence) -> list[Finding]:
    """Run every check."""
    return [check(evidence) for check in CHECKS]
