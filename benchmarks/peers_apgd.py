"""APGD of torchattacks and ART: (model, x, y, norm, eps, steps, starts) -> inputs.

Foolbox has none. Needs .venv-bench.
"""

import math
import warnings
from collections.abc import Callable

import torch
from peers import art_classifier
from torch import Tensor, nn

with warnings.catch_warnings():  # deprecated scipy names, their business
    warnings.simplefilter("ignore")
    import torchattacks
    from art.attacks.evasion import AutoProjectedGradientDescent

__all__ = ["APGDS", "ORDERS"]

Apgd = Callable[[nn.Module, Tensor, Tensor, str, float, int, int], Tensor]
ORDERS = {"Linf": math.inf, "L2": 2.0}
SEED = 0


def _torchattacks(
    model: nn.Module, x: Tensor, y: Tensor, norm: str, eps: float, steps: int, starts: int
) -> Tensor:
    attack = torchattacks.APGD(model, norm=norm, eps=eps, steps=steps, n_restarts=starts, seed=SEED)
    moved: Tensor = attack(x, y)
    return moved


def _art(
    model: nn.Module, x: Tensor, y: Tensor, norm: str, eps: float, steps: int, starts: int
) -> Tensor:
    attack = AutoProjectedGradientDescent(
        art_classifier(model, x),
        norm=ORDERS[norm],
        eps=eps,
        eps_step=eps / 3,  # the ratio of its defaults
        max_iter=steps,
        nb_random_init=starts,
        batch_size=len(x),
        verbose=False,
    )
    return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))


APGDS: dict[str, Apgd] = {"torchattacks": _torchattacks, "art": _art}
