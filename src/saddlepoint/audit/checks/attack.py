"""Did the attacks do their work, and is what they found on record?"""

from saddlepoint.audit.checks.finding import Finding, probe
from saddlepoint.audit.evidence import Evidence, code
from saddlepoint.core.ledger import Status

__all__ = ["attack_errors", "silent_success", "witnesses"]


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


def silent_success(e: Evidence) -> Finding:
    """Fail when a point that breaks a sample was seen and not returned (2106.09947, I3).

    The oracle keeps the worst point of every search, so this finds bugs of this library.
    """
    lost = 0
    for r in e.rounds:
        survived, broken = r.status == code(Status.SURVIVED), r.status == code(Status.BROKEN)
        lost += int((survived & (r.margin > 0)).sum() + (broken & ~(r.margin > 0)).sum())
    kept = probe(e, "witnesses")
    missing = len(kept["without"]) if kept is not None else 0
    if lost or missing:
        return Finding(
            "silent success",
            "fail",
            f"{lost} verdicts contradict their margin; {missing} broken samples have no witness",
            "an attack succeeded and its result was lost",
            "report it as a bug of saddlepoint, with the run's folder",
        )
    return Finding(
        "silent success",
        "ok",
        "verdict, margin and witness agree for every sample",
        "whatever broke a sample was kept",
    )
