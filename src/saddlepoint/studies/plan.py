"""What the study of capacity computes, as one frozen value, and how long that should take."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from saddlepoint.attacks import FGSM, PGD
from saddlepoint.core.door import Precision
from saddlepoint.core.errors import Invalid, closest
from saddlepoint.core.whole import is_whole
from saddlepoint.studies.cell import Cell
from saddlepoint.threats import Linf
from saddlepoint.train import TrainPlan

__all__ = ["MULTIPLIERS", "TRAININGS", "CapacityPlan"]

MULTIPLIERS = (1, 2, 4, 8, 16)
TRAININGS = ("natural", "fgsm", "pgd")
_CHOICES = ("multipliers", "trainings")  # which cells, not what a cell is

# How long it takes, on two cores (AMD EPYC with bfloat16, two threads, batches of 128). One pass,
# forward and backward, of one sample takes about 30 + 0.16 width² microseconds: 31, 33, 40, 71 and
# 194 for x1 to x16, 369 together. Natural, FGSM and PGD training need 1, 2 and 8 passes per sample
# and epoch (PGD-5: 6), a measurement at most 3 + 40 per test sample (quick: 3 + 20).
#   full   60,000 x 18 x (1 + 2 + 8) x 369 us = 4,380 s, and 3 x 10,000 x 43 x 369 us = 480 s:
#          81 minutes, of which maxima before ReLUs have since saved a tenth.
#   quick  x1, x4, x16 take 265 us together: 10,000 x 14 x (1 + 2 + 6) x 265 us = 334 s, and
#          3 x 1,000 x 23 x 265 us = 18 s: 6 minutes.
_FIXED, _PER_SQUARE = 30e-6, 0.16e-6


def _at_least(least: int) -> tuple[Callable[[Any], bool], str]:
    return partial(is_whole, least=least), f"a whole number of at least {least}"


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "train_n": _at_least(2),
    "test_n": _at_least(1),
    "epochs": _at_least(1),
    "train_steps": _at_least(1),
    "test_steps": _at_least(1),
}


@dataclass(frozen=True, kw_only=True)
class CapacityPlan:
    """The cells, width times training, of the study, and how each is trained and measured.

    multipliers: of the smallest net's width. trainings: natural, fgsm, pgd. eps: radius of the
    L_inf ball in the input's units. train_n, test_n: how many samples, at most, of either split
    are used, the first ones. train_steps, test_steps: of PGD. held_out: share of the training
    samples that only watches. epochs, batch_size, lr, precision, seed: as in ``TrainPlan``.

    Training PGD takes steps of 2.5 / ``train_steps`` radii, Madry's rule, from a random start;
    FGSM training takes the single exact step from the sample itself, as the paper does, without
    the random start that would help against its collapse. Raises ``Invalid``.

    >>> plan = CapacityPlan()
    >>> len(plan.cells), plan.inner("pgd")
    (15, PGD(steps=7, step_size=0.36))
    """

    multipliers: tuple[int, ...] = MULTIPLIERS
    trainings: tuple[str, ...] = TRAININGS
    eps: float = 0.3
    train_n: int = 60_000
    test_n: int = 10_000
    epochs: int = 18
    train_steps: int = 7
    test_steps: int = 40
    batch_size: int = 128
    lr: float = 1e-3
    held_out: float = 0.02
    precision: Precision = "bfloat16"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (holds, allowed) in _RULES.items():
            if not holds(value := getattr(self, name)):
                raise Invalid(name, value, allowed)
        for name, known in (("multipliers", MULTIPLIERS), ("trainings", TRAININGS)):
            asked: tuple[Any, ...] = getattr(self, name)
            if wrong := [v for v in asked if v not in known]:
                hint = closest(str(wrong[0]), map(str, known)) if name == "trainings" else ""
                raise Invalid(name, wrong[0], "one of " + ", ".join(map(str, known)), hint)
            if not asked:
                raise Invalid(name, asked, "at least one of " + ", ".join(map(str, known)))
            # In the order of the figure, each once.
            object.__setattr__(self, name, tuple(v for v in known if v in asked))

    @classmethod
    def quick(cls, seed: int = 0) -> "CapacityPlan":
        """Return the study at a glance: three widths, a sixth of the data, an easier PGD."""
        return cls(
            multipliers=(1, 4, 16),
            train_n=10_000,
            test_n=1_000,
            epochs=14,
            train_steps=5,
            test_steps=20,
            seed=seed,
        )

    def choose(
        self,
        multipliers: tuple[int, ...] | None,
        trainings: tuple[str, ...] | None,
        precision: Precision | None = None,
    ) -> "CapacityPlan":
        """Return the plan with other cells or another precision; None leaves it as it is."""
        given = {"multipliers": multipliers, "trainings": trainings, "precision": precision}
        return replace(self, **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell, the cheap ones first."""
        return tuple(Cell(m, t) for m in self.multipliers for t in self.trainings)

    def settings(self) -> dict[str, Any]:
        """Return what all cells of one folder share: everything but which cells there are."""
        return {k: v for k, v in asdict(self).items() if k not in _CHOICES}

    def inner(self, training: str) -> FGSM | PGD:
        """Return the adversary of a training; natural training has none and never asks it."""
        if training != "pgd":
            return FGSM()
        return PGD(steps=self.train_steps, step_size=round(2.5 / self.train_steps, 2))

    def attacks(self) -> dict[str, FGSM | PGD]:
        """Return the attacks that every trained net is measured under."""
        return {"fgsm": FGSM(), "pgd": PGD(steps=self.test_steps)}

    def training(self, cell: Cell, shape: tuple[int, ...], classes: int) -> TrainPlan:
        """Return the training run of one cell."""
        return TrainPlan(
            arch="madry-mnist",
            shape=shape,
            classes=classes,
            options={"width": cell.width},
            threat=Linf(eps=self.eps),
            attack=self.inner(cell.training),
            # As the paper: on the attack's result, even where the sample itself is worse.
            keep="last",
            # For the curve only: the last weights are measured, not the best.
            check=PGD(steps=10),
            check_n=200,
            loss="natural" if cell.training == "natural" else "madry",
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            guard=False,  # the collapse of FGSM training is what the figure is to show
            held_out=self.held_out,
            precision=self.precision,
            seed=self.seed,
        )

    def seconds(self, cell: Cell) -> tuple[float, float]:
        """Estimate (training, measuring) time of a cell on two cores; what progress weighs by."""
        one = _FIXED + _PER_SQUARE * cell.width**2
        passes = {"natural": 1, "fgsm": 2, "pgd": 1 + self.train_steps}[cell.training]
        # A clean pass, two of FGSM, and PGD up to its end: it leaves a sample at its first break.
        measuring = self.test_n * (3 + self.test_steps)
        return one * passes * self.train_n * self.epochs, one * measuring
