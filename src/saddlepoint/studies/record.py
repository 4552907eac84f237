"""The file of a study: what was found so far, whole after every cell, and what may be added."""

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saddlepoint.audit.document import environment
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.core.files import write_bytes
from saddlepoint.train.device import hardware

__all__ = ["CAPACITY", "CORRUPTED", "EOT", "EXACT", "SCHEMA_VERSION", "SPATIAL", "Kind", "Record"]

SCHEMA_VERSION = "1.0"
_KEYS = {"schema_version", "settings", "data", "cells"}


@dataclass(frozen=True)
class Kind:
    """What a study is called, where it comes from, what each cell says, and how cells are sorted.

    keys: of every cell, beside its name and those it is sorted by.
    """

    study: str
    source: str
    order: tuple[str, ...]
    keys: tuple[str, ...]

    @property
    def row(self) -> set[str]:
        """Return the keys that no cell may lack."""
        return {"name", *self.order, *self.keys}


CAPACITY = Kind(
    "capacity",
    "arXiv:1706.06083, section 4, figure 4",
    ("multiplier", "training"),
    ("status", "final_loss", "clean", "fgsm", "pgd"),
)
EXACT = Kind(
    "exact",
    "arXiv:1709.10207, section 5",
    ("training", "index"),
    ("state", "lower", "upper", "attacks", "program"),
)
EOT = Kind(
    "eot",
    "arXiv:1707.07397, sections 2 and 3",
    ("scene", "index"),
    ("label", "target", "clean", "original", "smallest", "pushed", "eot"),
)
SPATIAL = Kind(
    "spatial",
    "arXiv:1712.02779, sections 3 and 4",
    ("training",),
    ("status", "clean", "random", "worst_of", "first_order", "grid", "refined", "examples"),
)
CORRUPTED = Kind(
    "corruptions",
    "arXiv:1903.12261, section 4",
    ("net", "corruption", "severity"),
    ("draws", "n", "accuracy", "worst", "withstood"),
)


@dataclass
class Record:
    """The file of one study. ``settings`` and ``data`` are what all its cells have in common."""

    path: Path
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    device: str
    cells: dict[str, dict[str, Any]] = field(default_factory=dict)
    kind: Kind = CAPACITY

    @classmethod
    def open(
        cls,
        path: Path,
        settings: Mapping[str, Any],
        data: Mapping[str, Any],
        device: str,
        kind: Kind = CAPACITY,
    ) -> "Record":
        """Start the file, or go on with it.

        Raises ``Invalid`` when cells in it were made by other settings or from other data, naming
        what differs, and ``BadData`` when it cannot be read.
        """
        if path.parent.exists() and not path.parent.is_dir():
            raise Invalid("out", str(path.parent), "a folder, new or of this study")
        record = cls(path, settings, data, device, kind=kind)
        if path.exists():
            record._resume(_read(path, kind))
        return record

    def _resume(self, document: Mapping[str, Any]) -> None:
        if not document["cells"] and list(self.path.parent.iterdir()) == [self.path]:
            return  # nothing that another plan could spoil
        now = json.loads(json.dumps({**self.settings, **self.data}))
        then = {**document["settings"], **document["data"]}
        names = [k for k in now | then if now.get(k) != then.get(k)]
        if names:
            said = ", ".join(f"{k} = {then.get(k)!r} there, {now.get(k)!r} here" for k in names)
            hint = f"it holds a study by another plan: {said}; choose another --out, or delete it"
            raise Invalid("out", str(self.path.parent), "a folder, new or of this study", hint)
        self.cells = {row["name"]: row for row in document["cells"]}

    def write(self, asked: Sequence[str], more: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Replace the file in one step; ``complete`` once it holds all cells that are asked for.

        more: what the document says beside them.
        """
        done = all(name in self.cells for name in asked)
        document = {
            "schema_version": SCHEMA_VERSION,
            "study": self.kind.study,
            "source": self.kind.source,
            "status": "complete" if done else "running",
            "updated": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "settings": dict(self.settings),
            "data": dict(self.data),
            "environment": hardware(self.device) | environment(self.device),
            **(more or {}),
            "cells": sorted(self.cells.values(), key=lambda r: [r[k] for k in self.kind.order]),
        }
        write_bytes(self.path, (json.dumps(document, indent=2) + "\n").encode())
        return document


def _read(path: Path, kind: Kind) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadData(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict) or not document.keys() >= _KEYS:
        raise BadData(f"{path} is no record of a study; choose another --out")
    if document["schema_version"] != SCHEMA_VERSION:
        raise BadData(
            f"{path} has schema version {document['schema_version']!r}, this program writes "
            f"{SCHEMA_VERSION!r}; choose another --out"
        )
    if not all(isinstance(row, dict) and row.keys() >= kind.row for row in document["cells"]):
        raise BadData(f"{path} holds cells that are not whole; choose another --out")
    return document
