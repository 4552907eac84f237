"""Bounds of an audit's samples: the model as a network, and the ladder on some rows of the data."""

import copy
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saddlepoint.audit.plan import Plan
from saddlepoint.audit.proving.certificates import Keeper
from saddlepoint.audit.samples import Samples
from saddlepoint.core.door import Door, Model
from saddlepoint.core.errors import Unsupported
from saddlepoint.core.goal import Untargeted
from saddlepoint.core.threat import Convex
from saddlepoint.verify.ladder import Ladder, Rung, Verdict
from saddlepoint.verify.network import Network
from saddlepoint.verify.proof.inputs import inputs
from saddlepoint.verify.region import region
from saddlepoint.verify.spec import margins
from saddlepoint.verify.tracing import trace

__all__ = ["Prover", "network_of", "unprovable"]

Record = dict[str, np.ndarray[Any, Any]]


def unprovable(plan: Plan, door: Door) -> str:
    """Say why bounds would prove nothing about this game, or ""."""
    if plan.access != "gradients":
        return f"the adversary may ask for {plan.access} only, so the weights were not looked at"
    if plan.under is not None:
        return f"inputs are seen under {plan.under.distribution!r}: bounds hold for one view only"
    if plan.target is not None:
        return "bounds are computed against any wrong class, and the adversary wants a certain one"
    if plan.votes > 1 or plan.eot > 1:
        return "the model is randomised (--eot, --votes): bounds hold for one function only"
    if not isinstance(plan.threat, Convex):
        return (
            f"{plan.threat!r} is not convex: bounds need the maximum of a linear function over it"
        )
    if door.dtype in (torch.float16, torch.bfloat16):
        return f"the parameters are {door.dtype}: bounds are computed in float32 or float64"
    return ""


@dataclass(frozen=True, eq=False)
class Prover:
    """The network that a model computes, and the samples whose margins are bounded.

    All of it lies on the CPU, where certificates are checked as well.
    """

    network: Network
    classes: int
    plan: Plan
    samples: Samples
    door: Door
    keeper: Keeper

    @classmethod
    def of(cls, door: Door, plan: Plan, samples: Samples, classes: int) -> "Prover":
        """Trace the model, and bound one sample to see whether all its operators have bounds.

        Raises ``Unsupported``.
        """
        if reason := unprovable(plan, door):
            raise Unsupported(reason)
        x, _ = samples.batch(torch.arange(1))
        inputs(plan.threat, x[0])  # the checker has to know the set as well
        network, checked = network_of(door, tuple(x.shape[1:]))
        keeper = Keeper.of(checked, network)
        prover = cls(network, classes, plan, samples, door, keeper)
        prover.verdicts(torch.arange(1), Ladder(rungs=(Rung.IBP, Rung.CROWN)))
        return prover

    def verdicts(self, rows: Tensor, ladder: Ladder) -> list[Verdict]:
        """Climb the ladder with some samples."""
        x, goal = self._batch(rows)
        threat: Any = self.plan.threat[rows]
        return ladder(self.network, region(threat, x), margins(goal, self.classes, x))

    def record(self, rows: Tensor, ladder: Ladder, keep: bool) -> Record:
        """Climb the ladder with some samples; return what the journal keeps of it.

        keep: with certificates, without which no sample counts as certified.
        """
        began = time.process_time()
        verdicts = self.verdicts(rows, ladder)
        x, goal = self._batch(rows)
        threat, spec = self.plan.threat[rows], margins(goal, self.classes, x)
        refused, kept = [], []
        for i, verdict in enumerate(verdicts):
            one = torch.tensor([i])
            certificate, said = b"", ""
            if verdict.certified and keep:
                certificate, said = self.keeper.certify(verdict, threat[one], x[one], spec[one])
            refused.append(said)
            kept.append(certificate)
        return _record(
            rows, verdicts, refused, kept, x, _method(ladder), time.process_time() - began
        )

    def _batch(self, rows: Tensor) -> tuple[Tensor, Untargeted]:
        x, y = self.samples.batch(rows)
        return self.door.fit(x).cpu(), Untargeted(y)


def network_of(door: Door, shape: tuple[int, ...]) -> tuple[Network, Model]:
    """Trace the model, or a copy of it on the CPU, which comes along; shape: (*F) of one input."""
    model = door.model
    if isinstance(model, nn.Module) and str(door.device or "cpu") != "cpu":
        model = copy.deepcopy(model).cpu()
    return trace(model, shape), model


def _method(ladder: Ladder) -> str:
    """Whose account the time goes to."""
    if len(ladder.rungs) == 1:
        return ladder.rungs[0].name
    return "BOUNDS"


def _record(
    rows: Tensor,
    verdicts: list[Verdict],
    refused: list[str],
    kept: list[bytes],
    x: Tensor,
    method: str,
    seconds: float,
) -> Record:
    """Columns of one entry per row, the inputs found, and certificates one after another."""
    found = [(i, v.found) for i, v in enumerate(verdicts) if v.found is not None]
    points = [p[0].detach().cpu().numpy() for _, p in found]
    number = rows.numpy()
    # A search that ends with an input leaves subproblems unbounded: it shows no bound.
    bound = [v.bound if v.found is None else np.inf for v in verdicts]
    accepted = [v.certified and not said for v, said in zip(verdicts, refused, strict=True)]
    return {
        "rows": number,
        "certified": np.array(accepted, dtype=np.bool_),
        "rung": np.array([int(v.rung) for v in verdicts], dtype=np.int8),
        "bound": np.array(bound, dtype=np.float32),
        "spent": np.array([v.spent for v in verdicts], dtype=np.int64),
        "refused": np.array(refused, dtype=np.str_),
        "found_rows": number[[i for i, _ in found]].astype(np.int64),
        "found": np.stack(points) if points else np.zeros((0, *x.shape[1:]), np.float32),
        "certificate": np.frombuffer(b"".join(kept), dtype=np.uint8),
        "length": np.array([len(c) for c in kept], dtype=np.int64),
        "method": np.asarray(method),
        "seconds": np.asarray(seconds),
    }
