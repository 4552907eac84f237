"""The hardest and the easiest samples: who fell at once, who barely stood, who stood far off."""

from dataclasses import dataclass

import numpy as np

from saddlepoint.audit.report.numerals import count, number
from saddlepoint.audit.report.pictures import image_uri, is_image, thumbnail
from saddlepoint.audit.report.run import Run
from saddlepoint.audit.report.words import noun

__all__ = ["Extreme", "Group", "extremes"]

TITLES = {
    "easy": "Broken with the fewest passes",
    "narrow": "Withstood most narrowly",
    "safe": "Withstood with the widest margin",
}
MEANING = {
    "easy": "What the model gets wrong first, and for whom an attack costs least.",
    "narrow": "The first to fall to a stronger attack: their worst margin is closest to 0.",
    "safe": "Nothing that was tried came near the decision boundary.",
}


@dataclass(frozen=True)
class Extreme:
    """One sample; ``image`` is empty where the input is none, ``taken_for`` where it stood."""

    index: int
    label: int
    taken_for: str
    margin: str
    passes: str
    attack: str
    image: str


@dataclass(frozen=True)
class Group:
    """The samples of one kind."""

    kind: str
    title: str
    meaning: str
    samples: tuple[Extreme, ...]


def _extreme(run: Run, i: int, box: tuple[float, float], pictured: bool) -> Extreme:
    s = run.samples
    fell = str(s["attack"][i]) != ""
    return Extreme(
        index=int(s["index"][i]),
        label=int(s["label"][i]),
        taken_for=str(int(s["pred"][i])) if fell else "",
        margin=number(float(f"{float(s['margin'][i]):.3g}")),
        passes=count(int(s["passes"][i])),
        attack=str(s["attack"][i]),
        image=image_uri(thumbnail(s["x"][i]), *box) if pictured else "",
    )


def extremes(run: Run) -> list[Group]:
    """Return the kinds of samples that the run stored, with pictures where inputs are images."""
    if not run.samples:
        return []
    low, high = (run.audit["threat"].get("box") or [0.0, 1.0])[:2]
    box = (float(low), float(high)) if high > low else (0.0, 1.0)
    pictured = is_image(run.samples["x"].shape[1:]) and noun(run.audit) == "image"
    found = []
    for kind, title in TITLES.items():
        rows = np.flatnonzero(run.samples["kind"] == kind)
        if len(rows):
            shown = tuple(_extreme(run, int(i), box, pictured) for i in rows)
            found.append(Group(kind, title, MEANING[kind], shown))
    return found
