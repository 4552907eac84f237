"""Health checks: each reads the evidence, never the model, and says what to do next."""

from typing import Final

from saddlepoint.audit.checks import attack, gradient, masking, saving, search, subject, survivors
from saddlepoint.audit.checks.finding import Check, Finding
from saddlepoint.audit.evidence import Evidence

__all__ = ["CHECKS", "Check", "Finding", "examine"]

CHECKS: Final[tuple[Check, ...]] = (
    subject.clean_accuracy,
    subject.outputs,
    subject.input_range,
    subject.training_mode,
    subject.batch_independence,
    gradient.repeatability,
    subject.finite,
    subject.unchanged,
    attack.attack_errors,
    attack.witnesses,
    attack.silent_success,
    gradient.gradients,
    gradient.unstable,
    search.incomplete,
    search.steps,
    search.radius,
    search.unbounded,
    masking.black_box,
    masking.transfer,
    survivors.survivors,
    saving.rounding,
)


def examine(evidence: Evidence) -> list[Finding]:
    """Run every check."""
    return [check(evidence) for check in CHECKS]
