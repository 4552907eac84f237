"""The files of a curve: curve.json, distances.npz, witnesses.safetensors, curve.svg, curve.png."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from saddlepoint.audit.curve import Curve
from saddlepoint.audit.curve_figure import draw_curve
from saddlepoint.audit.document import environment
from saddlepoint.audit.heading import heading
from saddlepoint.audit.store import npz_bytes, write_json
from saddlepoint.audit.sweep import Sweep
from saddlepoint.core.files import write_bytes
from saddlepoint.core.ledger import Status

__all__ = ["CODES", "SCHEMA_VERSION", "document", "write_files"]

SCHEMA_VERSION = "1.0"
# The order is part of the file format of distances.npz, and equal to that of an audit's evidence.
CODES = (Status.NOT_RUN, Status.SURVIVED, Status.BROKEN, Status.ERROR)
Record = dict[str, np.ndarray[Any, Any]]


def document(
    curve: Curve, sweep: Sweep, table: Record, said: dict[str, Any], device: str
) -> dict[str, Any]:
    """Assemble curve.json; ``said`` holds model, data and their hashes."""
    counts = {s.value: int((table["status"] == CODES.index(s)).sum()) for s in CODES}
    counts["clean_wrong"] = int((curve.distance == 0).sum())
    if "at_target" in table:
        counts["at_target"] = int(table["at_target"].sum())
    return {
        "kind": "curve",
        **heading(SCHEMA_VERSION, said),
        "threat": _threat(sweep),
        "attack": repr(sweep.attack),
        "n": sweep.n,
        "clean_accuracy": curve.at(0).accuracy,
        "eps": curve.eps.tolist(),
        "accuracy": curve.accuracy.tolist(),
        "confidence": curve.confidence,
        "pointwise": _ends("Clopper-Pearson, at each radius", curve.low, curve.high),
        "simultaneous": _ends(
            "Dvoretzky-Kiefer-Wolfowitz, at all radii at once", curve.band_low, curve.band_high
        ),
        "distance": {"median": _number(curve.median), "largest_of_interest": curve.reach},
        "counts": counts,
        "errors": said["errors"],
        "cost": {
            "forward": float(table["forward"].mean()),
            "backward": float(table["backward"].mean()),
            "seconds": round(float(table["seconds"].sum()), 3),
        },
        "model_sha256": said["model_sha256"],
        "data_sha256": said["data_sha256"],
        "plan": sweep.describe(),
        "environment": environment(device),
    }


def _threat(sweep: Sweep) -> dict[str, Any]:
    threat: Any = sweep.threat
    inner = getattr(threat, "threat", threat)
    box = getattr(inner, "box", None)
    return {
        "spec": repr(threat),
        "name": type(inner).__name__,
        "eps": float(threat.eps),
        "box": list(box) if box and math.isfinite(box[1] - box[0]) else None,
        "quantize": getattr(threat, "to_type", None),
        "goal": "untargeted" if sweep.target is None else f"targeted: {sweep.target}",
    }


def _ends(method: str, low: Any, high: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"method": method, "low": low.tolist(), "high": high.tolist()}


def _number(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None


def write_files(folder: Path, curve: Curve, table: Record) -> None:
    """Write everything; curve.json comes last: a folder that has one is complete."""
    from safetensors.numpy import save

    said = curve.document
    arrays = {
        "index": table["rows"],
        "distance": curve.distance,
        "status": table["status"],
        "forward": table["forward"],
        "backward": table["backward"],
    }
    write_bytes(folder / "distances.npz", npz_bytes(arrays))
    header = {k: said[k] for k in ("schema_version", "model_sha256", "data_sha256")}
    header["threat"] = said["threat"]["spec"]
    about = {"saddlepoint": json.dumps(header, sort_keys=True)}
    tensors = {
        "x_adv": np.ascontiguousarray(table["witness"]),
        "index": np.ascontiguousarray(table["witness_rows"]),
    }
    if "witness_u" in table:
        tensors["u"] = np.ascontiguousarray(table["witness_u"])
    write_bytes(folder / "witnesses.safetensors", save(tensors, metadata=about))
    for name, content in draw_curve(said).items():
        write_bytes(folder / name, content)
    write_json(folder / "curve.json", said)
