"""Square as torchattacks and ART run it: (model, x, y, norm, eps, queries) -> inputs.

Needs .venv-bench. Each gets the number of iterations that its budget of questions pays for: an
iteration of torchattacks asks once, one of ART three times.
"""

import math
import random
import warnings
from collections.abc import Callable

import numpy as np
import torch
from peers import art_classifier
from torch import Tensor, nn

with warnings.catch_warnings():  # deprecated scipy names, their business
    warnings.simplefilter("ignore")
    import torchattacks
    from art.attacks.evasion import SquareAttack

__all__ = ["PEERS", "Peer"]

Peer = Callable[[nn.Module, Tensor, Tensor, str, float, int, int], Tensor]


def _torchattacks(
    model: nn.Module, x: Tensor, y: Tensor, norm: str, eps: float, queries: int, seed: int
) -> Tensor:
    torch.manual_seed(seed)
    attack = torchattacks.Square(model, norm=norm, eps=eps, n_queries=queries, seed=seed)
    moved: Tensor = attack(x, y)
    return moved


def _art(
    model: nn.Module, x: Tensor, y: Tensor, norm: str, eps: float, queries: int, seed: int
) -> Tensor:
    np.random.seed(seed)  # ART draws from the global generators
    random.seed(seed)
    estimator = art_classifier(model, x)
    attack = SquareAttack(
        estimator,
        norm={"Linf": math.inf, "L2": 2}[norm],
        eps=eps,
        max_iter=max(1, (queries - 4) // 3),
        batch_size=len(x),
        verbose=False,
    )
    return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))


PEERS: dict[str, Peer] = {"torchattacks Square": _torchattacks, "ART SquareAttack": _art}
