"""The PGD attacks of torchattacks, Foolbox and ART behind one signature.

None of the pinned versions imports torchvision, so no stub is needed.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

with warnings.catch_warnings():  # deprecated scipy names, their business
    warnings.simplefilter("ignore")
    import foolbox
    import torchattacks
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

__all__ = ["DEFAULTS", "PEERS", "Peer", "Walk", "art_classifier"]


@dataclass(frozen=True)
class Walk:
    """How a peer walks: its number of steps, their length in radii, and where it starts."""

    steps: int
    step: float
    random: bool = True


Peer = Callable[[nn.Module, Tensor, Tensor, float, float, Walk], Tensor]


def _torchattacks(
    model: nn.Module, x: Tensor, y: Tensor, order: float, eps: float, walk: Walk
) -> Tensor:
    kind = {math.inf: torchattacks.PGD, 2.0: torchattacks.PGDL2}[order]
    attack = kind(model, eps=eps, alpha=eps * walk.step, steps=walk.steps, random_start=walk.random)
    return attack(x, y)


def _foolbox(
    model: nn.Module, x: Tensor, y: Tensor, order: float, eps: float, walk: Walk
) -> Tensor:
    kinds = foolbox.attacks
    kind = {math.inf: kinds.LinfPGD, 2.0: kinds.L2PGD, 1.0: kinds.L1PGD}[order]
    attack = kind(rel_stepsize=walk.step, steps=walk.steps, random_start=walk.random)
    door = foolbox.PyTorchModel(model, bounds=(0, 1))
    return attack(door, x, y, epsilons=eps)[1]


def art_classifier(model: nn.Module, x: Tensor) -> PyTorchClassifier:
    """Return the model as ART's attacks take it, for inputs like x in [0, 1]."""
    with torch.no_grad():
        classes = model(x[:1]).shape[1]
    return PyTorchClassifier(
        model,
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(x.shape[1:]),
        nb_classes=classes,
        clip_values=(0.0, 1.0),
        device_type="cpu",
    )


def _art(model: nn.Module, x: Tensor, y: Tensor, order: float, eps: float, walk: Walk) -> Tensor:
    estimator = art_classifier(model, x)
    attack = ProjectedGradientDescentPyTorch(
        estimator,
        norm=order,
        eps=eps,
        eps_step=eps * walk.step,
        max_iter=walk.steps,
        num_random_init=int(walk.random),
        batch_size=len(x),
        verbose=False,
    )
    return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))


PEERS: dict[str, Peer] = {"torchattacks": _torchattacks, "foolbox": _foolbox, "art": _art}

# Each library's defaults; where a default step is an absolute length, its ratio to the default
# radius is kept. torchattacks has no L1.
DEFAULTS: dict[tuple[str, float], Walk] = {
    ("torchattacks", math.inf): Walk(10, 0.25),
    ("torchattacks", 2.0): Walk(10, 0.2),
    ("foolbox", math.inf): Walk(40, 0.01 / 0.3),
    ("foolbox", 2.0): Walk(50, 0.025),
    ("foolbox", 1.0): Walk(50, 0.025),
    ("art", math.inf): Walk(100, 1 / 3, random=False),
    ("art", 2.0): Walk(100, 1 / 3, random=False),
    ("art", 1.0): Walk(100, 1 / 3, random=False),
}
