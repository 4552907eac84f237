"""The peers' side of the strength benchmark; needs .venv-bench.

Step lengths, restarts and losses are each library's defaults; where a default is an absolute length
its ratio to the default radius is kept. Only the number of steps varies.
"""

import random
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from autoattack import Ball, autoattack
from counting import Counting
from games import Game
from peers import DEFAULTS, PEERS, art_classifier
from peers_apgd import APGDS, ORDERS
from strength_ours import Found, Run
from torch import Tensor, nn

with warnings.catch_warnings():  # deprecated scipy names, their business
    warnings.simplefilter("ignore")
    from art.attacks.evasion import AutoAttack, SquareAttack

__all__ = ["STRENGTH"]

Attack = Callable[[nn.Module, Tensor, Tensor, Game, int], Tensor]
CLASSES = 10


def _seeded(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)  # ART draws from the global generators
    random.seed(seed)


def _pgd(
    library: str, steps: int, model: nn.Module, x: Tensor, y: Tensor, game: Game, seed: int
) -> Tensor:
    order = ORDERS[game.norm]
    walk = replace(DEFAULTS[library, order], steps=steps)
    return PEERS[library](model, x, y, order, game.eps, walk)


def _apgd(
    library: str,
    starts: int,
    steps: int,
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    game: Game,
    seed: int,
) -> Tensor:
    return APGDS[library](model, x, y, game.norm, game.eps, steps, starts)


def _torchattacks_auto(model: nn.Module, x: Tensor, y: Tensor, game: Game, seed: int) -> Tensor:
    return autoattack(model, Ball(game.norm, game.eps), CLASSES, seed)(x, y)


def _art_auto(model: nn.Module, x: Tensor, y: Tensor, game: Game, seed: int) -> Tensor:
    attack = AutoAttack(
        art_classifier(model, x),
        norm=ORDERS[game.norm],
        eps=game.eps,
        eps_step=game.eps / 3,
        batch_size=len(x),
    )
    for part in attack.attacks:
        part.verbose = False
    square = next(part for part in attack.attacks if isinstance(part, SquareAttack))
    square.nb_restarts = 1  # of five, each of 5,000 rounds for every survivor
    return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))


def _run(attack: Attack) -> Run:
    def run(model: Counting, x: Tensor, y: Tensor, game: Game, seed: int) -> Found:
        _seeded(seed)
        return Found(attack(model, x, y, game, seed).detach())

    return run


def _steps(library: str) -> dict[str, Run]:
    return {f"{k} steps": _run(partial(_pgd, library, k)) for k in (10, 40, 100)}


STRENGTH: dict[str, dict[str, dict[str, Run]]] = {
    "torchattacks": {
        "PGD": _steps("torchattacks"),
        "APGD": {f"{k} steps": _run(partial(_apgd, "torchattacks", 1, k)) for k in (10, 30, 100)},
        "AutoAttack": {"standard": _run(_torchattacks_auto)},
    },
    "foolbox": {"PGD": _steps("foolbox")},
    "art": {
        "PGD": _steps("art"),
        "APGD": {f"{k} steps": _run(partial(_apgd, "art", 5, k)) for k in (10, 100)},
        "AutoAttack": {"Square once": _run(_art_auto)},
    },
}
