"""Calls that people know: our attacks behind the signatures of Foolbox and torchattacks.

Everything ends in ``search`` or ``nearest`` and gives what they give; neither package is needed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from saddlepoint import attacks
from saddlepoint.core.access import Attack
from saddlepoint.core.detected import meant
from saddlepoint.core.door import Model
from saddlepoint.core.errors import Invalid
from saddlepoint.core.goal import Goal, Targeted
from saddlepoint.core.nearest import nearest
from saddlepoint.core.search import search
from saddlepoint.core.threat import ThreatModel
from saddlepoint.threats import L1, L2, Linf

__all__ = ["APGD", "FGSM", "PGD", "PGDL2", "Bound", "Called", "Square"]


@dataclass(frozen=True, eq=False)
class Called:
    """An attack called as Foolbox's: ``attack(model, x, y, epsilons=…)`` -> (raw, clipped, is_adv).

    norm: the ball that the radii are of. model: one of Foolbox, whose ``bounds`` are the input
    range, or any that ``search`` takes, with [0, 1]. criterion: labels (N,), or an object with
    ``labels`` or ``target_classes``, as Foolbox's criteria are. epsilons: a radius, or K in a list,
    tuple, tensor, array or generator: one search each; None asks for the closest break instead
    (``nearest``). raw, clipped: (N, *F), the worst inputs found, both the same; is_adv: (N,) bool.
    For several radii two lists and (K, N). Raises ``Invalid`` for what is no radius.

    >>> x = torch.tensor([[0.9, 0.1], [0.2, 0.7]])
    >>> attack = Called(attacks.FGSM(), Linf)
    >>> _, _, is_adv = attack(torch.nn.Identity(), x, x.argmax(1), epsilons=[0.1, 0.3])
    >>> is_adv
    tensor([[False, False],
            [False,  True]])
    """

    attack: Attack[Any]
    norm: type[Linf] | type[L2] | type[L1] = Linf
    seed: int = 0

    def __call__(
        self,
        model: Any,  # noqa: ANN401 - Foolbox's, or whatever search takes
        inputs: Tensor,
        criterion: Any,  # noqa: ANN401
        *,
        epsilons: Iterable[Any] | float | None,
    ) -> tuple[Any, Any, Tensor]:
        """Search each ball."""
        radii, several = _radii(epsilons)
        found = [self._one(model, inputs, _goal(criterion), eps) for eps in radii]
        raw, is_adv = [x for x, _ in found], torch.stack([broken for _, broken in found])
        return (raw, list(raw), is_adv) if several else (raw[0], raw[0], is_adv[0])

    def _one(
        self,
        model: Any,  # noqa: ANN401
        x: Tensor,
        goal: Goal | Tensor,
        eps: float | None,
    ) -> tuple[Tensor, Tensor]:
        low, high = getattr(model, "bounds", (0.0, 1.0))
        box = (float(low), float(high))
        if eps is not None:
            threat = self.norm(eps, box)
            found = search(self.attack, model, x, goal, threat, seed=self.seed)
            return found.x_adv, found.broken.to(x.device)
        widest = (box[1] - box[0]) * x[0].numel() ** (1 / self.norm.order)
        closest = nearest(self.attack, model, x, goal, self.norm(widest, box), seed=self.seed)
        return closest.x_adv, closest.size.isfinite()


def _radii(epsilons: Any) -> tuple[list[float | None], bool]:  # noqa: ANN401
    """Return the radii, and whether there may be several: tensors without axes are numbers."""
    several = isinstance(epsilons, Iterable) and getattr(epsilons, "ndim", 1) > 0
    allowed = "a radius, an iterable of radii, or None for the closest break"
    if isinstance(epsilons, str):
        raise Invalid("epsilons", epsilons, allowed)
    try:
        given = list(epsilons) if several else [epsilons]
        radii = [None if eps is None else float(eps) for eps in given]
    except (TypeError, ValueError, RuntimeError) as error:
        raise Invalid("epsilons", f"<{type(epsilons).__name__}>", allowed) from error
    if not radii:
        raise Invalid("epsilons", "<empty>", allowed)
    return radii, several


def _goal(criterion: Any) -> Goal | Tensor:  # noqa: ANN401
    for name in ("labels", "target_classes"):
        if hasattr(criterion, name):
            classes = getattr(criterion, name)
            classes = getattr(classes, "raw", classes)  # Foolbox holds eagerpy's tensors
            return Targeted(classes) if name == "target_classes" else classes
    if isinstance(criterion, Tensor):
        return criterion
    allowed = "labels (N,), or an object with labels or target_classes"
    raise Invalid("criterion", type(criterion).__name__, allowed)


@dataclass(frozen=True, eq=False)
class Bound:
    """An attack that knows its model and its set, called as torchattacks': ``atk(images, labels)``.

    Returns (N, *F), the worst inputs found, of survivors the best attempt. targeted: the labels
    are the classes to reach (``dataclasses.replace(atk, targeted=True)``).

    >>> x = torch.tensor([[0.9, 0.1], [0.2, 0.7]])
    >>> Bound(attacks.FGSM(), torch.nn.Identity(), Linf(eps=0.1))(x, x.argmax(1))
    tensor([[0.8000, 0.2000],
            [0.3000, 0.6000]])
    """

    attack: Attack[Any]
    model: Model
    threat: ThreatModel
    targeted: bool = False
    seed: int = 0

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """Search the sets around the images."""
        goal: Goal = Targeted(labels) if self.targeted else meant(self.model, labels)
        found = search(self.attack, self.model, images, goal, self.threat, seed=self.seed)
        return found.x_adv


def FGSM(model: Model, eps: float = 8 / 255) -> Bound:
    """One exact step in the L_inf ball of radius eps."""
    return Bound(attacks.FGSM(), model, Linf(eps))


def PGD(
    model: Model,
    eps: float = 8 / 255,
    alpha: float = 2 / 255,
    steps: int = 10,
    random_start: bool = True,
) -> Bound:
    """Projected gradient ascent in the L_inf ball of radius eps, by constant steps of length alpha.

    random_start: from a random member, or from the image.

    >>> PGD(torch.nn.Identity(), eps=0.3, alpha=0.075, steps=40).attack
    PGD(step_size=0.25)
    """
    return Bound(_pgd(eps, alpha, steps, random_start), model, Linf(eps))


def PGDL2(
    model: Model, eps: float = 1.0, alpha: float = 0.2, steps: int = 10, random_start: bool = True
) -> Bound:
    """Projected gradient ascent in the L_2 ball of radius eps, by constant steps of length alpha.

    random_start: from a random member, or from the image.
    """
    return Bound(_pgd(eps, alpha, steps, random_start), model, L2(eps))


def APGD(
    model: Model,
    norm: str = "Linf",
    eps: float = 8 / 255,
    steps: int = 10,
    n_restarts: int = 1,
    seed: int = 0,
    loss: str = "ce",
) -> Bound:
    """APGD on the loss ``ce`` (cross-entropy) or ``dlr``; the published number of steps is 100.

    norm: ``Linf`` or ``L2``, of the ball of radius eps. n_restarts: random starts, the worst is
    kept. Raises ``Invalid`` for another loss or norm.
    """
    losses = {"ce": "cross-entropy", "dlr": "dlr"}
    if loss not in losses:
        raise Invalid("loss", loss, "'ce' or 'dlr'")
    attack: Attack[Any] = attacks.APGD(steps=steps, loss=losses[loss])
    many = attack if n_restarts == 1 else attacks.Restarts(attack, n=n_restarts)
    return Bound(many, model, _ball(norm)(eps), seed=seed)


def Square(
    model: Model, norm: str = "Linf", eps: float = 8 / 255, n_queries: int = 5000, seed: int = 0
) -> Bound:
    """Random search over squares, by scores alone, n_queries of them.

    norm: ``Linf`` or ``L2``, of the ball of radius eps. Raises ``Invalid`` for another norm.
    """
    return Bound(attacks.Square(n_queries=n_queries), model, _ball(norm)(eps), seed=seed)


def _pgd(eps: float, alpha: float, steps: int, random_start: bool) -> attacks.PGD:
    start: Literal["random", "clean"] = "random" if random_start else "clean"
    return attacks.PGD(steps=steps, step_size=alpha / eps if eps else None, start=start)


def _ball(norm: str) -> type[Linf] | type[L2]:
    known: dict[str, type[Linf] | type[L2]] = {"Linf": Linf, "L2": L2}
    if norm not in known:
        raise Invalid("norm", norm, "'Linf' or 'L2'")
    return known[norm]
