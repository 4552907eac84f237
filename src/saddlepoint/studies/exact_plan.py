"""What the study of exact distances computes, as one frozen value."""

from dataclasses import asdict, dataclass
from typing import Any

from saddlepoint.attacks import APGD, FAB, FMN, PGD, Bisect, Targets
from saddlepoint.core.access import Attack
from saddlepoint.core.errors import Invalid
from saddlepoint.core.whole import require_whole
from saddlepoint.threats import Linf
from saddlepoint.train import TrainPlan
from saddlepoint.verify.distance import Distance

__all__ = ["ExactPlan"]


@dataclass(frozen=True, kw_only=True)
class ExactPlan:
    """Two nets of one shape, and the images whose distance to the boundary is found.

    hidden: ReLUs of each hidden layer. eps: L_inf radius of adversarial training. train_n, epochs,
    batch_size, lr, held_out, seed: as in ``TrainPlan``. images: how many, the first of the test
    split that both nets get right. tolerance: width of a bracket, as a share of the distance;
    seconds: of CPU time for one. programs: how many images of each net, the easiest, are given to
    a mixed-integer program as well, for program_seconds each. steps: of every attack. Raises
    ``Invalid``.

    >>> sorted(ExactPlan().attacks())
    ['APGD, bisected', 'FAB', 'FAB, targeted', 'FMN', 'PGD, bisected']
    """

    hidden: tuple[int, ...] = (24, 24)
    eps: float = 0.1
    train_n: int = 60_000
    epochs: int = 10
    images: int = 20
    tolerance: float = 0.005
    seconds: float = 60.0
    programs: int = 5
    program_seconds: float = 60.0
    steps: int = 100
    batch_size: int = 128
    lr: float = 2e-3
    held_out: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("images", 1),
            ("programs", 0),
            ("epochs", 1),
            ("train_n", 2),
            ("steps", 1),
        ):
            require_whole(name, getattr(self, name), least)
        for name in ("seconds", "program_seconds"):
            if not getattr(self, name) > 0:
                raise Invalid(name, getattr(self, name), "a number above 0")
        if not self.hidden or min(self.hidden) < 1:
            raise Invalid("hidden", self.hidden, "widths of at least 1, such as (24, 24)")
        self.distance()

    @classmethod
    def quick(cls, seed: int = 0) -> "ExactPlan":
        """Return the study at a glance: ten images, a sixth of the data, wider brackets."""
        return cls(
            train_n=10_000,
            images=10,
            tolerance=0.02,
            seconds=10.0,
            programs=3,
            program_seconds=15.0,
            seed=seed,
        )

    def settings(self) -> dict[str, Any]:
        """Return what a folder's results depend on."""
        return asdict(self) | {"hidden": list(self.hidden)}

    def distance(self) -> Distance:
        """Return the search for one distance."""
        return Distance(tolerance=self.tolerance, seconds=self.seconds)

    def attacks(self) -> dict[str, Attack[Any]]:
        """Return the attacks whose distances are compared with the exact ones."""
        return {
            "FMN": FMN(steps=self.steps),
            "FAB": FAB(steps=self.steps),
            "FAB, targeted": Targets(FAB(steps=self.steps), n=9),
            "PGD, bisected": Bisect(PGD(steps=self.steps)),
            "APGD, bisected": Bisect(APGD(steps=self.steps)),
        }

    def training(self, name: str, shape: tuple[int, ...], classes: int) -> TrainPlan:
        """Return the training run of the net called ``natural`` or ``adversarial``."""
        return TrainPlan(
            arch="mlp",
            shape=shape,
            classes=classes,
            options={"hidden": list(self.hidden)},
            threat=Linf(eps=self.eps),
            attack=PGD(steps=7, step_size=0.36),
            check=PGD(steps=10),
            check_n=200,
            loss="natural" if name == "natural" else "madry",
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            guard=False,
            held_out=self.held_out,
            seed=self.seed,
        )
