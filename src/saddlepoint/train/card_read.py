"""``model.json`` as the model card needs it: every key there, every value of its kind."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from saddlepoint.core.errors import BadData

__all__ = ["Record", "read_record", "undone"]

Row = Mapping[str, Any]
_SHARES = ("clean", "robust", "own", "certified", "best", "robust_at_most")
_NUMBERS = ("loss", "lr", "seconds")
_LARGEST = 1e12
_WORDS = {str: "a text", int: "a whole number", dict: "an object", list: "a list"}


@dataclass(frozen=True)
class Record:
    """What a training run wrote about itself; what an older one did not write has its default."""

    arch: str = ""
    shape: list[Any] = field(default_factory=list)
    classes: int = 0
    options: Row = field(default_factory=dict)
    status: str = ""
    best_epoch: int = 0
    sha256: str = ""
    plan: Row = field(default_factory=dict)
    plan_sha256: str = ""
    samples_sha256: str = ""
    data_sha256: str = ""
    data: str = ""
    history: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    versions: Row = field(default_factory=dict)
    hardware: Row = field(default_factory=dict)
    measured: Row = field(default_factory=dict)
    audit: Row = field(default_factory=dict)

    @property
    def kept(self) -> Row:
        """The row of the kept epoch; empty when no epoch was kept."""
        rows = (row for row in reversed(self.history) if row["epoch"] == self.best_epoch)
        return next(rows, {})

    @property
    def _loss(self) -> str:
        """What is minimised, wherever the weights are (AWP)."""
        return re.sub(r"^(awp\()+", "", str(self.plan.get("loss", "")).lower())

    @property
    def natural(self) -> bool:
        """Whether the adversary played no part in training."""
        return self._loss.startswith("natural")

    @property
    def bounded(self) -> bool:
        """Whether training minimised a bound of the worst case, so that epochs were certified."""
        return any(row.get("certified") is not None for row in self.history)

    @property
    def unasked(self) -> bool:
        """Whether training bounded the worst case without asking an attack."""
        return re.match(r"(crown-?)?ibp\b", self._loss) is not None

    @property
    def sampled(self) -> bool:
        """Whether training drew members of the set and asked no attack."""
        return self._loss.startswith("sampled")

    @property
    def noisy(self) -> bool:
        """Whether training added Gaussian noise and asked no attack."""
        return self._loss.startswith("gaussian")

    @property
    def free(self) -> bool:
        """Whether training moved a perturbation of its own, so that no attack was asked."""
        return re.match(r"free\b", self._loss) is not None


def undone(event: Row) -> bool:
    """Whether the guard took the collapsed epoch back; switched off, it keeps it.

    >>> undone({"epoch": 4, "kept": 4, "stronger": ""}), undone({"epoch": 4, "kept": 3})
    (False, True)
    """
    return bool(event.get("stronger")) or event.get("kept") != event["epoch"]


def read_record(path: Path) -> Record:
    """Read ``model.json`` of a training run.

    Absent keys and None become defaults; characters that cannot be printed become ``\\ufffd``, as
    the file may come from a stranger. Raises ``BadData`` for a file that is missing or damaged.
    """
    content, usual = _parse(path), Record()
    kept: dict[str, Any] = {}
    for name in (f.name for f in fields(Record)):
        if (value := content.get(name)) is not None:
            kept[name] = _checked(path, name, value, type(getattr(usual, name)))
    for name in ("history", "events"):
        rows = kept.get(name, [])
        kept[name] = [_row(path, f"{name}[{i}]", row) for i, row in enumerate(rows)]
    for name, value in kept.get("measured", {}).items():
        _checked(path, f"measured.{name}", value, int)
    if kept.get("audit"):
        kept["audit"] = _audit(path, kept["audit"])
    return Record(**kept)


def _parse(path: Path) -> dict[str, Any]:
    try:
        content = _clean(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadData(f"{path} is damaged, it is no valid JSON: {error}") from error
    if not isinstance(content, dict) or "history" not in content or "plan" not in content:
        raise BadData(f"{path} was not written by a training run: it lacks plan and history")
    return content


def _clean(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Replace what cannot be printed: control characters, halves of pairs, reversed writing."""
    if isinstance(value, str):
        return "".join(c if c.isprintable() else "\ufffd" for c in value)
    if isinstance(value, list):
        return [_clean(v) for v in value]
    if isinstance(value, dict):
        return {_clean(k): _clean(v) for k, v in value.items()}
    return value


def _checked(path: Path, name: str, value: Any, kind: type) -> Any:  # noqa: ANN401
    if not isinstance(value, kind) or isinstance(value, bool):
        raise BadData(f"{path} is damaged: {name} = {value!r}: must be {_WORDS[kind]}")
    return value


def _number(path: Path, name: str, value: Any, share: bool) -> float | None:  # noqa: ANN401
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if share and not (number and 0 <= value <= 1):
        raise BadData(f"{path} is damaged: {name} = {value!r}: must be a number in [0, 1]")
    # A loss that is not finite is worth showing; an integer of a thousand digits is not.
    if not number or (isinstance(value, int) and abs(value) > _LARGEST):
        raise BadData(f"{path} is damaged: {name} = {value!r}: must be a number")
    return float(value)


def _numbers(path: Path, name: str, row: Row) -> dict[str, Any]:
    shares = {k: _number(path, f"{name}.{k}", row.get(k), True) for k in _SHARES}
    others = {k: _number(path, f"{name}.{k}", row.get(k), False) for k in _NUMBERS}
    return {**row, **shares, **others}


def _row(path: Path, name: str, row: Any) -> Row:  # noqa: ANN401
    """An epoch or an event of the guard."""
    row = _checked(path, name, row, dict)
    epoch = _checked(path, f"{name}.epoch", row.get("epoch"), int)
    if not 0 <= epoch < _LARGEST:
        raise BadData(f"{path} is damaged: {name}.epoch = {epoch}: must be at least 0")
    return _numbers(path, name, row)


def _audit(path: Path, audit: Row) -> Row:
    found = _numbers(path, "audit", audit)
    _checked(path, "audit.n", found.get("n"), int)
    attacks = _checked(path, "audit.attacks", found.get("attacks") or [], list)
    findings = _checked(path, "audit.findings", found.get("findings") or [], list)
    interval = _checked(path, "audit.interval", found.get("interval") or [], list)
    ends = [_number(path, "audit.interval", v, True) for v in interval]
    if found["robust_at_most"] is None or len(ends) not in (0, 2) or None in ends:
        raise BadData(f"{path} is damaged: audit lacks robust_at_most, or an interval's end")
    seconds = found["seconds"]
    found["seconds"] = seconds if seconds is None or math.isfinite(seconds) else None
    texts = {"attacks": [str(a) for a in attacks], "findings": [str(f) for f in findings]}
    return {**found, **texts, "interval": ends}
