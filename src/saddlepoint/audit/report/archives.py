"""What samples.npz and inspection.npz must hold before they may be shown."""

from collections.abc import Mapping
from pathlib import Path

from saddlepoint.audit.report.files import Arrays
from saddlepoint.core.errors import BadData

__all__ = ["check_inspection", "check_samples"]

_CHOSEN = {
    "kind": "U",
    "index": "iu",
    "label": "iu",
    "pred": "iu",
    "margin": "f",
    "passes": "iu",
    "attack": "U",
}
_WITNESSES = {"witness_index": "iu", "witness_pred": "iu"}


def _columns(arrays: Arrays, kinds: Mapping[str, str], length: int, path: Path) -> None:
    for name, kind in kinds.items():
        if name not in arrays:
            raise BadData(f"{path}: lacks {name}")
        if arrays[name].shape != (length,) or arrays[name].dtype.kind not in kind:
            raise BadData(f"{path}: {name} must have {length} entries of its type")


def _inputs(arrays: Arrays, name: str, path: Path) -> int:
    x = arrays.get(name)
    if x is None or x.ndim < 2 or x.dtype.kind != "f":
        raise BadData(f"{path}: {name} must be floats of shape (k, ...)")
    return len(x)


def check_samples(samples: Arrays, path: Path) -> None:
    """Raise BadData when the arrays of samples.npz do not fit together."""
    _columns(samples, _CHOSEN, _inputs(samples, "x", path), path)
    _columns(samples, _WITNESSES, samples.get("witness_index", samples["index"]).size, path)


def check_inspection(seen: Arrays, path: Path) -> None:
    """Raise BadData when the arrays of inspection.npz do not fit together."""
    if "note" not in seen or seen["note"].shape != () or seen["note"].dtype.kind != "U":
        raise BadData(f"{path}: note must be a text")
    if "filters" in seen and (seen["filters"].ndim != 4 or seen["filters"].shape[1] not in (1, 3)):
        raise BadData(f"{path}: filters must have shape (F, 1 or 3, h, w)")
    if "filters" in seen:
        _inputs(seen, "filters", path)
    if "x" in seen or "gradient" in seen:
        length = _inputs(seen, "x", path)
        _columns(seen, {"index": "iu", "label": "iu"}, length, path)
        if _inputs(seen, "gradient", path) != length or seen["gradient"].shape != seen["x"].shape:
            raise BadData(f"{path}: x and gradient must have one shape")
