"""The section about proofs: which method certified how many, what is proved, what stays open."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saddlepoint.audit.report.numerals import count, duration, percent, plural, span
from saddlepoint.audit.report.words import noun

__all__ = ["Proof", "proof"]

METHODS = (
    ("IBP", "Intervals", "one pass with an interval for every neuron"),
    ("CROWN", "CROWN", "linear bounds, propagated backwards"),
    ("ALPHA", "Optimised slopes", "the same with slopes that ascent improves"),
    ("BRANCH", "Branch and bound", "neurons are split until every part is bounded or one breaks"),
)
SHOWN = 200  # numbers of undecided samples


@dataclass(frozen=True)
class Proof:
    """What the page says about a verification; methods: (name, how, samples certified, width)."""

    reason: str
    said: str
    methods: list[tuple[str, str, int, float]]
    fates: list[tuple[str, str, int]]
    undecided: list[int]
    more: int
    ended: str
    bracket: str
    sandwich: str
    cost: str


def proof(audit: Mapping[str, Any]) -> Proof | None:
    """Return the section of a verification; None where none was asked for."""
    found = audit.get("verification")
    if not found:
        return None
    counts, things = found["counts"], f"{noun(audit)}s"
    by = [(name, how, int(found["certified_by"][key])) for key, name, how in METHODS]
    most = max([1, *(k for _, _, k in by)])
    search = found["broken_by_search"]
    return Proof(
        reason=found.get("reason") or "",
        said=_said(audit, counts, things),
        methods=[(*row, 100 * row[2] / most) for row in by],
        fates=[
            ("proven", "proven robust", counts["certified"]),
            ("open", "undecided", counts["undecided"]),
            (
                "broken",
                "broken" + (f", {count(search)} by the search" * bool(search)),
                counts["broken"],
            ),
            ("wrong", "wrong without any attack", counts["wrong"]),
        ],
        undecided=found["undecided"][:SHOWN],
        more=max(0, len(found["undecided"]) - SHOWN),
        ended=_ended(found),
        bracket=_bracket(audit, things),
        sandwich=_sandwich(found["sandwich"], things),
        cost=_cost(found),
    )


def _ended(found: Mapping[str, Any]) -> str:
    said = [] if found.get("finished", True) else ["The time was over before each had its turn."]
    if refused := found.get("refused"):
        said.append(f"Of these, {count(refused)} had a proof that the checker did not accept.")
    return " ".join(said)


def _said(audit: Mapping[str, Any], counts: Mapping[str, int], things: str) -> str:
    least = percent(audit["robust_accuracy"]["lower"])
    return (
        f"For {count(counts['certified'])} of {count(audit['n'])} {things} ({least}) bounds show "
        "that no input of the threat model makes any other class score higher, whatever the attack."
    )


def _bracket(audit: Mapping[str, Any], things: str) -> str:
    both = audit["robust_accuracy"].get("bracket")
    if not both:
        return ""
    level = f"{100 * audit['robust_accuracy'].get('confidence', 0.95):g}\u00a0%"
    return (
        f"On fresh {things} from the same source the true robust accuracy, against any attack, "
        f"lies from {span(both)} ({level}, Clopper–Pearson: below of what is proven, above of "  # noqa: RUF001
        "what is unbroken)."
    )


def _sandwich(met: Mapping[str, int], things: str) -> str:
    """Say which bounds were held against the attacks: a contradiction would have ended the run."""
    if not met.get("IBP"):
        return ""
    return (
        f"No bound contradicts an attack: {plural(met['IBP'], f'broken {things[:-1]}')} met bounds "
        f"as well, all of them intervals and {count(met.get('CROWN', 0))} CROWN, and no bound lies "
        "below the margin that a witness reached."
    )


def _cost(found: Mapping[str, Any]) -> str:
    spent = duration(sum(found["seconds"].values()))
    return f"{spent} of CPU time, {plural(found.get('subproblems') or 0, 'subproblem')}."
