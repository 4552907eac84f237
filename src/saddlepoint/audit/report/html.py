"""Assembling the page: what each section shows, handed to the templates."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saddlepoint.audit.report import numerals, words
from saddlepoint.audit.report.arms import Arm, Overlap, arms, newly, overlap
from saddlepoint.audit.report.card import card
from saddlepoint.audit.report.classes import ClassTable, class_table
from saddlepoint.audit.report.effort import effort
from saddlepoint.audit.report.extremes import Group, extremes
from saddlepoint.audit.report.figures import Figure, overlay, run_figures
from saddlepoint.audit.report.gallery import Gallery, gallery
from saddlepoint.audit.report.insides import Insides, insides, side_by_side
from saddlepoint.audit.report.intervals import Range, ranges
from saddlepoint.audit.report.lights import Light, lights, summary
from saddlepoint.audit.report.proof import Proof, proof
from saddlepoint.audit.report.queries import queries
from saddlepoint.audit.report.run import Run
from saddlepoint.audit.report.untested import untested
from saddlepoint.audit.report.versus import caveats, comparison, names, paired, paired_words
from saddlepoint.core.errors import Invalid
from saddlepoint.core.files import write_bytes

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["write_report"]


@dataclass(frozen=True)
class Section:
    """Everything the page says about one run; the template only lays it out."""

    key: str
    name: str
    audit: Mapping[str, Any]
    verdict: str
    proven: str
    proof: Proof | None
    ranges: tuple[Range, Range]
    warnings: list[str]
    card: list[tuple[str, str]]
    figures: dict[str, Figure]
    arms: list[Arm]
    overlap: Overlap | None
    newly: list[int]
    classes: ClassTable | None
    gallery: Gallery | None
    extremes: list[Group]
    insides: Insides | None
    summary: list[tuple[str, int]]
    lights: list[Light]
    untested: list[str]
    replay: str
    noun: str
    plan: str


def _warnings(run: Run) -> list[str]:
    found = [words.interrupted(run.audit), words.unsettled(run.audit)]
    seen = int(run.broken.sum())
    if seen != run.audit["counts"]["broken"]:
        found.append(
            f"audit.json counts {run.audit['counts']['broken']} broken samples, evidence.npz "
            f"{seen}: one of the two was changed after the run. Do not rely on this report."
        )
    return [warning for warning in found if warning]


def _overlays(runs: Sequence[Run], labels: Sequence[str]) -> dict[str, Figure]:
    spent, asked = effort(runs, labels, "all"), queries(runs, labels, "all")
    return {**overlay(runs, labels), **spent, **asked}


def _section(run: Run, key: str, name: str) -> Section:
    folder = str(run.folder)
    spec = str(run.audit["model"].get("spec") or run.name)
    return Section(
        key=key,
        name=name,
        audit=run.audit,
        verdict=words.verdict(run.audit, len(run.witnesses)),
        proven=words.proven(run.audit),
        proof=proof(run.audit),
        ranges=ranges(run.audit),
        warnings=_warnings(run),
        card=card(run.audit),
        figures={
            **effort([run], [name], key),
            **queries([run], [name], key),
            **run_figures(run, key),
        },
        arms=arms(run.audit),
        overlap=overlap(run),
        newly=[newly(row) for row in run.audit["attacks"]],
        classes=class_table(run),
        gallery=gallery(run),
        extremes=extremes(run),
        insides=insides(run),
        summary=summary(run.audit),
        lights=lights(run.audit),
        untested=untested(run.audit),
        replay=f"saddlepoint replay {shlex.quote(folder)} --model {shlex.quote(spec)}",
        noun=words.noun(run.audit),
        plan=json.dumps(run.audit.get("plan") or {}, indent=2, sort_keys=True, ensure_ascii=False),
    )


def _pairs(runs: Sequence[Run]) -> list[str]:
    labelled = list(zip(names(runs), runs, strict=True))
    found = []
    for (a, first), (b, second) in combinations(labelled, 2):
        if (pair := paired(first, second)) is not None:
            found.append(paired_words(pair, a, b, f"{words.noun(first.audit)}s"))
    return found


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    env = Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,  # model and file names come from strangers
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("percent", "span", "count", "number", "passes", "rate", "duration"):
        env.filters[name] = getattr(numerals, name)
    return env


def _page(runs: Sequence[Run], title: str | None) -> str:
    from markupsafe import Markup

    labels = names(runs)
    sections = [
        _section(run, f"r{i}", name)
        for i, (run, name) in enumerate(zip(runs, labels, strict=True), 1)
    ]
    several = len(runs) > 1
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=title or ("Robustness compared" if several else f"Robustness of {labels[0]}"),
            css=Markup(_asset("page.css")),  # noqa: S704 - our own file
            sections=sections,
            comparison=comparison(runs) if several else "",
            caveats=caveats(runs) if several else [],
            pairs=_pairs(runs) if several else [],
            overlays=_overlays(runs, labels) if several else {},
            beside=side_by_side(runs) if several else [],
            colour=any(s.insides.colour for s in sections if s.insides),
        )
    )


def write_report(runs: Sequence[Run], path: str | Path, title: str | None = None) -> Path:
    """Write one self-contained HTML file about ``runs`` to ``path`` and return the path.

    One run gives a full report; several give a comparison first, then each run's sections. Equal
    runs give equal bytes. title: of the page; None names the models. Invalid when ``runs`` is empty
    or ``path`` is a folder.

    Example::

        write_report([Run.load("runs/natural"), Run.load("runs/robust")], Path("report.html"))
    """
    path = Path(path)
    if not runs:
        raise Invalid("runs", runs, "at least one run")
    if path.is_dir():
        raise Invalid("path", str(path), "a file, not a folder", f"try {path / 'report.html'}")
    page = _page(runs, title)
    # JSON may smuggle in half a surrogate pair, which UTF-8 cannot hold.
    write_bytes(path, page.encode("utf-8", errors="backslashreplace"))
    return path
