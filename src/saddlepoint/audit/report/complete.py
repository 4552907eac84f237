"""What an older or shorter audit.json leaves out."""

from collections.abc import Mapping
from typing import Any

__all__ = ["complete"]

_ABSENT: dict[str, tuple[str, ...]] = {
    "": (
        "clean_interval",
        "model_sha256",
        "data_sha256",
        "plan",
        "seed",
        "environment",
        "saddlepoint",
        "verification",
        "perceptual",
    ),
    "model": ("arch", "parameters"),
    "data": ("split", "shape"),
    "robust_accuracy": ("interval", "bracket", "incompleteness"),
    "counts": ("error", "not_run", "clean_wrong"),
    "cost": ("rows_forward", "rows_backward", "seconds"),
}
_ABSENT_ROWS = {
    "attacks": (
        "arm",
        "stage",
        "newly_broken",
        "error",
        "not_run",
        "robust_accuracy_after",
        "forward",
        "backward",
        "seconds",
        "message",
    ),
    "findings": ("next_step",),
}


def complete(audit: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``audit`` with None for what an older or shorter audit.json leaves out."""
    full: dict[str, Any] = {**dict.fromkeys(_ABSENT[""]), **audit}
    for part, names in _ABSENT.items():
        if part:
            full[part] = {**dict.fromkeys(names), **audit[part]}
    for part, names in _ABSENT_ROWS.items():
        full[part] = [{**dict.fromkeys(names), **row} for row in audit[part]]
    return full
