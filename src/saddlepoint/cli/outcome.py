"""What an audit prints when it is done: attacks, findings, the number and its two intervals."""

from typing import Any

from rich.table import Table
from rich.text import Text

from saddlepoint.audit import Audit
from saddlepoint.cli.console import OUT, percent

__all__ = ["attack_table", "print_outcome"]

Json = dict[str, Any]
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
    if document["plan"].get("suite") != "cascade":
        return ""
    return "stronger attacks: no survivor met the standard suite; --survivors 60 asks for it"


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
    OUT.print(
        Text(
            f"robust accuracy <= {percent(result.robust_accuracy)}  "
            f"({level} interval {percent(low)} to {percent(high)}; clean "
            f"{percent(result.clean_accuracy)}; n = {result.document['n']})",
            style="bold",
        )
    )
    if said := missed(result.document):
        OUT.print(Text(said))
