"""Nothing silent: what is not finite, raises, or cannot be climbed is a verdict."""

import math

import pytest
import torch
from torch import Tensor, nn

from saddlepoint import PGD, RandomSearch, Status, search
from saddlepoint.core.errors import Unsupported
from tests.laws.models import SHAPE, problem
from tests.table import ATTACKS, THREATS, AttackRow

ATTACK = pytest.mark.parametrize("attack", ATTACKS, ids=lambda r: r.name)
LINF = THREATS[0]


def inputs(n: int = 4) -> tuple[Tensor, Tensor]:
    return LINF.inputs(n, SHAPE, 5, torch.float32), torch.zeros(n, dtype=torch.int64)


@ATTACK
@pytest.mark.parametrize("classes", [2, 5])
def test_constant_models_end(attack: AttackRow, classes: int) -> None:
    x, y = inputs()
    level = torch.arange(classes, 0, -1).float()
    found = search(attack.small, lambda v: level + 0 * v.flatten(1)[:, :1], x, y, LINF.make(4))
    assert found.error is None
    assert found.status == (Status.SURVIVED,) * 4
    assert found.margin.tolist() == [-1.0] * 4
    if not attack.scores and attack.name != "sequence":
        assert found.zero_gradient.tolist() == found.cost.backward.tolist()


@ATTACK
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("everywhere", [True, False], ids=["all", "one class"])
def test_outputs_that_are_not_finite_are_errors(
    attack: AttackRow, bad: float, everywhere: bool
) -> None:
    """Never a survivor, wherever the hole is; the label itself is hit, so no break is honest."""

    def model(v: Tensor) -> Tensor:
        out = torch.stack([3 + v.flatten(1).sum(1), v.flatten(1)[:, 0], v.flatten(1)[:, 1]], 1)
        hole = torch.zeros_like(out)
        hole[:, slice(None) if everywhere else slice(0, 1)] = bad
        # The second half stays whole.
        rows = (torch.arange(len(v)) < 0.5 * len(v))[:, None] if len(v) == 4 else v.sum() < -1e9
        return torch.where(rows, out + hole, out)

    x, y = inputs()
    found = search(attack.small, model, x, y, LINF.make(4))
    lost = bad == -math.inf and not everywhere  # the label scores below every other class
    allowed = {Status.ERROR, Status.BROKEN} if lost else {Status.ERROR}
    assert set(found.status[:2]) <= allowed
    assert bool((found.nonfinite[:2] > 0).all())
    assert found.nonfinite[2:].tolist() == [0, 0]
    assert set(found.status[2:]) == {Status.SURVIVED}
    assert bool(found.x_adv.isfinite().all())


def test_a_margin_that_is_not_a_number_is_reported_as_such() -> None:
    x, y = inputs(2)
    found = search(PGD(steps=2), lambda v: v.flatten(1)[:, :3] * math.nan, x, y, LINF.make(2))
    assert bool(found.margin.isnan().all())


@ATTACK
def test_gradients_that_are_not_finite_are_errors(attack: AttackRow) -> None:
    class Root(nn.Module):
        def forward(self, v: Tensor) -> Tensor:
            hole = (v.flatten(1) * 0).sum(1).sqrt()
            return torch.stack([1 + hole, 0.1 * v.flatten(1)[:, 0]], 1)

    if attack.scores:
        pytest.skip("asks for no gradient")
    x, y = inputs()
    found = search(attack.small, Root(), x, y, LINF.make(4))
    assert found.status == (Status.ERROR,) * 4
    assert bool(threat_holds(found.u, x))


def threat_holds(u: Tensor, x: Tensor) -> Tensor:
    return LINF.make(len(x)).contains(x, u, 1e-6).all()


def test_one_bad_answer_on_the_way_is_enough() -> None:
    """NaN away from x: what was not looked at properly has not survived."""

    def model(v: Tensor) -> Tensor:
        out = torch.stack([torch.full((len(v),), 5.0), v.flatten(1).sum(1) * 0.01], 1)
        moved = (v - x).flatten(1).abs().sum(1, keepdim=True) > 0
        return torch.where(moved, out * math.nan, out)

    x, y = inputs()
    for attack in (PGD(steps=2), RandomSearch(n_queries=4)):
        found = search(attack, model, x, y, LINF.make(4))
        assert found.status == (Status.ERROR,) * 4
        assert found.margin.isfinite().all()


def test_an_attack_that_raises_is_an_error_but_breaks_stand() -> None:
    def attack(oracle, draw) -> None:  # noqa: ANN001
        oracle.value_and_grad(oracle.threat.maximise(oracle.x, torch.ones_like(oracle.x)))
        raise KeyError("a bug in the attack")

    def model(v: Tensor) -> Tensor:
        s = v.sum(1)
        return torch.stack([torch.full_like(s, 2.05), s], 1)

    x = torch.full((3, 4), 0.5) - torch.tensor([[0.0], [0.4], [0.0]])
    y = torch.zeros(3, dtype=torch.int64)
    found = search(attack, model, x, y, LINF.make(3))
    assert found.status == (Status.BROKEN, Status.ERROR, Status.BROKEN)
    assert found.error is not None
    assert "a bug in the attack" in found.error
    assert "Traceback" in found.error


def test_an_error_in_one_batch_does_not_taint_the_others() -> None:
    def attack(oracle, draw) -> None:  # noqa: ANN001
        if int(draw.ids[0]) == 0:
            raise KeyError("first batch only")
        oracle.value(oracle.threat.start(oracle.x))

    net, x, y, threat = problem(LINF)
    found = search(attack, net, x, y, threat, batch_size=4)
    assert set(found.status[:4]) == {Status.ERROR}
    assert set(found.status[5:]) == {Status.SURVIVED}
    assert found.status[4] is Status.BROKEN


def test_models_without_a_gradient_are_refused_with_advice() -> None:
    x, y = inputs()
    with pytest.raises(Unsupported, match="RandomSearch"):
        search(PGD(), lambda v: v.detach().flatten(1)[:, :3].round() + 1, x, y + 2, LINF.make(4))


def test_step_functions_survive_gradients_but_say_so() -> None:
    """A model that rounds has a gradient of zero: counted, so that a check can tell."""
    x, y = inputs()
    level = torch.tensor([1.0, 0.0, 0.0])
    found = search(
        PGD(steps=3), lambda v: v.flatten(1)[:, :3].round() * 0 + level, x, y, LINF.make(4)
    )
    assert found.zero_gradient.tolist() == [3] * 4
