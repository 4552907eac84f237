"""Certificates of an audit: made where a sample is certified, kept in the journal, then in a file.

A sample counts as certified only where the checker, in float64, accepts its certificate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from saddlepoint.audit.certificates import FILE, row_hash, write_certificates
from saddlepoint.audit.proving.proofs import Proofs
from saddlepoint.audit.samples import Samples
from saddlepoint.core.door import Model
from saddlepoint.verify.certificate import Certificate
from saddlepoint.verify.certify import certify_ibp, certify_tree
from saddlepoint.verify.checker import Checker
from saddlepoint.verify.ladder import Verdict
from saddlepoint.verify.network import Network
from saddlepoint.verify.packing import pack, unpack
from saddlepoint.verify.proof.inputs import Inputs, inputs
from saddlepoint.verify.spec import Spec

__all__ = ["Keeper", "write"]

_NONE = "float64 leaves open what float32 had closed by its rounding"


@dataclass(frozen=True, eq=False)
class Keeper:
    """Turns verdicts into certificates that a checker apart from the search has accepted."""

    checker: Checker

    @classmethod
    def of(cls, model: Model, network: Network) -> Self:
        """Return the keeper of a model; raises ``Unsupported`` for one that cannot be checked."""
        shape = tuple(network.nodes[0].shape)
        return cls(Checker.of(model, shape) if isinstance(model, nn.Module) else Checker(network))

    def certify(self, verdict: Verdict, threat: Any, x: Tensor, spec: Spec) -> tuple[bytes, str]:  # noqa: ANN401
        """Return the certificate of a certified sample, packed, or why there is none.

        threat, x (1, *F) and spec are those of this sample alone.
        """
        where = inputs(threat, x[0])
        certificate = self._made(verdict, where, spec)
        said = _NONE if certificate is None else self.checker(certificate, where, spec)
        if certificate is None or said:
            return b"", said
        return _packed(certificate), ""

    def _made(self, verdict: Verdict, where: Inputs, spec: Spec) -> Certificate | None:
        proof = verdict.proof
        if proof is None or proof.problem is None or proof.tree is None:
            return certify_ibp(self.checker, where, spec)
        return certify_tree(proof.problem, proof.tree, where, self.checker)


def _packed(certificate: Certificate) -> bytes:
    from safetensors.torch import save

    return save(pack([certificate]))


def write(folder: Path, proofs: Proofs, samples: Samples, header: Mapping[str, str]) -> None:
    """Write the certificates of all certified samples, where there are any."""
    from safetensors.torch import load

    claims = []
    for row in sorted(proofs.certificates):
        x, y = samples.batch(torch.tensor([row]))
        (certificate,) = unpack(load(proofs.certificates[row]))
        claims.append((row, row_hash(x[0], int(y)), certificate))
    if claims:
        write_certificates(folder / FILE, claims, header)
