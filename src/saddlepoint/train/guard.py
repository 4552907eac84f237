"""Against silent failure: sees that robustness is gone although the training attack looks good."""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from saddlepoint.attacks import FGSM, PGD, RandomSearch, Refine, WorstOf
from saddlepoint.core.access import Attack, check_fit
from saddlepoint.core.errors import Unsupported
from saddlepoint.core.threat import Gridded, ThreatModel
from saddlepoint.train.awp import AWP
from saddlepoint.train.certified import CROWNIBP, IBP
from saddlepoint.train.gaussian import Gaussian
from saddlepoint.train.history import Epoch
from saddlepoint.train.losses import Free, Natural, RobustLoss
from saddlepoint.train.sampled import Sampled
from saddlepoint.train.single_step import NFGSM

__all__ = ["Event", "collapsed", "escalated", "own_attack", "stronger"]

GAP = 0.2  # what a training attack may overstate; honest ones are within a few points
GOOD = 0.4  # of the clean accuracy
MOST_STEPS = 40
_UNASKING = (Natural, Gaussian, Sampled, IBP, CROWNIBP)  # train without an attack


@dataclass(frozen=True)
class Event:
    """One collapse: in ``epoch``, what was seen, and what was done about it.

    own, robust: held-out accuracy under the training attack and under the check. best: the highest
    robust accuracy before. weaker, stronger: the inner attack until then, and since ("" where
    nothing changed). kept: the epoch whose weights were gone back to, 0 where there was none, and
    ``epoch`` itself where the guard was off; without a stronger attack, training ended there.
    seconds: what the epoch had taken.
    """

    epoch: int
    own: float
    robust: float
    best: float
    weaker: str
    stronger: str
    kept: int
    seconds: float = 0.0

    def __str__(self) -> str:
        done = f"back to epoch {self.kept}, " if self.kept else "its weights are a new start, "
        done += f"on with {self.stronger}" if self.stronger else "no stronger inner attack is known"
        if self.kept == self.epoch:
            done = "the guard is off: nothing was done"
        return (
            f"epoch {self.epoch} collapsed: held-out accuracy is {self.own:.1%} under the training "
            f"attack {self.weaker} but {self.robust:.1%} under the check (catastrophic "
            f"overfitting); {done}"
        )


def collapsed(row: Epoch, best: float) -> bool:
    """Whether the model has learnt to beat the training attack in place of the adversary.

    True when the training attack looks good (0.4 of the clean accuracy or more), sees at least 0.2
    more accuracy than the check, and the check sees less than half of what the training attack
    sees, or of the best that it saw before.

    >>> collapsed(Epoch(5, 0.1, 0.99, 0.0, 0.986, 0.005, 1.0), best=0.8)
    True
    >>> collapsed(Epoch(5, 0.1, 0.99, 0.85, 0.93, 0.005, 1.0), best=0.8)
    False
    """
    seen = row.robust if row.own is None else row.own
    looks_good = seen >= GOOD * row.clean
    return looks_good and seen - row.robust >= GAP and row.robust < max(seen, best) / 2


def own_attack(objective: RobustLoss, attack: Attack[Any]) -> Attack[Any] | None:
    """Return what stands for the training attack on held-out samples; None: nothing to compare.

    Natural training and training on noise or random members ask no attack. Random tries are weaker
    than gradients by nature, which is no collapse. N-FGSM leaves the set: its step from a random
    member stands for it, and one step for free training.

    >>> from saddlepoint.train import Madry
    >>> own_attack(Madry(), NFGSM()), own_attack(Natural(), PGD())
    (PGD(steps=1, step_size=1.25), None)
    """
    objective = objective.loss if isinstance(objective, AWP) else objective
    if isinstance(objective, _UNASKING) or isinstance(attack, WorstOf | RandomSearch):
        return None
    if isinstance(objective, Free):
        return PGD(steps=1, step_size=objective.step_size)
    return PGD(steps=1, step_size=1.25) if isinstance(attack, NFGSM) else attack


def stronger(attack: Attack[Any], threat: ThreatModel) -> Attack[Any] | None:
    """Return the next stronger inner attack, or None where no better one is known.

    One step becomes four; any number of steps (or tries) is doubled, up to 40; tries that were
    doubled in vain give way to gradients, in a set of few parameters to a grid that is refined.

    >>> from saddlepoint import Linf
    >>> stronger(FGSM(), Linf(eps=0.3)), stronger(PGD(steps=4, step_size=0.5), Linf(eps=0.3))
    (PGD(steps=4, step_size=0.5), PGD(steps=8, step_size=0.25))
    """
    many: set[str] = {f.name for f in fields(attack)} if is_dataclass(attack) else set()
    if isinstance(attack, FGSM | NFGSM) or (isinstance(attack, PGD) and attack.steps == 1):
        following: Any = PGD(steps=4, step_size=0.5, loss=getattr(attack, "loss", None))
    elif "attack" in many:  # restarts and the like: what is in them
        inner = stronger(attack.attack, threat)  # type: ignore[attr-defined]
        return None if inner is None else replace(attack, attack=inner)  # type: ignore[type-var]
    elif count := next((name for name in ("steps", "k") if name in many), None):
        n = 2 * getattr(attack, count)
        if n > MOST_STEPS:
            return _another(threat) if count == "k" else None
        # A constant step is halved, so that the path keeps its length.
        size = getattr(attack, "step_size", None)
        finer = {"step_size": size / 2} if size is not None else {}
        following = replace(attack, **{count: n, **finer})  # type: ignore[type-var]
    else:
        following = _another(threat)
    try:
        check_fit(following, threat, "gradients")
    except Unsupported:
        return None
    return following  # type: ignore[no-any-return]


def _another(threat: ThreatModel) -> Attack[Any]:
    """Return what to try where more of the same is none the stronger."""
    few = isinstance(threat, Gridded)
    return Refine(rounds=2, keep=2) if few else PGD(steps=10, step_size=0.25)


def escalated(attack: Attack[Any], threat: ThreatModel, events: int) -> Attack[Any]:
    """Return the inner attack after so many events: a function of the plan, so that it resumes."""
    for _ in range(events):
        attack = stronger(attack, threat) or attack
    return attack
