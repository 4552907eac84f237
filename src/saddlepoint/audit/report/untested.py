"""What an audit says nothing about: honest and short, the most important first."""

from collections.abc import Mapping
from typing import Any

from saddlepoint.audit.report.numerals import count, passes, plural
from saddlepoint.audit.report.words import noun, samples

__all__ = ["untested"]

Audit = Mapping[str, Any]


def _proof(audit: Audit) -> str:
    things, found = f"{noun(audit)}s", audit.get("verification")
    if found is None:
        if audit["robust_accuracy"]["lower"] > 0:
            return ""
        return f"Proof: none was attempted. The {things} that withstood may still fall."
    if found.get("reason"):
        return f"Proof: {found['reason']}. The {things} that withstood may still fall."
    left = found["counts"]["undecided"]
    if not left:
        return ""
    more = "" if found.get("finished") else " The time was over before each had its turn."
    return (
        f"Undecided: {plural(left, noun(audit))} neither fell nor {'was' if left == 1 else 'were'} "
        f"proven robust.{more}"
    )


def _arithmetic(audit: Audit) -> str:
    found = audit.get("verification")
    if not found or not found["counts"]["certified"]:
        return ""
    return (
        "Rounding: proofs are about exact arithmetic on the stored weights. A program that rounds "
        "otherwise may answer otherwise where a margin is within its rounding of 0."
    )


def _adaptive(audit: Audit) -> str:
    return (
        "Adaptive attacks: none was designed for this model by someone who studied it. Defences "
        "have often fallen to such an attack alone."
    )


def _budget(audit: Audit) -> str:
    cost = audit["cost"]
    limit = (audit.get("plan") or {}).get("max_passes")
    allowed = (
        f", of {passes(limit)} passes allowed"
        if isinstance(limit, int | float) and not isinstance(limit, bool)
        else ""
    )
    return (
        f"More effort: {passes(cost['forward'])} forward and {passes(cost['backward'])} backward "
        f"passes per {noun(audit)} were spent{allowed}. More steps, restarts or queries may break "
        "more."
    )


def _survivors(audit: Audit) -> str:
    things, found = f"{noun(audit)}s", audit["robust_accuracy"].get("incompleteness") or {}
    standing = audit["counts"]["survived"]
    met = found.get("audited")
    if not standing:
        return ""
    if not met:
        return f"Survivors: none of the {count(standing)} met a second, stronger suite."
    # Those that the suite broke stand no longer.
    left = standing - (met - (found.get("broken") or 0))
    if left <= 0:
        return ""
    return f"Survivors: {count(left)} of {count(standing)} {things} did not meet the full suite."


def _arms(audit: Audit) -> str:
    """Name the attacks of the plan that never ran, and the families that are absent."""
    planned = (audit.get("plan") or {}).get("attacks") or []
    ran = {a.get("arm") or a["spec"] for a in audit["attacks"]} | {
        a["spec"] for a in audit["attacks"]
    }
    idle = [str(a) for a in planned if a not in ran] if isinstance(planned, list) else []
    said = [f"planned but never run: {', '.join(idle)}"] if idle else []
    searches = ("Square", "RandomSearch", "Grid", "Refine")
    if not any(name in spec for spec in ran for name in searches):
        said.append("no search without gradients, which masked gradients cannot mislead")
    return f"Attacks: {'; '.join(said)}." if said else ""


def _access(audit: Audit) -> str:
    access = audit["threat"].get("access")
    if access == "gradients":
        return ""
    if access == "none":
        return (
            "Access: an adversary who gets answers, or has the weights; neither was granted here."
        )
    seen = f" ({access} only)" if access else ""
    return f"Access: an adversary who has the model's weights; none was granted here{seen}."


def _goal(audit: Audit) -> str:
    if audit["threat"].get("goal", "untargeted") == "untargeted":
        return ""
    return "Goals other than the one stated, such as any wrong answer at all."


def _transformations(audit: Audit) -> str:
    return (
        f"Other changes: anything outside {audit['threat']['spec']}, such as larger changes, "
        "changes of another kind (in another norm, of view, of light, by a patch), and inputs that "
        "resemble no data at all."
    )


def _storage(audit: Audit) -> str:
    if audit["threat"].get("quantize"):
        return ""
    return "Storage: whether each witness survives being stored with 8 bits per value."


def _elsewhere(audit: Audit) -> str:
    return "Poisoned training data, backdoors, and theft of the model through its answers."


def _data(audit: Audit) -> str:
    return (
        f"Data other than these {samples(audit)} of {audit['data']['name']}; the interval covers "
        "fresh samples of the same source only."
    )


def untested(audit: Audit) -> list[str]:
    """Return what this audit says nothing about, most important first."""
    parts = (
        _proof,
        _arithmetic,
        _adaptive,
        _survivors,
        _budget,
        _arms,
        _access,
        _goal,
        _transformations,
        _storage,
        _elsewhere,
        _data,
    )
    return [said for part in parts if (said := part(audit))]
