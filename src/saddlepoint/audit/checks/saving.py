"""Do the witnesses exist as images?"""

from saddlepoint.audit.checks.finding import Finding, probe, unmeasured
from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.stats import clopper_pearson

__all__ = ["rounding"]

_ENOUGH = 0.75


def rounding(e: Evidence) -> Finding:
    """Warn when many witnesses are gone once they are saved as 8-bit images."""
    check, said = "8-bit rounding", probe(e, "rounding")
    if said is None:
        return unmeasured(e, check, "rounding")
    hold, n = int(said["hold"]), int(said["witnesses"])
    text = f"{hold} of {n} witnesses still break the model after rounding towards x"
    if clopper_pearson(hold, n, e.plan.confidence)[1] < _ENOUGH:
        return Finding(
            check,
            "warn",
            text,
            "an adversary who must send 8-bit images is weaker than the one of this audit",
            "audit with --quantize uint8 if inputs arrive as images",
        )
    return Finding(check, "ok", text, "the breaks do not hang on fractions of a grey level")
