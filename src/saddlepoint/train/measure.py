"""Held-out accuracy of the model as it stands, at the samples and under the check attack."""

from typing import Any

import torch
from torch import nn

from saddlepoint.attacks.parts import everywhere
from saddlepoint.core.access import Attack
from saddlepoint.core.door import Door
from saddlepoint.core.errors import Invalid
from saddlepoint.core.goal import Targeted, Untargeted
from saddlepoint.core.ledger import Status
from saddlepoint.core.origin import code_of
from saddlepoint.core.search import search
from saddlepoint.core.target import as_target
from saddlepoint.core.tf32 import without_tf32
from saddlepoint.train.bounded import certified
from saddlepoint.train.certified import certifies
from saddlepoint.train.rounded import Rounded
from saddlepoint.train.samples import Samples
from saddlepoint.train.step import Diverged

__all__ = ["measure", "proved"]

BATCH = 512


def measure(
    model: nn.Module, samples: Samples, attack: Attack[Any] | None
) -> tuple[float, float, float | None]:
    """Return (clean, robust, own) accuracy in [0, 1] on held-out samples.

    clean: over all of them, in float32. robust: over those attacked by the plan's check. own: the
    same under ``attack``, the one trained with (None: not asked). Each counts samples that
    survived: one that could not be judged, for an answer that is not finite, did not. A search in
    low precision is confirmed in float32. The attacks start from the same random points after every
    epoch, so that epochs are compared by their weights alone. Raises ``RuntimeError`` with the
    attack's traceback when one fails, ``Invalid`` when it or the set is the user's own,
    ``Diverged`` when answers are no longer finite.
    """
    rows = samples.measured()
    with Door(model, verify=False) as door:
        scores = torch.cat([door.scores(x) for x in torch.split(rows.x, BATCH)])
    if not bool(scores.isfinite().all()):
        raise Diverged("the model's answers to held-out samples are no longer finite")
    clean = int((scores.argmax(1) == rows.y).sum()) / len(rows.y)
    robust = _survive(model, samples, samples.plan.check, "check")
    own = None if attack is None else _survive(model, samples, attack, "training attack")
    return clean, robust, own


def proved(model: nn.Module, samples: Samples) -> float | None:
    """Return the share of the samples under the check that intervals certify; None: not asked.

    The same samples, so that ``robust`` is at least this, if the bounds are sound.
    """
    plan = samples.plan
    if not certifies(plan.objective):
        return None
    few = samples.measured(plan.check_n)
    with without_tf32():
        return int(certified(model, few.x, few.y, plan.threat).sum()) / len(few.y)


def _survive(model: nn.Module, samples: Samples, attack: Attack[Any], what: str) -> float:
    plan, few = samples.plan, samples.measured(samples.plan.check_n)
    # Of a set made of sets every part is searched: chance would pick one for each sample.
    attack = everywhere(attack, plan.threat)
    target = as_target(plan.target)
    goal: Untargeted | Targeted = Untargeted(few.y)  # rejected is not right
    if target is not None:
        with Door(model, verify=False) as door:
            scores = torch.cat([door.scores(x) for x in torch.split(few.x, BATCH)])
        goal = target.goal(few.ids, few.y, scores)
    found = search(
        attack,
        Rounded(model) if few.x.device.type == "cpu" else model,
        few.x,
        goal,
        plan.threat,
        seed=plan.seed,
        ids=few.ids.cpu(),
        precision=plan.precision,
    )
    if found.error is not None:
        told = f"the {what} {attack!r} failed on held-out samples:\n{found.error}"
        if code_of(attack, plan.threat):  # the traceback is for whoever wrote these
            raise Invalid(what.split()[-1], attack, "one that does not fail", told)
        raise RuntimeError(told)
    left = found.status.count(Status.SURVIVED)
    if isinstance(goal, Targeted):  # those of the target's class cannot be moved there
        left += int((found.broken & (goal.label == few.y).cpu()).sum())
    return left / len(few.y)
