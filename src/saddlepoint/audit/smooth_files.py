"""The files of a smoothed classifier's run: smooth.json, smooth.npz, smooth.svg, smooth.png."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from saddlepoint.audit.document import environment
from saddlepoint.audit.heading import heading
from saddlepoint.audit.smooth_figure import draw_smooth
from saddlepoint.audit.smoothed import Smoothed
from saddlepoint.audit.store import npz_bytes, write_json
from saddlepoint.core.files import write_bytes
from saddlepoint.verify import ABSTAIN

__all__ = ["SCHEMA_VERSION", "document", "write_files"]

SCHEMA_VERSION = "1.0"
POINTS = 101


def document(found: Smoothed, said: dict[str, Any], device: str) -> dict[str, Any]:
    """Assemble smooth.json; ``said`` holds model, data, seed, seconds and hashes."""
    s, t, n = found.smoothing, found.table, len(found.table["label"])
    wrong = (t["prediction"] != t["label"]) & (t["prediction"] != ABSTAIN)
    points = [found.at(float(e)) for e in np.linspace(0, s.largest * 1.05, POINTS)]
    return {
        "kind": "smooth",
        **heading(SCHEMA_VERSION, said),
        "smoothing": asdict(s),
        "threat": "L2, all of R^d: noise is not clipped",
        "alpha": "probability of a wrong certificate, at most, for each sample by itself",
        "seed": said["seed"],
        "n": n,
        "accuracy_of_the_smoothed": points[0].accuracy,
        "abstained": found.abstained,
        "wrong": float(wrong.mean()),
        "eps": [p.eps for p in points],
        "accuracy": [p.accuracy for p in points],
        "confidence": found.confidence,
        "pointwise": {
            "method": "Clopper-Pearson over samples, at each radius",
            "low": [p.low for p in points],
            "high": [p.high for p in points],
        },
        "radius": {"median": float(np.median(t["radius"])), "largest_possible": s.largest},
        "spoilt_draws": int(t["spoilt"].sum()),
        "cost": {"forward": s.n0 + s.n, "seconds": said["seconds"]},
        "model_sha256": said["model_sha256"],
        "data_sha256": said["data_sha256"],
        "environment": environment(device),
    }


def write_files(folder: Path, found: Smoothed) -> None:
    """Write everything; smooth.json comes last: a folder that has one is complete."""
    write_bytes(folder / "smooth.npz", npz_bytes(found.table))
    for name, content in draw_smooth(found.document).items():
        write_bytes(folder / name, content)
    write_json(folder / "smooth.json", found.document)
