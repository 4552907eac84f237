"""What the study of common corruptions computes, as one frozen value."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from saddlepoint.attacks import PGD, WorstOf
from saddlepoint.core.door import Precision
from saddlepoint.core.errors import Invalid, closest
from saddlepoint.core.whole import require_whole
from saddlepoint.threats import Corruption, Linf
from saddlepoint.threats.environment import CORRUPTIONS
from saddlepoint.train import TrainPlan

__all__ = ["NETS", "CorruptionsPlan"]

NETS = ("natural", "noise", "adversarial")
_LOSS = {"natural": "natural", "noise": "sampled", "adversarial": "madry"}


@dataclass(frozen=True, kw_only=True)
class CorruptionsPlan:
    """Which corruptions, how severe, how often, and three nets to meet them.

    names, severities: every pair is a cell. draws: random patterns for each sample and cell, fixed
    by the seed. test_n: how many samples, at most, the first ones. The nets, where no model is
    given: ``natural``; ``noise``, trained on gaussian noise of any severity; ``adversarial``, on
    PGD's L_inf changes of eps. steps: of the optimiser, in whole epochs. arch, options, train_n,
    batch_size, lr, held_out, precision, seed: of the training, as in ``TrainPlan``. Raises
    ``Invalid``.

    >>> len(CorruptionsPlan().names), CorruptionsPlan().severities
    (15, (1, 2, 3, 4, 5))
    """

    names: tuple[str, ...] = tuple(CORRUPTIONS)
    severities: tuple[float, ...] = (1, 2, 3, 4, 5)
    draws: int = 5
    test_n: int = 1_000
    eps: float = 0.1
    arch: str = "conv-small"
    options: Mapping[str, Any] = field(default_factory=dict)
    train_n: int = 60_000
    steps: int = 2_400
    batch_size: int = 128
    lr: float = 4e-3
    held_out: float = 0.02
    precision: Precision = "bfloat16"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in {"draws": 1, "test_n": 1, "train_n": 2, "steps": 1}.items():
            require_whole(name, getattr(self, name), low)
        for name in self.names:
            if name not in CORRUPTIONS:
                raise Invalid("names", name, "a corruption", closest(str(name), CORRUPTIONS))
        if not self.names or not self.severities:
            raise Invalid("names, severities", (), "one of each at least")
        for severity in self.severities:
            Corruption(self.names[0], severity=severity)

    @classmethod
    def quick(cls, seed: int = 0) -> "CorruptionsPlan":
        """Return the study at a glance: fewer samples, severities and draws."""
        return cls(train_n=10_000, steps=800, test_n=300, severities=(1, 3, 5), draws=3, seed=seed)

    def settings(self) -> dict[str, Any]:
        """Return what all cells of one folder share."""
        said = asdict(self) | {"options": dict(self.options)}
        return said | {"names": list(self.names), "severities": list(self.severities)}

    def training(self, name: str, shape: tuple[int, ...], classes: int, n: int) -> TrainPlan:
        """Return the training run of one of ``NETS`` on n samples."""
        noisy = name == "noise"
        return TrainPlan(
            arch=self.arch,
            shape=shape,
            classes=classes,
            options=self.options,
            threat=Corruption("gaussian_noise") if noisy else Linf(eps=self.eps),
            loss=_LOSS[name],
            attack=WorstOf(k=5) if noisy else PGD(steps=7, step_size=0.36),
            check=WorstOf(k=5) if noisy else PGD(steps=10),
            check_n=200,
            epochs=max(1, round(self.steps * self.batch_size / n)),
            batch_size=self.batch_size,
            lr=self.lr,
            guard=False,
            held_out=self.held_out,
            precision=self.precision,
            seed=self.seed,
        )
