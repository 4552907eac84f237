"""Certificates of an audit: made where a sample is certified, kept in the journal."""

from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

from saddlepoint.core.door import Model
from saddlepoint.verify.ladder import Verdict
from saddlepoint.verify.network import Network
from saddlepoint.verify.spec import Spec

__all__ = ["Keeper"]


@dataclass(frozen=True, eq=False)
class Keeper:
    """Turns verdicts into certificates that something else than the search has accepted."""

    network: Network

    @classmethod
    def of(cls, model: Model, network: Network) -> Self:
        """Return the keeper of a model."""
        return cls(network)

    def certify(self, verdict: Verdict, threat: Any, x: Tensor, spec: Spec) -> tuple[bytes, str]:  # noqa: ANN401
        """Return the certificate of a certified sample, or why there is none."""
        return b"", ""
