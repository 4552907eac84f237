"""PGD-40 and APGD-40 in the L_inf ball of radius 0.3: (model, x, y) -> inputs, by contestant."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from saddlepoint import APGD, PGD, Linf, search

__all__ = ["BARE", "OURS", "OURS_APGD", "SEED", "Contestant", "bare", "ours", "peers", "peers_apgd"]

Contestant = Callable[[nn.Module, Tensor, Tensor], Tensor]

EPS, STEP, STEPS, SEED = 0.3, 0.01, 40, 0
BARE = "bare loop"


def bare(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return x after 40 forward passes and input gradients, and nothing else: the limit."""
    leaf = x.clone().requires_grad_()
    for _ in range(STEPS):
        loss = functional.cross_entropy(model(leaf), y, reduction="sum")
        torch.autograd.grad(loss, leaf)
    return x


def _in_chunks(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    for rows, labels in zip(x.split(512), y.split(512), strict=True):
        bare(model, rows, labels)
    return x


def ours(attack: Any = None, **options: Any) -> Contestant:  # noqa: ANN401 - passed on to search
    """Bind the options of ``search``; the attack is PGD unless another is given."""
    attack = attack or PGD(steps=STEPS, step_size=STEP / EPS)

    def run(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return search(attack, model, x, y, Linf(eps=EPS), seed=SEED, **options).x_adv

    return run


def peers() -> dict[str, Contestant]:
    """Return the other libraries at the same steps; only .venv-bench can import them."""
    from peers import PEERS, Walk

    walk = Walk(STEPS, STEP / EPS)
    return {
        f"{name} PGD": lambda m, x, y, run=run: run(m, x, y, math.inf, EPS, walk)
        for name, run in PEERS.items()
    }


def peers_apgd() -> dict[str, Contestant]:
    """Return APGD of the libraries that have it, one run from one start."""
    from peers_apgd import APGDS

    return {
        f"{name} APGD": lambda m, x, y, run=run: run(m, x, y, "Linf", EPS, STEPS, 1)
        for name, run in APGDS.items()
    }


OURS: dict[str, Contestant] = {
    BARE: bare,
    "bare loop, chunks of 512": _in_chunks,
    "ours fp32": ours(early_stop=False),
    "ours fp32, whole batch": ours(early_stop=False, batch_size=1 << 20),
    "ours bf16": ours(early_stop=False, precision="bfloat16"),
    "ours fp32, early stop": ours(),
    "ours bf16, early stop": ours(precision="bfloat16"),
}
OURS_APGD: dict[str, Contestant] = {
    BARE: bare,
    "ours fp32": ours(APGD(steps=STEPS), early_stop=False),
    "ours bf16": ours(APGD(steps=STEPS), early_stop=False, precision="bfloat16"),
    "ours fp32, early stop": ours(APGD(steps=STEPS)),
}
