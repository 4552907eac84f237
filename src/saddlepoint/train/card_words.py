"""The sentences of a model card. They claim what was measured, and on what, and nothing more."""

import math
import re
from collections.abc import Mapping
from typing import Any

from saddlepoint.core.target import target_words
from saddlepoint.train.card_read import Record, undone

__all__ = [
    "NONE",
    "collapse_warning",
    "count",
    "duration",
    "goal",
    "guard_sentence",
    "in_words",
    "limits",
    "measured",
    "percent",
    "short",
    "title",
    "verdict",
    "warning",
]

GAP = "\u00a0"  # a number and its unit stay on one line
NONE = "\u2013"
_EPS = re.compile(r"\beps=(\d+\.?\d*(?:e-?\d+)?)")


def percent(share: float | None) -> str:
    """Return a share with one decimal.

    >>> percent(0.912).replace(GAP, " ")
    '91.2 %'
    """
    return f"{100 * share:.1f}{GAP}%" if share is not None and math.isfinite(share) else NONE


def count(n: int, noun: str) -> str:
    """Return a number with its noun.

    >>> count(1, "epoch"), count(1000, "epoch")
    ('1 epoch', '1,000 epochs')
    """
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def duration(seconds: float | None) -> str:
    """Return a time as a person would say it.

    >>> [duration(s).replace(GAP, " ") for s in (40.2, 754, 7320)]
    ['40.2 s', '12 min 34 s', '2 h 2 min']
    """
    if seconds is None or not math.isfinite(seconds):
        return NONE
    whole = round(seconds)
    if seconds < 60:
        return f"{seconds:.1f}{GAP}s"
    large, small, names = (whole // 60, whole % 60, "min s")
    if whole >= 3600:
        large, small, names = (whole // 3600, whole % 3600 // 60, "h min")
    first, second = names.split()
    return f"{large}{GAP}{first} {small}{GAP}{second}"


def short(spec: str) -> str:
    """Write a radius in 255ths where that is the very same number, and shorter.

    >>> short("Linf(eps=0.03137254901960784)"), short("Linf(eps=0.2)")
    ('Linf(eps=8/255)', 'Linf(eps=0.2)')
    """

    def fraction(found: re.Match[str]) -> str:
        eps = float(found[1])
        text = f"{round(eps * 255) if eps < 1 else 0}/255"
        same = int(text.split("/")[0]) / 255 == eps
        return f"eps={text}" if same and len(text) < len(found[1]) else found[0]

    return _EPS.sub(fraction, spec)


def _threat(record: Record) -> str:
    return short(str(record.plan.get("threat") or "an unrecorded threat model"))


def _trained(record: Record) -> str:
    begun = "trained" if record.history else "to be trained"
    if record.noisy:
        return f"{begun} on inputs with Gaussian noise"
    if record.sampled:
        return f"{begun} on random members of {_threat(record)}"
    return f"{begun} " + (
        "without an adversary" if record.natural else f"against {_threat(record)}"
    )


def goal(record: Record) -> str:
    """Return what the adversary of training wanted."""
    target = record.plan.get("target")
    return "Any wrong answer." if target is None else f"{target_words(str(target))}."


def title(record: Record) -> str:
    """Return what the model is, in one line."""
    on = f" on {record.data}" if record.data else ""
    return f"{record.arch or 'A model'}, {_trained(record)}{on}"


def _attacked(record: Record) -> str:
    """How many held-out samples the check attacked; a share of unknown data is not a number."""
    if attacked := record.measured.get("attacked"):
        return count(attacked, "sample")
    most, held_out = record.plan.get("check_n"), record.plan.get("held_out")
    if type(most) is not int:
        return "held-out samples"
    if type(held_out) is int:
        return count(min(most, held_out), "sample")
    return f"at most {count(most, 'sample')}"


def measured(record: Record) -> str:
    """Return what was measured on held-out training samples, and of which epoch.

    >>> row = {"epoch": 3, "clean": 0.989, "robust": 0.912}
    >>> plan = {"threat": "Linf(eps=0.3)", "check": "PGD()", "check_n": 1000, "held_out": 500}
    >>> record = Record(plan=plan, history=[row], best_epoch=3)
    >>> print(measured(record).replace(GAP, " "))  # doctest: +NORMALIZE_WHITESPACE
    Trained against Linf(eps=0.3). Held-out accuracy of the kept epoch 3: 98.9 % clean, 91.2 % under
    PGD(): an upper bound on robust accuracy, found by one attack on 500 samples.
    """
    trained, row = _trained(record), record.kept
    begin = f"{trained[0].upper()}{trained[1:]}."
    if not record.history:
        return f"{begin} No epoch was completed, so nothing was measured."
    if not row:
        return f"{begin} No epoch was kept, so no measurement describes these weights."
    said = f"{begin} Held-out accuracy of the kept epoch {row['epoch']}: {percent(row['clean'])}"
    if row["robust"] is None:
        return f"{said} clean; no attack was run on it, so its robustness is unknown."
    within = f" within {_threat(record)}" if record.natural or record.noisy else ""
    check = short(str(record.plan.get("check") or "the check attack"))
    text = (
        f"{said} clean, {percent(row['robust'])} under {check}{within}: an upper bound on robust "
        f"accuracy, found by one attack on {_attacked(record)}."
    )
    if row.get("certified") is None:
        return text
    return f"{text} Interval bounds certify {percent(row['certified'])} of these, in float32."


def verdict(record: Record) -> str:
    """Return the card's first sentence: the audit's number if there is one."""
    audit = record.audit
    if not audit:
        return measured(record)
    split, ends = audit.get("split") or "", audit["interval"]
    interval = f" (95{GAP}% interval {percent(ends[0])} to {percent(ends[1])})" if ends else ""
    clean = (
        f"; {percent(audit['clean'])} are right without attack"
        if audit["clean"] is not None
        else ""
    )
    wants = (
        "" if record.plan.get("target") is None else f". The adversary wants: {goal(record)[:-1]}"
    )
    return (
        f"Audited against {_threat(record)}: of {count(audit['n'], f'{split} sample'.strip())}, at "
        f"most {percent(audit['robust_at_most'])} withstand the attacks{interval}{clean}{wants}."
    )


def warning(record: Record) -> str:
    """Return what is wrong with a run that did not end as planned; empty for a complete one."""
    done = record.history[-1]["epoch"] if record.history else 0
    far = f"after epoch {done} of {record.plan.get('epochs') or 'an unknown number'}"
    far = far if done else "before any epoch was completed"
    weights = "The weights here are those of the best epoch until then." if done else ""
    said = {
        "complete": "",
        "training": f"This run is not finished: it is under way, or was killed, {far}.",
        "interrupted": f"This run was interrupted {far}; the same command continues it.",
        "diverged": f"This run diverged {far}: loss or weights stopped being finite numbers.",
        "collapsed": f"This run ended {far}: robustness collapsed under the strongest training "
        "attack that the guard knows.",
    }.get(_status(record), f"How this run ended is not known (status: {record.status or 'none'}).")
    return f"{said} {weights}".strip() if said else ""


def _status(record: Record) -> str:
    """How the run ended; folders of old call a collapse that nothing mended a divergence."""
    last = record.events[-1] if record.events else None
    gave_up = last is not None and undone(last) and not last.get("stronger")
    return "collapsed" if record.status == "diverged" and gave_up else record.status


def collapse_warning(record: Record) -> str:
    """Return how often training collapsed and whether that was mended; empty if it never did.

    The collapse that ended a run is told by ``warning``.
    """
    events = record.events[:-1] if _status(record) == "collapsed" else record.events
    if not events:
        return ""
    times = "once" if len(events) == 1 else f"{len(events)} times"
    mended = [undone(event) for event in events]
    what = " and was rolled back" if all(mended) else ""
    if not any(mended):
        what = "; the guard was off, and what followed was built on it"
    return f"Training collapsed {times}{what}: see below."


def guard_sentence(event: Mapping[str, Any]) -> str:
    """Say in full what the guard saw and did."""
    kept = event.get("kept")
    back = f"the weights of epoch {kept}" if kept else "what that epoch had learnt"
    weaker, stronger = (short(str(event.get(k) or "")) for k in ("weaker", "stronger"))
    went = "went back to" if kept else "started anew from"
    then = f"Training {went} {back} and on with the stronger training attack {stronger}."
    if not stronger:
        then = "The guard was off: nothing was done about it."
        if undone(event):
            then = "No stronger training attack is known: the epoch was dropped and training ended."
    best = f", after a best of {percent(event['best'])}" if event["best"] else ""
    return (
        f"Epoch {event['epoch']} collapsed (catastrophic overfitting: the model had learnt to beat "
        f"the training attack in place of the adversary): held-out accuracy was "
        f"{percent(event['own'])} under the training attack {weaker or '?'} and "
        f"{percent(event['robust'])} under the check attack{best}. {then}"
    )


def in_words(record: Record) -> str:
    """Return the size of a ball in plain words; empty for other sets.

    >>> in_words(Record(plan={"threat": "Linf(eps=0.1)"}, shape=[30]))
    'Every value of an input may move by at most 0.1.'
    """
    spec = str(record.plan.get("threat") or "")
    found = re.fullmatch(r"(Linf|L2|L1)\(eps=(\d+\.?\d*(?:e-?\d+)?)\)", spec)
    if not found:
        return ""
    eps = float(found[2])
    image = len(record.shape) == 3 and record.shape[0] in (1, 3)
    levels = f": {255 * eps:.3g} of the 255 steps of an 8-bit channel" if image else ""
    return {
        "Linf": f"Every value of an input may move by at most {eps:.4g}{levels}.",
        "L2": f"The change of an input has Euclidean length at most {eps:.4g}.",
        "L1": f"The changes of all values of an input add up to at most {eps:.4g}.",
    }[found[1]]


def limits(record: Record) -> list[str]:
    """Return what the numbers do not say, most important first."""
    merit = "certified" if record.bounded else "clean" if record.natural else "robust"
    proof = "Nothing is proved of other samples" if record.bounded else "No proof was attempted"
    said = [
        f"{proof}. Samples that withstood may fall to an attack that is stronger "
        "or was made for this model.",
        f"Held-out numbers flatter: among all epochs the one with the best {merit} held-out "
        "accuracy was kept, and its number is quoted.",
        f"Changes outside {_threat(record)}: larger ones, ones of another kind "
        "(another norm, view, light, a patch), and inputs that resemble no data at all.",
        "Poisoned training data, backdoors, and theft of the model through its answers.",
    ]
    if record.audit:
        return said
    return ["The check is one attack, made to be run after every epoch. An audit runs more.", *said]
