"""Searching leaves no trace: inputs, parameters, modes, gradients, random state."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from saddlepoint import PGD, Status, search
from saddlepoint.core.errors import Unsound, Unsupported
from tests.laws.models import SHAPE, Noisy, mlp, problem
from tests.table import ATTACKS, THREATS, AttackRow

ATTACK = pytest.mark.parametrize("attack", ATTACKS, ids=lambda r: r.name)
LINF = THREATS[0]


class Chatty(nn.Module):
    """Draws from every global generator."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = mlp()

    def forward(self, x: Tensor) -> Tensor:
        torch.rand(3), random.random(), np.random.random(3)  # noqa: S311
        return self.inner(x)


def snapshot(net: nn.Module) -> dict[str, Any]:
    return {
        "state": {k: v.clone() for k, v in net.state_dict().items()},
        "modes": [m.training for m in net.modules()],
        "wants": [p.requires_grad for p in net.parameters()],
        "grads": [None if p.grad is None else p.grad.clone() for p in net.parameters()],
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),
        "grad mode": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
    }


def same(a: Any, b: Any) -> bool:  # noqa: ANN401
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def unchanged(net: nn.Module, before: dict[str, Any]) -> list[str]:
    after = snapshot(net)
    return [k for k in before if not same(before[k], after[k])]


def raises_midway(oracle, draw) -> None:  # noqa: ANN001
    oracle.value_and_grad(oracle.threat.start(oracle.x))
    torch.rand(2)
    raise ZeroDivisionError("midway")


def odd_modes() -> nn.Module:
    """Modes and flags that differ from part to part, and a gradient in store."""
    net = mlp()
    net.train()
    net[2].eval()
    net[1].weight.requires_grad_(False)
    net[4].bias.grad = torch.ones_like(net[4].bias)
    return net


@ATTACK
def test_everything_is_put_back(attack: AttackRow) -> None:
    net, (_, x, y, threat) = odd_modes(), problem(LINF)
    kept, before = x.clone(), snapshot(net)
    search(attack.small, net, x, y, threat)
    assert unchanged(net, before) == []
    assert torch.equal(x, kept)
    assert x._version == 0 or torch.equal(x, kept)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_everything_is_put_back_when_the_attack_raises(precision: Any) -> None:  # noqa: ANN401
    net, (_, x, y, threat) = odd_modes(), problem(LINF)
    before = snapshot(net)
    found = search(raises_midway, net, x, y, threat, precision=precision)
    assert unchanged(net, before) == []
    assert found.error is not None
    assert "ZeroDivisionError: midway" in found.error


def test_everything_is_put_back_when_the_model_raises() -> None:
    class Bad(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = odd_modes()

        def forward(self, x: Tensor) -> Tensor:
            torch.rand(1)
            raise RuntimeError("out of memory")

    net, (_, x, y, threat) = Bad(), problem(LINF)
    before = snapshot(net)
    with pytest.raises(RuntimeError, match="out of memory"):
        search(PGD(), net, x, y, threat)
    assert unchanged(net, before) == []


def test_global_random_states_are_put_back() -> None:
    net, (_, x, y, threat) = Chatty(), problem(LINF)
    before = snapshot(net)
    search(PGD(steps=3), net, x, y, threat)
    assert unchanged(net, before) == []


def test_randomised_models_are_reproducible() -> None:
    """Whatever generator the model draws from, the same seed gives the same answers."""
    x, y = torch.rand(4, *SHAPE), torch.zeros(4, dtype=torch.int64)
    margins = []
    for _ in range(2):
        random.random(), np.random.random(), torch.rand(1)  # noqa: S311
        margins.append(search(PGD(steps=3), Noisy(), x, y, LINF.make(4), early_stop=False).margin)
    assert torch.equal(*margins)


def test_the_grad_mode_is_put_back_whoever_changes_it() -> None:
    def rude(oracle, draw) -> None:  # noqa: ANN001
        torch.set_grad_enabled(False)
        raise ValueError

    net, x, y, threat = problem(LINF)
    try:
        search(rude, net, x, y, threat)
        assert torch.is_grad_enabled()
    finally:
        torch.set_grad_enabled(True)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("inside", [True, False], ids=["x made inside", "x made outside"])
def test_callers_grad_mode_does_not_matter(context: Any, inside: bool) -> None:  # noqa: ANN401
    net, x, y, threat = problem(LINF)
    plain = search(PGD(steps=3), net, x, y, threat)
    with context():
        again = search(PGD(steps=3), net, x.clone() if inside else x, y, threat)
    assert plain.status == again.status
    assert torch.equal(plain.margin, again.margin)


def test_inputs_that_carry_a_graph_are_left_alone() -> None:
    net, x, y, threat = problem(LINF)
    plain = search(PGD(steps=3), net, x, y, threat)
    leaf = x.clone().requires_grad_()
    found = search(PGD(steps=3), net, leaf, y, threat)
    assert leaf.grad is None
    assert not any(t.requires_grad for t in (found.x_adv, found.u, found.margin))
    assert torch.equal(found.margin, plain.margin)


def test_models_that_write_into_their_input_do_no_harm() -> None:
    net, x, y, threat = problem(LINF)

    class Writes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return net(x.mul_(1.0).add_(0.0))

    net.eval()
    plain = search(PGD(steps=3), net, x, y, threat)
    kept = x.clone()
    assert torch.equal(search(PGD(steps=3), Writes(), x, y, threat).margin, plain.margin)
    assert torch.equal(x, kept)


def test_models_that_change_when_asked_are_unsound() -> None:
    class Learns(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = mlp()
            self.register_buffer("asked", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.asked += 1
            return self.inner(x)

    _, x, y, threat = problem(LINF)
    with pytest.raises(Unsound, match="changed"):
        search(PGD(steps=2), Learns(), x, y, threat)


@pytest.mark.parametrize("all_better", [True, False])
def test_writing_into_u_is_caught(all_better: bool) -> None:
    """The ledger keeps u by reference: an attack may not then change it."""

    def rude(oracle, draw) -> None:  # noqa: ANN001
        u = torch.full_like(oracle.x, 0.05)
        if not all_better:
            u[0] = 0
        oracle.value(u)
        u += 10

    def model(v: Tensor) -> Tensor:
        return torch.stack([torch.full_like(v[:, 0], 100.0), v.sum(1)], 1)

    x, y = torch.full((3, 4), 0.5), torch.zeros(3, dtype=torch.int64)
    if all_better:
        with pytest.raises(Unsupported, match="in place"):
            search(rude, model, x, y, LINF.make(3))
    else:
        found = search(rude, model, x, y, LINF.make(3))
        assert bool(LINF.make(3).contains(x, found.u, 1e-6).all())


def test_plain_functions_are_models_too() -> None:
    net, x, y, threat = problem(LINF)
    net.eval()
    by_module = search(PGD(steps=4), net, x, y, threat)
    by_call = search(PGD(steps=4), lambda v: net(v), x, y, threat)
    assert by_call.status == by_module.status
    assert torch.equal(by_call.margin, by_module.margin)
    assert Status.BROKEN in by_call.status
