"""Descriptions of the small service, as TOML and as models."""

from pathlib import Path
from typing import Any

from saddlepoint.models.service import open_service
from saddlepoint.models.service.service import Service

BASE: dict[str, Any] = {
    "url": "http://127.0.0.1:9/predict",
    "shape": [1, 2, 3],
    "classes": 3,
    "body": {"instances": "{instances}"},
    "answer": {"kind": "scores", "scores": "scores", "are": "probabilities"},
    "limits": {"batch_size": 4, "backoff": 0.0, "timeout": 10},
}


def merged(base: Any, change: Any) -> Any:  # noqa: ANN401
    """Put the values of ``change`` into ``base``; None takes a key away."""
    if not (isinstance(base, dict) and isinstance(change, dict)):
        return change
    found = base | {k: merged(base.get(k), v) for k, v in change.items()}
    return {k: v for k, v in found.items() if v is not None}


def written(folder: Path, **change: Any) -> Path:  # noqa: ANN401
    """Write a description, changed from the usual one."""
    path = folder / "endpoint.toml"
    path.write_text(toml(merged(BASE, change)))
    return path


def toml(table: dict[str, Any]) -> str:
    return "".join(f"{key} = {_value(v)}\n" for key, v in table.items())


def _value(v: Any) -> str:  # noqa: ANN401
    if isinstance(v, dict):
        return "{" + ", ".join(f'"{k}" = {_value(w)}' for k, w in v.items()) + "}"
    if isinstance(v, list | tuple):
        return "[" + ", ".join(map(_value, v)) + "]"
    if isinstance(v, bool):
        return str(v).lower()
    return "'" + v + "'" if isinstance(v, str) else repr(v)


def opened(folder: Path, **change: Any) -> Service:  # noqa: ANN401
    return open_service(written(folder, **change))
