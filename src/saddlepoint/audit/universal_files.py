"""The files of a universal perturbation: universal.json, .safetensors, .npz and .png."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np

from saddlepoint.audit.document import environment
from saddlepoint.audit.journal import Record
from saddlepoint.audit.shared import Shared
from saddlepoint.audit.store import npz_bytes, write_json
from saddlepoint.audit.universal_figure import draw_universal
from saddlepoint.core.files import write_bytes

__all__ = ["SCHEMA_VERSION", "document", "write_files"]

SCHEMA_VERSION = "1.0"


def document(found: Shared, said: dict[str, Any], epochs: list[Record]) -> dict[str, Any]:
    """Assemble universal.json; ``said`` holds plan, names and hashes."""
    device = said.pop("device")
    rates = {
        "fooling": found.fooling.as_json(),
        "control": found.control.as_json(),
        "accuracy": found.accuracy.as_json(),
        "clean_accuracy": found.clean_accuracy.as_json(),
    }
    if found.target is not None:
        rates["reached"] = found.reached.as_json()
    return {
        **said,
        "status": "complete",
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **rates,
        "method": "Clopper-Pearson over samples that u was not fitted on",
        "spoilt_answers": int((found.table["prediction"] < 0).sum()),
        "u": {
            "shape": list(found.u.shape),
            "low": float(found.u.min()),
            "high": float(found.u.max()),
        },
        "history": [{k: float(r[k]) for k in ("loss", "broken", "seconds")} for r in epochs],
        "environment": environment(device),
    }


def write_files(folder: Path, found: Shared, shown: dict[str, "np.ndarray[Any, Any]"]) -> None:
    """Write everything; universal.json comes last: a folder that has one is complete."""
    from safetensors.numpy import save

    content = save({"u": found.u.cpu().contiguous().numpy()})
    write_bytes(folder / "universal.safetensors", content)
    write_bytes(folder / "universal.npz", npz_bytes(found.table))
    picture = draw_universal(found.document, found.u.cpu().numpy(), shown)
    if picture is not None:
        write_bytes(folder / "universal.png", picture)
    write_json(folder / "universal.json", found.document)
