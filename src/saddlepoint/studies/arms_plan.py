"""What the study of defences that fell computes, as one frozen value."""

from dataclasses import asdict, dataclass
from typing import Any

from saddlepoint.attacks import CW, FGSM, JSMA, PGD, SigmaZero, Targets
from saddlepoint.core.errors import Invalid
from saddlepoint.core.loss import Unaware
from saddlepoint.core.whole import require_whole
from saddlepoint.models.defences import Fitting
from saddlepoint.studies.arms_link import Link
from saddlepoint.threats import L0, L2

__all__ = ["DEFENCES", "ArmsPlan"]

DEFENCES = ("distillation", "squeezing", "specialists", "detector", "outlier class")
_WHOLE = (
    ("train_n", 20),
    ("held_n", 10),
    ("test_n", 1),
    ("epochs", 1),
    ("batch_size", 1),
    ("width", 1),
    ("steps", 1),
    ("probes", 0),
)


@dataclass(frozen=True, kw_only=True)
class ArmsPlan:
    """Defences around nets of one kind, and the sets in which they are attacked.

    net, width: of every classifier and detector; small_width: of each specialist. train_n: the
    first samples, that nets are trained on; held_n: the ones after them, which set thresholds.
    test_n: the first test samples. epochs, batch_size, lr: of each training. temperature: of
    distillation. false_alarms: share of clean inputs that a detector may reject. l2, wide: L2
    radii; wide is that of feature squeezing. pixels: an L0 radius. steps: of iterative attacks.
    probes: samples that health checks measure on. Raises ``Invalid``.

    >>> [link.name for link in ArmsPlan().links][:2]
    ['distillation, L0', 'distillation, L2']
    """

    net: str = "conv-small"
    width: int = 16
    small_width: int = 4
    train_n: int = 20_000
    held_n: int = 2_000
    test_n: int = 200
    epochs: int = 5
    batch_size: int = 128
    lr: float = 4e-3
    temperature: float = 100.0
    false_alarms: float = 0.05
    l2: float = 2.0
    wide: float = 4.0
    pixels: int = 112
    bits: int = 1
    median: int = 2
    steps: int = 50
    probes: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in _WHOLE:
            require_whole(name, getattr(self, name), least)
        if not 0 <= self.false_alarms < 1:
            raise Invalid("false_alarms", self.false_alarms, "a share in [0, 1)")
        if not self.temperature >= 1:
            raise Invalid("temperature", self.temperature, "a number of at least 1")
        if not self.links:
            raise Invalid("links", (), "some")

    @classmethod
    def quick(cls, seed: int = 0) -> "ArmsPlan":
        """Return the study at a glance: a quarter of the data and of the images."""
        return cls(train_n=5_000, held_n=1_000, test_n=50, probes=32, steps=30, seed=seed)

    def settings(self) -> dict[str, Any]:
        """Return what a folder's results depend on: fields and attacks."""
        return asdict(self) | {"links": [link.describe() for link in self.links]}

    @property
    def fitting(self) -> Fitting:
        """How each net is trained."""
        return Fitting(self.epochs, self.batch_size, self.lr, self.seed)

    @property
    def links(self) -> tuple[Link, ...]:
        """Both chains, in their order."""
        return (*self._first(), *self._second())

    def _first(self) -> tuple[Link, ...]:
        """JSMA, defensive distillation, attacks on the logits."""
        papers = {"chain": 1, "claim": "1511.04508", "truth": "1608.04644"}
        distilled: dict[str, Any] = {"defence": "distillation", **papers}
        return (
            Link(
                name="distillation, L0",
                threat=L0(self.pixels),
                naive=(JSMA(scale="probabilities"),),
                adaptive=(
                    JSMA(),
                    SigmaZero(steps=4 * self.steps),
                ),
                **distilled,
            ),
            Link(
                name="distillation, L2",
                threat=L2(self.l2),
                naive=(PGD(steps=self.steps, loss="cross-entropy"),),
                adaptive=self._margins(),
                **distilled,
            ),
        )

    def _second(self) -> tuple[Link, ...]:
        """FGSM, squeezing and detection and ensembles, Lagrangian attacks that know them."""
        blind, ring = FGSM(loss=Unaware()), self._knowing()
        known: dict[str, Any] = {"chain": 2, "naive": (blind,), "adaptive": ring}
        near: dict[str, Any] = {"threat": L2(self.l2), **known}
        he, cw = "1706.04701", "1705.07263"
        return (
            Link(
                "squeezing",
                "squeezing",
                claim="1704.01155",
                truth=he,
                threat=L2(self.wide),
                **known,
            ),
            Link("specialists", "specialists", claim="1702.06856", truth=he, **near),
            Link("detector", "detector", claim="1704.04960", truth=cw, **near),
            Link("outlier class", "outlier class", claim="1702.06280", truth=cw, **near),
        )

    def _margins(self) -> tuple[Any, ...]:
        """Climb differences of logits, within the set and by a Lagrangian."""
        return PGD(steps=self.steps, loss="margin"), CW(steps=2 * self.steps, rounds=4)

    def _knowing(self) -> tuple[Any, ...]:
        """Climb what says "wrong and accepted", also towards single classes."""
        inside, beside = self._margins()
        return PGD(steps=self.steps), Targets(inside, n=3), beside
