"""The gallery: witnesses beside the inputs they come from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saddlepoint.audit.report.files import Arrays
from saddlepoint.audit.report.numerals import number, percent
from saddlepoint.audit.report.pictures import difference, image_uri, is_image, magnification
from saddlepoint.audit.report.run import Run

__all__ = ["Change", "Gallery", "Witness", "gallery"]

SHOWN = 10  # witnesses in a report
FEATURES = 5  # changed values listed for an input that is not an image


@dataclass(frozen=True)
class Change:
    """One value of an input before and after; ``start`` and ``width`` place its bar, in percent."""

    feature: int
    before: str
    after: str
    delta: str
    start: float
    width: float
    raised: bool


@dataclass(frozen=True)
class Witness:
    """One broken sample, ready to print; either ``images`` or ``changes`` is empty.

    told: what the parameters do, in sets that have some; else empty.
    """

    index: int
    label: int
    before: int
    after: int
    sure_before: str
    sure_after: str
    attack: str
    largest: str
    changed: str
    perceptual: str  # empty where no network measured it
    told: str
    images: tuple[tuple[str, str], ...]
    changes: tuple[Change, ...]
    look: str = ""  # how a patch would print


@dataclass(frozen=True)
class Gallery:
    """The witnesses shown and the factor their differences are magnified by."""

    witnesses: tuple[Witness, ...]
    factor: str
    total: int
    tabular: bool


def _changes(x: NDArray[Any], x_adv: NDArray[Any], box: tuple[float, float]) -> tuple[Change, ...]:
    before, after = x.ravel().astype(float), x_adv.ravel().astype(float)
    low = min(box[0], float(before.min()), float(after.min()))
    width = max(box[1], float(before.max()), float(after.max())) - low or 1.0
    # A stable sort on the negative keeps the order of equal changes, hence of the report's bytes.
    largest = np.argsort(-np.abs(after - before), kind="stable")[:FEATURES]
    return tuple(
        Change(
            int(i),
            number(float(a)),
            number(float(b)),
            f"{b - a:+.3g}",
            round(100 * (float(min(a, b)) - low) / width, 2),
            round(100 * abs(float(b - a)) / width, 2),
            bool(b > a),
        )
        for i, a, b in ((i, before[i], after[i]) for i in largest)
    )


def _images(
    x: NDArray[Any], x_adv: NDArray[Any], box: tuple[float, float], factor: float
) -> tuple[tuple[str, str], ...]:
    return (
        ("original", image_uri(x, *box)),
        ("perturbed", image_uri(x_adv, *box)),
        ("difference", difference(x, x_adv, factor / (box[1] - box[0]))),
    )


def _witness(run: Run, i: int, box: tuple[float, float], factor: float | None) -> Witness:
    g = run.gallery
    x, x_adv = g["x"][i], g["x_adv"][i]
    delta = np.abs(x_adv.astype(np.float64) - x)
    return Witness(
        index=int(g["index"][i]),
        label=int(g["label"][i]),
        before=int(g["pred_before"][i]),
        after=int(g["pred_after"][i]),
        sure_before=percent(float(g["conf_before"][i])),
        sure_after=percent(float(g["conf_after"][i])),
        attack=str(g["attack"][i]),
        largest=number(float(f"{delta.max():.3g}")),
        changed=percent(float((delta > 1e-6).mean())),
        perceptual=number(float(f"{float(g['perceptual'][i]):.3g}")) if "perceptual" in g else "",
        told=str(g["told"][i]) if "told" in g else "",
        images=() if factor is None else _images(x, x_adv, box, factor),
        changes=() if factor is not None else _changes(x, x_adv, box),
        look=_look(g, i),
    )


def _look(g: Arrays, i: int) -> str:
    """Return what was measured on a patch in words; empty for other sets and older runs."""
    column = {
        k: g[k] for k in ("tv", "off_palette", "nps") if k in g and g[k].shape == g["index"].shape
    }
    if "tv" not in column:
        return ""
    said = f"patch: total variation {number(float(column['tv'][i]))} a pixel"
    if {"off_palette", "nps"} <= set(column):
        said += (
            f", {number(float(column['off_palette'][i]))} from the nearest printable colour "
            f"(non-printability score {float(column['nps'][i]):.2g})"
        )
    return said


def gallery(run: Run) -> Gallery | None:
    """Return the witnesses to show, or None when the run holds no gallery."""
    if not len(run.gallery.get("index", ())):
        return None
    x, x_adv = run.gallery["x"], run.gallery["x_adv"]
    low, high = (run.audit["threat"].get("box") or [0.0, 1.0])[:2]
    box = (float(low), float(high)) if high > low else (0.0, 1.0)
    pictured = is_image(x.shape[1:])
    width = box[1] - box[0]
    factor = magnification(x[:SHOWN] / width, x_adv[:SHOWN] / width) if pictured else None
    shown = tuple(_witness(run, i, box, factor) for i in range(min(SHOWN, len(x))))
    printed = "" if factor is None else number(factor)
    return Gallery(shown, printed, run.audit["counts"]["broken"], not pictured)
