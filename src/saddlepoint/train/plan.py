"""Everything that decides what a training run computes, as one frozen value."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Literal

from torch import Tensor

from saddlepoint.attacks import FAB, FGSM, PGD, DeepFool, NoisyPGD
from saddlepoint.core.access import Attack, check_fit
from saddlepoint.core.door import Precision
from saddlepoint.core.errors import Invalid, closest
from saddlepoint.core.origin import code
from saddlepoint.core.target import as_target
from saddlepoint.core.threat import Graded, ThreatModel
from saddlepoint.core.whole import is_whole
from saddlepoint.train.augment import AUGMENTS
from saddlepoint.train.awp import AWP
from saddlepoint.train.bounded import check_box
from saddlepoint.train.certified import certifies
from saddlepoint.train.lean import Keep
from saddlepoint.train.losses import MART, TRADES, Madry, Natural, RobustLoss
from saddlepoint.train.naming import name_of
from saddlepoint.train.objectives import as_robust_loss
from saddlepoint.train.schedule import SCHEDULES
from saddlepoint.train.single_step import NFGSM

__all__ = ["OPTIMIZERS", "TrainPlan"]

OPTIMIZERS = ("adam", "sgd")
_PRECISIONS = ("float32", "bfloat16")


def _whole(least: int) -> tuple[Callable[[Any], bool], str]:
    return partial(is_whole, least=least), f"a whole number of at least {least}"


def _number(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _share_or_count(value: Any) -> bool:  # noqa: ANN401
    return 0 < value < 1 if isinstance(value, float) else _whole(1)[0](value)


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "arch": (lambda v: isinstance(v, str) and v != "", "the name of an architecture"),
    "shape": (
        lambda v: len(v) > 0 and all(_whole(1)[0](n) for n in v),
        "the shape of one sample, such as (1, 28, 28)",
    ),
    "classes": _whole(2),
    "epochs": _whole(1),
    "batch_size": _whole(1),
    "lr": (lambda v: _number(v) and v > 0, "a finite number above 0"),
    "weight_decay": (lambda v: _number(v) and v >= 0, "a finite number of at least 0"),
    "momentum": (lambda v: _number(v) and 0 <= v < 1, "a number in [0, 1)"),
    "held_out": (
        _share_or_count,
        "a share in (0, 1) or a whole number of at least 1 of training samples",
    ),
    "check_n": _whole(1),
    "ema": (lambda v: _number(v) and 0 <= v < 1, "a decay in [0, 1), 0 for none"),
    "eps_ramp": (lambda v: _number(v) and 0 <= v <= 1, "a share of the run in [0, 1]"),
    "guard": (lambda v: isinstance(v, bool), "True or False"),
    "seed": (lambda v: _whole(0)[0](v) and v < 1 << 63, "a whole number in [0, 2^63)"),
}


@dataclass(frozen=True, kw_only=True)
class TrainPlan:
    """min over parameters of the mean of ``loss``, and how the minimum is sought.

    arch, shape, classes, options: the network, as the model card will name it. threat: the set
    the adversary moves in. attack: the inner attack of training. keep: whether its ``worst`` or
    its ``last`` point is trained on; ``auto``: the last of a single step, else the worst. check:
    the stronger attack on held-out samples after each epoch. loss: ``natural``, ``madry``,
    ``trades``, ``mart``, ``free``, ``awp``, ``gaussian``, ``sampled``, certified ones (``ibp``,
    ``crownibp``, ``sabr``, ``mtlibp``), or a ``RobustLoss``. epochs: passes over the training set,
    in batches of ``batch_size``, over all processes together. optimizer: ``adam`` or ``sgd``, with
    its weight_decay; momentum: of sgd; adam has its own. lr: the peak of ``schedule`` (constant,
    cosine, one-cycle). ema: decay of the average
    over steps that is measured and kept in place of the weights themselves. eps_ramp: share of the
    run over which the radius grows from 0 to its own. guard: go back and on with a stronger inner
    attack when robustness collapses unseen by the present one. held_out: share (float) or number
    (int) of training samples kept for measuring; check_n: how many of them, at most, are attacked.
    augment: None, ``crop`` or ``flip-crop``. precision: of the passes; weights stay float32.
    target: the class that the adversary wants, an index, ``next``, ``runner-up`` or
    ``least-likely``; None: any but the label.

    Raises ``Invalid`` with name, value and what is allowed; ``Unsupported`` where an attack does
    not fit the threat.

    >>> from saddlepoint import Linf
    >>> plan = TrainPlan(arch="mlp", shape=(1, 8, 8), classes=10, threat=Linf(eps=0.1))
    >>> plan.describe()["attack"]
    'PGD(steps=10, step_size=0.25)'
    """

    arch: str
    shape: tuple[int, ...]
    classes: int
    threat: ThreatModel
    options: Mapping[str, Any] = field(default_factory=dict)
    attack: Attack[Any] = field(default=PGD(steps=10, step_size=0.25))
    keep: Keep | Literal["auto"] = "auto"
    check: Attack[Any] = field(default=PGD(steps=20))
    loss: RobustLoss | str = "madry"
    epochs: int = 20
    batch_size: int = 128
    lr: float = 1e-3
    optimizer: Literal["adam", "sgd"] = "adam"
    weight_decay: float = 0.0
    momentum: float = 0.9
    schedule: Literal["constant", "cosine", "one-cycle"] = "one-cycle"
    ema: float = 0.0
    eps_ramp: float = 0.0
    guard: bool = True
    held_out: int | float = 0.1
    check_n: int = 1000
    seed: int = 0
    augment: Literal["crop", "flip-crop"] | None = None
    precision: Precision = "float32"
    target: int | str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        for name, (holds, allowed) in _RULES.items():
            if not holds(value := getattr(self, name)):
                raise Invalid(name, value, allowed)
        self._check_names()
        self._check_parts()

    def _check_names(self) -> None:
        for name, known in (
            ("optimizer", OPTIMIZERS),
            ("schedule", tuple(SCHEDULES)),
            ("precision", _PRECISIONS),
            ("keep", ("auto", "worst", "last")),
            ("augment", (*AUGMENTS, None)),
        ):
            if (value := getattr(self, name)) not in known:
                hint = closest(str(value), [k for k in known if k])
                raise Invalid(name, value, "one of " + ", ".join(map(repr, known)), hint)
        if self.augment is not None and len(self.shape) != 3:
            raise Invalid("augment", self.augment, f"None for samples of shape {self.shape}")

    def _check_parts(self) -> None:
        as_robust_loss(self.loss)
        if not isinstance(self.threat, ThreatModel):
            raise Invalid("threat", self.threat, "a threat model, such as Linf(eps=0.1)")
        if isinstance(getattr(self.threat, "eps", None), Tensor):
            raise Invalid("threat", "<one eps per sample>", "one set for all samples in training")
        if self.eps_ramp and not (hasattr(self.threat, "eps") and isinstance(self.threat, Graded)):
            raise Invalid("eps_ramp", self.eps_ramp, f"0 for {self.threat}, which has no radius")
        for name in ("attack", "check"):
            if not callable(attack := getattr(self, name)):
                raise Invalid(name, attack, "an attack, such as PGD(steps=10)")
            check_fit(attack, self.threat, "gradients")
        self._check_target()
        self._check_pairs()

    def _check_target(self) -> None:
        """Refuse targets that are none, and objectives that search for something else."""
        if self.target is None:
            return
        if not isinstance(self.target, int | str):
            raise Invalid("target", "<a list>", "a class or a rule, in training")
        as_target(self.target).check(1, self.classes)  # type: ignore[union-attr]
        if not isinstance(self._inside, Madry | MART):
            allowed = f"None for {self._inside}, whose adversary does not climb the label's loss"
            raise Invalid("target", self.target, allowed)

    def _check_pairs(self) -> None:
        """Refuse parts that are fine alone and do not work together."""
        parts = {"attack", "attacks"} & set(getattr(self.attack, "__dataclass_fields__", ()))
        looks = isinstance(self.attack, NoisyPGD | DeepFool | FAB)
        if self.keep == "last" and (parts or looks):
            why = "whose first look would end it" if looks else "which has several ends"
            raise Invalid("keep", self.keep, f"'worst' for {self.attack}, {why}")
        if certifies(self.objective):
            check_box(self.threat)
        from_x = isinstance(self.attack, FGSM) or getattr(self.attack, "start", "") == "clean"
        if isinstance(self._inside, TRADES) and from_x:
            hint = "the divergence has no gradient at x"
            raise Invalid(
                "attack", self.attack, f"one with a random start for {self._inside}", hint
            )

    @property
    def objective(self) -> RobustLoss:
        """What is minimised; a name is resolved."""
        return as_robust_loss(self.loss)

    @property
    def natural(self) -> bool:
        """Whether the adversary plays no part, so that the best epoch is the best clean one."""
        return isinstance(self._inside, Natural)

    @property
    def _inside(self) -> RobustLoss:
        """The objective without what is around it."""
        return self.objective.loss if isinstance(self.objective, AWP) else self.objective

    def keeps(self, attack: Attack[Any] | None = None) -> Keep:
        """What ``keep`` comes to for the plan's attack, or a stronger one in its place."""
        asked = attack or self.attack
        single = isinstance(asked, FGSM | NFGSM) or getattr(asked, "steps", 0) == 1
        return ("last" if single else "worst") if self.keep == "auto" else self.keep

    @property
    def replays(self) -> int:
        """Steps in a row on the same batch."""
        return int(getattr(self.objective, "replays", 1))

    def describe(self) -> dict[str, Any]:
        """Return what JSON holds; components as their repr, which the command line reads."""
        said = {f.name: getattr(self, f.name) for f in fields(self)}
        said |= {"shape": list(self.shape), "options": dict(self.options)}
        said |= {name: name_of(said[name]) for name in ("threat", "attack", "check")}
        if self.target is None:
            del said["target"]  # so that plans without one read as ever
        own = code(self.threat, self.attack, self.check, self.objective)
        return said | own | {"loss": name_of(self.objective)}

    def key(self) -> str:
        """sha256 of the description: equal exactly for plans that compute the same."""
        text = json.dumps(self.describe(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()
