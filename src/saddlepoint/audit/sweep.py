"""What a curve's run will do: runs with equal sweeps may share a folder."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saddlepoint.attacks import DDN, FAB, FMN, Each, Sequence
from saddlepoint.audit import labelled
from saddlepoint.core.access import Access, Attack, check_fit
from saddlepoint.core.door import Precision
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.origin import code
from saddlepoint.core.target import Target
from saddlepoint.core.threat import Graded, Parted, graded
from saddlepoint.core.whole import require_whole

__all__ = ["Sweep", "default_nearest"]

# The closest breaks per norm that a few hundred passes buy; docs/results.md has the table.
# FAB comes closest in L_2 and L_1 but finds no break at all of some samples; FMN finds one.
_BOTH = Sequence((FMN(), FAB()))
_QUESTIONS = 2000  # without gradients
_BEST: dict[str, Attack[Any]] = {
    "Linf": DDN(),
    "L2": _BOTH,
    "L1": _BOTH,
    "L0": FMN(steps=500),
}


def default_nearest(threat: object, access: Access = "gradients") -> Attack[Any]:
    """Return the attack that came closest in a set of this kind, by measurement.

    Without gradients it is a search by labels, since no search by scores here knows of sizes.

    >>> from saddlepoint import Linf
    >>> default_nearest(Linf(eps=0.3))
    DDN()
    """
    if isinstance(threat, Parted):
        return Each(tuple(default_nearest(part, access) for part in threat.parts))
    if access != "gradients":
        return labelled.long_run(graded(threat), _QUESTIONS)[0]
    return _BEST.get(type(getattr(threat, "threat", threat)).__name__, FMN())


@dataclass(frozen=True)
class Sweep:
    """The settings of a run as frozen data.

    threat: the set of the largest size of interest. attack: looks for the closest break of each of
    the first n samples. confidence: of the intervals. batch_size: samples per chunk. target: the
    class that the adversary wants; None: any other than the label. access: what the attack may see.
    """

    threat: Graded
    attack: Attack[Any]
    n: int
    seed: int = 0
    precision: Precision = "float32"
    confidence: float = 0.95
    batch_size: int = 128
    target: Target | None = None
    access: Access = "gradients"

    def __post_init__(self) -> None:
        for name in ("n", "batch_size"):
            require_whole(name, getattr(self, name))
        Draw.of(self.seed, torch.arange(0))  # refuses a bad seed
        if not 0 < self.confidence < 1:
            raise Invalid("confidence", self.confidence, "a number between 0 and 1")
        eps = graded(self.threat).eps
        if isinstance(eps, Tensor) or not eps > 0:
            raise Invalid("eps", eps, "one number above 0: the largest radius of the curve")
        check_fit(self.attack, self.threat, self.access)

    def describe(self) -> dict[str, Any]:
        """What decides the distances, as JSON."""
        named = ("n", "seed", "precision", "confidence")
        words = {"threat": repr(self.threat), "attack": repr(self.attack)}
        aimed = {} if self.target is None else {"target": str(self.target)}
        seen = {} if self.access == "gradients" else {"access": self.access}
        mine = code(self.threat, self.attack)
        return {**words, **{k: getattr(self, k) for k in named}, **aimed, **seen, **mine}
