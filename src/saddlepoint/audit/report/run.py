"""One audited run, loaded from its folder and checked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saddlepoint.audit.report.archives import check_inspection, check_samples
from saddlepoint.audit.report.complete import complete
from saddlepoint.audit.report.files import Arrays, read_json, read_npz, read_witnesses
from saddlepoint.audit.report.schema import (
    check_audit,
    check_evidence,
    check_figures,
    check_gallery,
)
from saddlepoint.core.errors import BadData

__all__ = ["Run"]

NOT_RUN, BROKEN, ERROR = 0, 2, 3  # the codes of these statuses in evidence.npz


@dataclass(frozen=True, eq=False)
class Run:
    """What one audit left in its folder; read only.

    ``audit`` is audit.json; ``evidence`` has one row per sample and attack; ``witnesses`` are the
    data-set indices (k,) for which a perturbed input is stored; the others are
    empty when the run made none: ``gallery`` and ``figures``, ``samples`` (the hardest and easiest)
    and ``inspection`` (filters and gradients).
    """

    folder: Path
    audit: Mapping[str, Any]
    evidence: Arrays
    witnesses: NDArray[np.int64]
    gallery: Arrays
    figures: Mapping[str, Any]
    samples: Arrays = field(default_factory=dict)
    inspection: Arrays = field(default_factory=dict)

    @classmethod
    def load(cls, folder: str | Path) -> "Run":
        """Read the run in ``folder``; BadData says which file is missing, corrupt or too new.

        >>> Run.load("/nowhere")
        Traceback (most recent call last):
        saddlepoint.core.errors.BadData: /nowhere: no such folder
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise BadData(f"{folder}: no such folder")
        audit = read_json(folder / "audit.json")
        check_audit(audit, folder / "audit.json")
        audit = complete(audit)
        evidence = read_npz(folder / "evidence.npz")
        check_evidence(evidence, audit["n"], folder / "evidence.npz")
        witnesses = _witnesses(folder, audit)
        return cls(folder, audit, evidence, witnesses, *_pictures(folder), *_insides(folder))

    @property
    def name(self) -> str:
        """The model's name, as the report prints it."""
        return str(self.audit["model"]["name"])

    @cached_property
    def broken(self) -> NDArray[np.bool_]:
        """(n,) whether some attack, or no change at all, broke the sample."""
        return self._any(self.evidence["status"] == BROKEN)

    @cached_property
    def undecided(self) -> NDArray[np.bool_]:
        """(n,) whether nothing broke the sample, but an attack failed on it or none was run."""
        status = self.evidence["status"]
        attacked = self._any(~self._clean & (status != NOT_RUN))
        return ~self.broken & (self._any(status == ERROR) | ~attacked)

    @cached_property
    def clean_wrong(self) -> NDArray[np.bool_]:
        """(n,) whether the model is wrong on the unchanged sample."""
        return self._any(self._clean & (self.evidence["status"] == BROKEN))

    @property
    def margin(self) -> NDArray[np.float64]:
        """(n,) the worst margin any attack reached, NaN where none ran."""
        worst = np.full(self.audit["n"], np.nan)
        np.fmax.at(worst, self.evidence["sample"], self.evidence["margin"])
        return worst

    @property
    def _clean(self) -> NDArray[np.bool_]:
        """Which rows of the evidence are about the unchanged sample."""
        # Texts are compared once for each attack: written out by row they would fill the memory.
        clean: NDArray[np.bool_] = (self.evidence["attacks"] == "clean")[self.evidence["attack"]]
        return clean

    def _any(self, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        found = np.zeros(self.audit["n"], dtype=np.bool_)
        found[self.evidence["sample"][rows]] = True
        return found


def _witnesses(folder: Path, audit: Mapping[str, Any]) -> NDArray[np.int64]:
    path = folder / "witnesses.safetensors"
    if not path.exists() and audit["counts"]["broken"] == 0:
        return np.zeros(0, dtype=np.int64)
    return read_witnesses(path)


def _pictures(folder: Path) -> tuple[Arrays, Mapping[str, Any]]:
    figures: Mapping[str, Any] = {}
    if (path := folder / "figures.json").exists():
        check_figures(figures := read_json(path), path)
    return _archive(folder / "gallery.npz", check_gallery), figures


def _insides(folder: Path) -> tuple[Arrays, Arrays]:
    samples = _archive(folder / "samples.npz", check_samples)
    return samples, _archive(folder / "inspection.npz", check_inspection)


def _archive(path: Path, check: Callable[[Arrays, Path], None]) -> Arrays:
    """Read arrays that a run may lack; nothing where it does."""
    arrays: Arrays = {}
    if path.exists():
        check(arrays := read_npz(path), path)
    return arrays
