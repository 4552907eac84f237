"""What a probe works with: a few samples, the set around them, and a bill of its own."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.journal import Journal
from saddlepoint.audit.plan import Plan
from saddlepoint.audit.probes import Bench
from saddlepoint.audit.samples import Samples
from saddlepoint.core.access import Attack
from saddlepoint.core.detected import wanted
from saddlepoint.core.door import Door
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Unsupported
from saddlepoint.core.expect import mean
from saddlepoint.core.ledger import Ledger
from saddlepoint.core.oracle import Oracle
from saddlepoint.core.referee import judge, nth
from saddlepoint.core.threat import Graded, Gridded

__all__ = ["Json", "Probe"]

Json = dict[str, Any]


@dataclass
class Probe:
    """The first samples that are right when clean, and what may be asked about them.

    rows_forward, rows_backward: what the probes cost the machine, which is not the audit's cost.
    """

    door: Door
    plan: Plan
    samples: Samples
    evidence: Evidence
    journal: Journal
    rows: Tensor
    rows_forward: int = 0
    rows_backward: int = 0

    def __post_init__(self) -> None:
        self.bench, self.threat = self.around(self.rows)

    def around(self, rows: Tensor) -> tuple[Bench, Any]:
        """Return other samples with the set around them."""
        target = self.evidence.targets(rows)
        bench = Bench(self.door, *self.samples.batch(rows), rows, self.plan.seed, target)
        threat: Any = self.plan.threat[rows]
        return bench, threat.to(bench.x.device) if hasattr(threat, "to") else threat

    @property
    def draw(self) -> Draw:
        """The randomness of these samples."""
        return Draw.of(self.bench.seed, self.bench.rows)

    def scores(self, x: Tensor, view: Draw | None = None) -> Tensor:
        """(B, K) what the model says of the inputs, once."""
        self.rows_forward += len(x)
        scores: Tensor = self.door.scores(x, view)
        return scores

    def margin(self, x: Tensor) -> Tensor:
        """(B,) margin at the inputs, averaged over as many passes as an attack's answers are.

        Transformations before the model are the same whatever x is, so that what differs is x.
        """
        goal, views = self.bench.goal, self.draw.tag("margin")
        outs = [self.scores(x, nth(views, k)) for k in range(self.door.eot)]
        return mean([goal.margin(out).double() for out in outs])

    def judged(self, x: Tensor, y: Tensor, rows: Tensor) -> Tensor:
        """(B,) bool: whether the referee calls the inputs broken."""
        goal = wanted(self.door.model, y, self.evidence.targets(rows))
        margin, asked = judge(self.door, x, goal)
        self.rows_forward += asked
        return margin > 0

    def run(
        self,
        attack: Attack[Any],
        tag: str,
        threat: Any = None,  # noqa: ANN401 - another set around the same samples
        early_stop: bool = True,
    ) -> Oracle[Any]:
        """Run an attack; an attack that fails raises ``Unsupported``."""
        around = self.threat if threat is None else threat
        oracle = self.bench.attack(attack, around, tag, early_stop)
        self.charge(oracle.ledger)
        return oracle

    def charge(self, ledger: Ledger) -> None:
        """Add a search to the bill."""
        self.rows_forward += ledger.rows_forward
        self.rows_backward += ledger.rows_backward

    def marked(self, mask: Tensor) -> list[int]:
        """Sample numbers of the marked rows."""
        chosen: list[int] = self.bench.rows[mask].tolist()
        return chosen

    def broken(
        self,
        attack: Attack[Any],
        tag: str,
        threat: Any = None,  # noqa: ANN401
    ) -> list[int]:
        """Sample numbers that an attack breaks."""
        return self.marked(self.run(attack, tag, threat).ledger.broken)

    @property
    def climbs(self) -> bool:
        """Whether the adversary may ask for gradients."""
        return self.plan.access == "gradients"

    def need_gradients(self) -> None:
        """Raise ``Unsupported`` where the adversary may not ask for gradients."""
        if not self.climbs:
            raise Unsupported(f"the adversary has access to {self.plan.access} only")

    def need_ascent(self) -> None:
        """Raise ``Unsupported`` where ascent is not what the set should be searched by."""
        self.need_gradients()
        if isinstance(self.threat, Gridded):
            raise Unsupported("a grid searches the few parameters of this set better than ascent")

    def resized(self, share: float) -> Any:  # noqa: ANN401 - a set of the same kind
        """Return the set with ``share`` times its radius."""
        eps = getattr(self.threat, "eps", None)
        if not isinstance(self.threat, Graded) or not isinstance(eps, Tensor | int | float):
            raise Unsupported(f"{type(self.threat).__name__} has no radius to change")
        if not bool((torch.as_tensor(eps) > 0).any()):
            raise Unsupported("the radius is zero")
        return self.threat.at(share * eps)

    @property
    def box(self) -> tuple[float, float]:
        """The input range, infinite where the set names none."""
        low, high = getattr(self.threat, "box", (-np.inf, np.inf))
        return float(low), float(high)
