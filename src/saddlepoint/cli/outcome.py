"""What an audit prints when it is done: attacks, findings, both ends of the number, intervals."""

from typing import Any

from rich.table import Table
from rich.text import Text

from saddlepoint.audit import Audit
from saddlepoint.audit.paid import paid
from saddlepoint.audit.report.borrowed import borrowed_words
from saddlepoint.cli.console import OUT, percent

__all__ = ["attack_table", "print_outcome", "proof_table", "proved"]

Json = dict[str, Any]
METHODS = {
    "IBP": "intervals",
    "CROWN": "linear bounds (CROWN)",
    "ALPHA": "optimised slopes",
    "BRANCH": "branch and bound",
}
_SUMS = ("evaluated", "newly_broken", "error", "forward", "backward", "seconds")


def by_arm(attacks: list[Json]) -> list[Json]:
    """Sum the rounds of each attack, in the order in which they came first."""
    found: dict[str, Json] = {}
    for a in attacks:
        row = found.setdefault(a["arm"], {"arm": a["arm"], "rounds": 0, **dict.fromkeys(_SUMS, 0)})
        row["rounds"] += 1
        for name in _SUMS:
            row[name] += a[name]
    return list(found.values())


def attack_table(document: Json) -> Table:
    """One row per attack: how often it ran, on how many, what it newly broke, what it cost."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("attack", overflow="fold", min_width=30)
    for name in ("rounds", "tried on", "broke", "errors", "passes f/b", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for a in by_arm(document["attacks"]):
        table.add_row(
            Text(a["arm"]),
            str(a["rounds"]),
            str(a["evaluated"]),
            str(a["newly_broken"]),
            str(a["error"]),
            f"{a['forward']:.1f}/{a['backward']:.1f}",
            f"{a['seconds']:.1f}",
        )
    return table


def aimed(document: Json) -> str:
    """Say what robust means in a targeted audit; empty for any other."""
    target, left = document["threat"].get("target"), document["counts"].get("at_target", 0)
    if target is None:
        return ""
    other = document["n"] - left
    free = f"{(other - document['counts']['broken']) / other:.2%}" if other else "none"
    return (
        f"targeted ({target}): robust means not moved to the target. {left} samples have it as "
        f"their label and count as such; of the other {other}, at most {free} withstand"
    )


def missed(document: Json) -> str:
    """Say what the survivors' audit found, or why there was none; "" for attacks in order."""
    robust = document["robust_accuracy"]
    found = robust["incompleteness"] or {}
    if "audited" in found:
        return (
            f"stronger attacks: the standard suite broke {found['broken']} of {found['audited']} "
            f"random survivors, so it breaks at most {percent(found['share_at_most'])} of all and "
            f"leaves at least {percent(found['low'])} (one-sided)"
        )
    if not document["counts"]["survived"]:
        return ""
    limit = document["plan"].get("max_queries")
    if limit and document["plan"]["access"] != "gradients":
        return f"stronger attacks: more than {limit:,} queries for a sample may break more"
    if document["plan"].get("suite") != "cascade":
        return ""
    return "stronger attacks: no survivor met the standard suite; --survivors 60 asks for it"


def queried(document: Json) -> str:
    """Say how many queries the broken samples took; "" where nobody counted, or none broke."""
    said = document.get("queries")
    if not said or not said["broken"]:
        return ""
    left = ", ".join(
        f"{percent(a['robust_accuracy'])} after {a['queries']:,}" for a in said["after"]
    )
    return (
        f"queries until a break: {said['median']:.4g} in the median, {said['mean']:.4g} on average "
        f"({said['broken']} samples); accuracy left: {left}"
    )


def proof_table(found: Json) -> Table:
    """One row per method: how many samples it certified, and the CPU time it took."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("proved by")
    for name in ("samples", "CPU seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    spent = dict(found["seconds"])
    # CROWN and optimised slopes share their work.
    joint = spent.pop("BOUNDS", 0.0) + spent.get("IBP", 0.0) + spent.get("CROWN", 0.0)
    times = {"ALPHA": joint, "BRANCH": spent.get("BRANCH", 0.0)}
    for name, count in found["certified_by"].items():
        table.add_row(METHODS[name], str(count), f"{times[name]:.1f}" if name in times else "")
    return table


def proved(document: Json) -> str:
    """Say what is certified, broken, undecided and wrong; "" where nothing was to be verified."""
    found = document["verification"]
    if found is None:
        return ""
    if found["reason"]:
        return f"not verified: {found['reason']}"
    counts = found["counts"]
    low, high = document["robust_accuracy"]["bracket"]
    ended = "" if found["finished"] else "; the time was over before all had their turns"
    if found["refused"]:
        ended += f"; of the undecided, {found['refused']} had a proof that the checker refused"
    return (
        f"proved robust: {counts['certified']} of {document['n']}, {counts['broken']} broken, "
        f"{counts['undecided']} undecided, {counts['wrong']} wrong without any attack{ended}; "
        f"against any attack, on fresh samples: {percent(low)} to {percent(high)}"
    )


def seen(document: Json) -> str:
    """Say how far the witnesses are as a network sees them; "" where none was given."""
    found = document.get("perceptual")
    if not found or not found["quartiles"]:
        return ""
    _, low, middle, high, most = found["quartiles"]
    return (
        f"perceptual distance of {found['witnesses']} witnesses: median {middle:.3g}, "
        f"half between {low:.3g} and {high:.3g}, at most {most:.3g}"
    )


def print_outcome(result: Audit) -> None:
    """Print tables and sentences."""
    OUT.print()
    OUT.print(attack_table(result.document))
    OUT.print()
    for finding in result.findings:
        if finding.verdict in ("warn", "fail"):
            said = f"{finding.verdict}: {finding.check}: {finding.measured}. {finding.next_step}"
            OUT.print(Text(said, style="bold red" if finding.verdict == "fail" else "yellow"))
    low, high = result.interval
    level = f"{100 * result.document['robust_accuracy']['confidence']:g} %"
    found = result.document["verification"]
    verified = found is not None and not found["reason"]
    if verified:
        OUT.print(proof_table(found))
        OUT.print()
    least = f"{percent(result.certified_accuracy)} <= " if verified else ""
    OUT.print(
        Text(
            f"{least}robust accuracy <= {percent(result.robust_accuracy)}  "
            f"({level} interval {percent(low)} to {percent(high)}; clean "
            f"{percent(result.clean_accuracy)}; n = {result.document['n']})",
            style="bold",
        )
    )
    parts = (aimed, proved, borrowed_words, queried, missed, seen)
    for said in (*(f(result.document) for f in parts), paid(result.document.get("usage"))):
        if said:
            OUT.print(Text(said))
