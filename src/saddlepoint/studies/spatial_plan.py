"""What the study of rotations and shifts computes, as one frozen value."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from saddlepoint.attacks import PGD, Grid, Refine, WorstOf
from saddlepoint.core.access import Attack
from saddlepoint.core.door import Precision
from saddlepoint.core.whole import require_whole
from saddlepoint.threats import RotateTranslate
from saddlepoint.threats.bilinear import Padding
from saddlepoint.train import TrainPlan

__all__ = ["SpatialPlan"]

TRAINED = ("natural", "augmented", "worst-of-k")
_LOSS = {"natural": "natural", "augmented": "sampled", "worst-of-k": "madry"}


@dataclass(frozen=True, kw_only=True)
class SpatialPlan:
    """Three trainings of one net, and the attacks that each is measured under.

    degrees, pixels, padding: of ``RotateTranslate``. arch, options: the net. train_n, test_n: how
    many samples, at most, of either split are used, the first ones. tries: random members of which
    the worst is trained on. steps: of the first-order attack. examples: how many broken samples of
    the natural net are kept as pictures. epochs, batch_size, lr, held_out, precision, seed: as in
    ``TrainPlan``. Raises ``Invalid``.

    >>> list(SpatialPlan().attacks())
    ['random', 'worst_of', 'first_order', 'grid', 'refined']
    """

    degrees: float = 30.0
    pixels: float = 3.0
    padding: Padding = "zero"
    arch: str = "madry-mnist"
    options: Mapping[str, Any] = field(default_factory=lambda: {"width": 16})
    train_n: int = 60_000
    test_n: int = 1_000
    epochs: int = 6
    tries: int = 10
    steps: int = 40
    examples: int = 6
    batch_size: int = 128
    lr: float = 2e-3
    held_out: float = 0.02
    precision: Precision = "bfloat16"
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"train_n": 2, "test_n": 1, "epochs": 1, "tries": 1, "steps": 1, "examples": 0}
        for name, low in least.items():
            require_whole(name, getattr(self, name), low)
        self.threat()

    @classmethod
    def quick(cls, seed: int = 0) -> "SpatialPlan":
        """Return the study at a glance: a smaller net, a third of the data, 500 test images."""
        return cls(
            arch="conv-small",
            options={},
            train_n=20_000,
            test_n=500,
            epochs=6,
            lr=4e-3,
            seed=seed,
        )

    def settings(self) -> dict[str, Any]:
        """Return what all nets of one folder share."""
        return asdict(self) | {"options": dict(self.options)}

    def threat(self) -> RotateTranslate:
        """Return the set."""
        return RotateTranslate(degrees=self.degrees, pixels=self.pixels, padding=self.padding)

    def attacks(self) -> dict[str, Attack[Any]]:
        """Return the attacks, the weakest first; each begins with the sample itself."""
        return {
            "random": WorstOf(k=1),
            "worst_of": WorstOf(k=10),
            "first_order": PGD(steps=self.steps),
            "grid": Grid(),
            "refined": Refine(rounds=5, keep=12),
        }

    def training(self, name: str, shape: tuple[int, ...], classes: int) -> TrainPlan:
        """Return the training run of the net called ``natural``, ``augmented``, ``worst-of-k``."""
        return TrainPlan(
            arch=self.arch,
            shape=shape,
            classes=classes,
            options=self.options,
            threat=self.threat(),
            loss=_LOSS[name],
            attack=WorstOf(k=self.tries),
            check=WorstOf(k=10),
            check_n=200,
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            guard=False,
            held_out=self.held_out,
            precision=self.precision,
            seed=self.seed,
        )
