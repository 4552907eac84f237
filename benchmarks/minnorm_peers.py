"""Minimum-norm attacks of Foolbox and torchattacks: (model, x, y) -> inputs, by norm.

Budgets are those of ours beside them where the defaults are far larger; names say which.
"""

import warnings
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

with warnings.catch_warnings():  # deprecated scipy names, their business
    warnings.simplefilter("ignore")
    import foolbox
    import torchattacks

__all__ = ["PEERS", "Peer"]

Peer = Callable[[nn.Module, Tensor, Tensor], Tensor]


def _foolbox(attack: Any) -> Peer:  # noqa: ANN401 - one of foolbox's
    def run(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        door = foolbox.PyTorchModel(model, bounds=(0, 1))
        found: Tensor = attack(door, x, y, epsilons=None)[1]
        return found

    return run


def _torchattacks(name: str, **options: Any) -> Peer:  # noqa: ANN401
    def run(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        found: Tensor = getattr(torchattacks, name)(model, **options)(x, y)
        return found

    return run


_f = foolbox.attacks
_TUNED = {"binary_search_steps": 6, "steps": 100}
PEERS: dict[str, dict[str, Peer]] = {
    "Linf": {
        "foolbox LInfFMN, 100 steps": _foolbox(_f.LInfFMNAttack()),
        "foolbox LinfDeepFool": _foolbox(_f.LinfDeepFoolAttack()),
    },
    "L2": {
        "foolbox L2CarliniWagner, 6 x 100": _foolbox(_f.L2CarliniWagnerAttack(**_TUNED)),
        "foolbox L2CarliniWagner, 9 x 1000": _foolbox(_f.L2CarliniWagnerAttack(steps=1000)),
        "torchattacks CW, c = 1, 50 steps": _torchattacks("CW"),
        "foolbox L2DeepFool": _foolbox(_f.L2DeepFoolAttack()),
        "foolbox DDN, 100 steps": _foolbox(_f.DDNAttack()),
        "foolbox L2FMN, 100 steps": _foolbox(_f.L2FMNAttack()),
    },
    "L1": {
        "foolbox EAD, L1 rule, 6 x 100": _foolbox(_f.EADAttack(decision_rule="L1", **_TUNED)),
        "foolbox L1FMN, 100 steps": _foolbox(_f.L1FMNAttack()),
    },
    "L0": {
        "foolbox L0FMN, 100 steps": _foolbox(_f.L0FMNAttack()),
        "torchattacks JSMA, gamma = 1": _torchattacks("JSMA", gamma=1.0),
    },
}
