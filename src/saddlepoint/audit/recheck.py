"""Recheck: let the checker of certificates judge every certificate of a finished run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from saddlepoint.audit.certificates import Certificates, row_hash
from saddlepoint.audit.replay import Witnesses
from saddlepoint.audit.samples import Samples
from saddlepoint.audit.session import model_hash
from saddlepoint.core.door import Model
from saddlepoint.core.errors import BadData, Unsupported
from saddlepoint.core.goal import Untargeted
from saddlepoint.core.threat import ThreatModel
from saddlepoint.verify.checker import Checker
from saddlepoint.verify.proof.inputs import inputs
from saddlepoint.verify.spec import margins

__all__ = ["Recheck", "recheck"]


@dataclass(frozen=True)
class Recheck:
    """How many certificates were checked, and why some are refused: {sample: reason}."""

    checked: int
    failed: dict[int, str]

    @property
    def holds(self) -> bool:
        """Whether every certificate holds."""
        return not self.failed


def recheck(
    run: Witnesses,
    claims: Certificates,
    model: Model,
    samples: Samples,
    threat: ThreatModel,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Recheck:
    """Check each certificate in float64 against the model, its sample and the threat model.

    A certificate must prove that no other class than the label can have the highest score. Refused
    are also those of another model, another sample or another set, and of a sample that a witness
    of the run breaks. Raises ``BadData`` when audit.json counts other certificates, ``Unsupported``
    for a model that the checker cannot read.
    """
    counted = run.document["counts"].get("certified")
    if counted is not None and int(counted) != len(claims.index):
        raise BadData(
            f"audit.json claims {counted} certified samples, but there are {len(claims.index)} "
            "certificates: the run was altered"
        )
    foreign = _foreign(run.document, claims, model)
    if foreign:
        return Recheck(len(claims.index), dict.fromkeys(claims.index, foreign))
    if not isinstance(model, nn.Module):
        raise Unsupported("certificates are about modules of torch, whose operators can be read")
    broken = set(run.index.tolist())
    failed: dict[int, str] = {}
    checker: Checker | None = None
    for done, row in enumerate(claims.index):
        progress(done, len(claims.index))
        x, y = samples.batch(torch.tensor([row])) if row < len(samples) else (None, None)
        if x is None or y is None or row_hash(x[0], int(y)) != claims.row_sha256[done]:
            failed[row] = "a certificate of another sample"
        elif row in broken:
            failed[row] = "certified, and broken by a witness of the same run"
        else:
            checker = checker or Checker.of(model, tuple(x.shape[1:]))
            classes = checker.network.nodes[-1].shape.numel()
            spec = margins(Untargeted(y), classes, torch.zeros((), dtype=torch.float64))
            why = checker(claims.certificates[done], inputs(threat, x[0], row), spec)
            if why:
                failed[row] = why
    progress(len(claims.index), len(claims.index))
    return Recheck(len(claims.index), failed)


def _foreign(said: dict[str, Any], claims: Certificates, model: Model) -> str:
    """Say what else the certificates are about, or "" where they are about this run."""
    if claims.header["model_sha256"] != model_hash(model, str(said["model_sha256"])):
        return "a certificate of another model"
    if claims.header["threat"] != said["plan"]["threat"]:
        return f"a certificate for {claims.header['threat']}"
    if claims.header["data_sha256"] != said["data_sha256"]:
        return "a certificate of other samples"
    if said["plan"].get("under") is not None:
        return "a certificate of inputs as they are, not of views"
    return ""
