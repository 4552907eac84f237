"""Did a stronger suite break what the audit had called survivors?"""

from saddlepoint.audit.checks.finding import Finding
from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.incompleteness import incompleteness

__all__ = ["survivors"]

_MANY = 0.05  # of the survivors that met the suite


def survivors(e: Evidence) -> Finding:
    """Warn when the standard suite broke a survivor: the attacks before it had missed something."""
    check, found = "survivors' audit", incompleteness(e) or {}
    if "audited" not in found:
        return Finding(
            check,
            "inconclusive",
            "no survivor met the standard suite",
            "how much the attacks have missed on these samples was not measured",
            "--survivors 60, or --effort thorough",
        )
    met, broken = found["audited"], found["broken"]
    said = f"the standard suite broke {broken} of {met} random survivors"
    if broken:
        return Finding(
            check,
            "fail" if broken > _MANY * met else "warn",
            said,
            "attacks that are adaptive elsewhere were misled here, as masked gradients do; the "
            "interval for stronger attacks tells how far robust accuracy may fall",
            "--effort thorough; look for what masks the gradients",
        )
    share = f"at most {found['share_at_most']:.1%} of all can be broken by it"
    return Finding(check, "ok", f"{said}: {share}", "the attacks missed little that is known")
