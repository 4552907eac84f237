"""What the model looks at: its first filters, and the gradient of its loss beside the input."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saddlepoint.audit.report.numerals import count, percent
from saddlepoint.audit.report.pictures import image_uri, is_image, signed_uri, thumbnail
from saddlepoint.audit.report.run import Run

__all__ = ["Beside", "Insides", "insides", "side_by_side"]

DEVIATIONS = 3  # a gradient's picture is saturated beyond so many of its standard deviations
FAINT = 0.1  # of the largest filter's length: next to nothing


@dataclass(frozen=True)
class Beside:
    """One input, and the gradient of each model there; an empty picture where it is zero."""

    index: int
    label: int
    image: str
    gradients: tuple[str, ...]


@dataclass(frozen=True)
class Insides:
    """What one run stored: pictures of filters, inputs with gradients, and what was left out."""

    filters: tuple[str, ...]
    filter_words: str
    inputs: tuple[Beside, ...]
    note: str
    colour: bool


def _gradient(g: NDArray[Any]) -> str:
    """A picture on the gradient's own scale, since only its shape tells anything."""
    scale = DEVIATIONS * float(np.nan_to_num(g).std())
    return signed_uri(g, scale) if np.isfinite(g).all() and scale > 0 else ""


def _filters(run: Run) -> tuple[tuple[str, ...], str]:
    weights = run.inspection.get("filters")
    if weights is None or not len(weights) or not np.isfinite(weights).all():
        return (), ""
    # One scale for all of them: filters without weight must look like it.
    scale = float(np.abs(weights).max()) or 1.0
    length = np.sqrt((weights.astype(np.float64) ** 2).sum((1, 2, 3)))
    faint = int((length < FAINT * length.max()).sum()) if length.max() > 0 else len(weights)
    height, width = weights.shape[2:]
    said = (
        f"{count(len(weights))} filters of {height}×{width}, on one scale; {count(faint)} of them "  # noqa: RUF001
        f"weigh less than {percent(FAINT)} of the heaviest, so they hardly matter."
    )
    return tuple(signed_uri(w, scale) for w in weights), said


def _box(run: Run) -> tuple[float, float]:
    low, high = (run.audit["threat"].get("box") or [0.0, 1.0])[:2]
    return (float(low), float(high)) if high > low else (0.0, 1.0)


def _gradients(run: Run) -> dict[int, int]:
    """Rows of the stored gradients by data-set index; none where inputs are no images."""
    seen = run.inspection
    if "gradient" not in seen or not is_image(seen["x"].shape[1:]):
        return {}
    return {int(index): row for row, index in enumerate(seen["index"])}


def _beside(runs: Sequence[Run], index: int, rows: Sequence[int]) -> Beside:
    seen = runs[0].inspection
    return Beside(
        index,
        int(seen["label"][rows[0]]),
        image_uri(thumbnail(seen["x"][rows[0]]), *_box(runs[0])),
        tuple(_gradient(r.inspection["gradient"][i]) for r, i in zip(runs, rows, strict=True)),
    )


def insides(run: Run) -> Insides | None:
    """Return what there is to see of the model, or None."""
    filters, said = _filters(run)
    inputs = tuple(_beside([run], index, [row]) for index, row in _gradients(run).items())
    note: str = run.inspection["note"].item() if "note" in run.inspection else ""
    if not (filters or inputs or note):
        return None
    colour = bool(inputs) and run.inspection["x"].shape[1] == 3
    return Insides(filters, said, inputs, note, colour)


def side_by_side(runs: Sequence[Run]) -> list[Beside]:
    """Return the inputs for which every run stored a gradient, with all of them beside it."""
    data = {run.audit.get("data_sha256") for run in runs}
    if len(data) > 1 or None in data:
        return []
    tables = [_gradients(run) for run in runs]
    shared = [index for index in tables[0] if all(index in t for t in tables)]
    shapes = {run.inspection["x"].shape[1:] for run in runs if shared}
    if len(shapes) != 1:
        return []
    return [_beside(runs, index, [t[index] for t in tables]) for index in shared]
