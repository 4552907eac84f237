"""What an audit returns."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saddlepoint.audit.checks import Finding
from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.table import by_round, by_sample

__all__ = ["About", "Audit"]


@dataclass(frozen=True)
class About:
    """Where model and data came from, as a report names them.

    model, data: a path or a name. arch: of a weights file, or the factory that made the model.
    split: ``test`` or ``train``. model_sha256: stands in for models without weights.

    >>> About(model="net.safetensors", arch="conv-small", data="mnist").split
    'test'
    """

    model: str = "model"
    arch: str = ""
    data: str = "data"
    split: str = "test"
    model_sha256: str = ""


@dataclass(frozen=True, eq=False)
class Audit:
    """The result: ``document`` is audit.json, ``evidence`` one row per attack and sample.

    findings: what the health checks say. folder: where the run's files are, None without ``out``.

    >>> import torch
    >>> from saddlepoint import PGD, Linf
    >>> from saddlepoint.audit import audit
    >>> x = torch.tensor([[0.9, 0.2], [0.3, 0.5]])  # the larger number is the class
    >>> found = audit(torch.nn.Identity(), (x, x.argmax(1)), Linf(eps=0.2), (PGD(steps=2),))
    >>> found.clean_accuracy, found.robust_accuracy, found.table()["status"].tolist()
    (1.0, 0.5, ['survived', 'broken'])
    """

    document: dict[str, Any]
    evidence: Evidence
    findings: list[Finding]
    folder: Path | None

    @property
    def clean_accuracy(self) -> float:
        """Share of samples classified correctly before any attack."""
        return self.evidence.clean_accuracy

    @property
    def robust_accuracy(self) -> float:
        """Upper bound: share of all samples that nothing broke."""
        return float(self.document["robust_accuracy"]["upper"])

    @property
    def interval(self) -> tuple[float, float]:
        """Interval for the population's share of samples that these attacks cannot break."""
        low, high = self.document["robust_accuracy"]["interval"]
        return low, high

    @property
    def certified_accuracy(self) -> float:
        """Lower bound: share of all samples that are proved robust, 0 without verification."""
        return float(self.document["robust_accuracy"]["lower"])

    @property
    def bracket(self) -> tuple[float, float]:
        """Interval for the population's true robust accuracy, from proofs below and attacks above.

        The low end of the interval of what is certified, the high end of that of what is unbroken.
        """
        low, high = self.document["robust_accuracy"]["bracket"]
        return low, high

    def table(self) -> dict[str, "np.ndarray[Any, Any]"]:
        """One row per sample, as equally long columns: ``pandas.DataFrame(result.table())``.

        index, label, prediction, status, margin, broken_by, forward, backward (see ``by_sample``).
        """
        return by_sample(self.evidence)

    def rounds(self) -> dict[str, "np.ndarray[Any, Any]"]:
        """One row per attack that ran, likewise; the first is the clean input."""
        return by_round(self.document)

    def __repr__(self) -> str:
        low, high = self.interval
        proved = "" if self.evidence.proofs is None else f"{self.certified_accuracy:.4f}<="
        return (
            f"Audit(clean={self.clean_accuracy:.4f}, {proved}robust<={self.robust_accuracy:.4f} "
            f"[{low:.4f}, {high:.4f}], n={self.evidence.plan.n})"
        )
