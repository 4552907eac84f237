"""Ascent on a smoothed loss, on nets whose own gradients are zero at the samples."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint import L1, L2, PGD, Linf, NoisyPGD
from saddlepoint.attacks.noisy import _largest
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.goal import Untargeted

PIXELS, FLOOR = 60, 0.3


class Masked(nn.Module):
    """Class 1 where the pixels exceed ``FLOOR`` by more than ``enough`` in all."""

    def __init__(self, enough: float) -> None:
        super().__init__()
        self.enough = nn.Parameter(torch.tensor(enough))

    def forward(self, x: Tensor) -> Tensor:
        above = (x - FLOOR).clamp(0, 0.4).flatten(1).sum(1)
        return torch.stack([self.enough.expand_as(above), above], 1)


def search(attack: Any, threat: Any, enough: float) -> Any:  # noqa: ANN401
    x = torch.zeros(8, PIXELS)
    found = sp.search(attack, Masked(enough), x, Untargeted(torch.zeros(8).long()), threat)
    assert found.error is None
    return found


def test_a_masked_net_breaks_where_its_own_gradient_is_zero() -> None:
    """One pixel at 0.6 is enough, of a budget of 0.8; the slope at zero says nothing."""
    plain = search(PGD(steps=50, start="clean"), L2(eps=0.8), 0.25)
    assert not plain.broken.any()
    assert search(NoisyPGD(move=0.5), L2(eps=0.8), 0.25).broken.all()


def changes(attack: Any, threat: Any, monkeypatch: pytest.MonkeyPatch) -> Tensor:  # noqa: ANN401
    """(steps, 8) how many values each point that is projected onto the set has changed."""
    seen: list[Tensor] = []
    project = type(threat).project

    def watched(self: Any, x: Tensor, u: Tensor) -> Tensor:  # noqa: ANN401
        if float(torch.as_tensor(self.eps).max()) < 99:  # or it is the input range alone
            seen.append((u != 0).sum(1))
        return project(self, x, u)  # type: ignore[no-any-return]

    monkeypatch.setattr(type(threat), "project", watched)
    net = nn.Linear(PIXELS, 2)
    with torch.no_grad():
        net.weight.copy_(torch.stack([torch.zeros(PIXELS), torch.linspace(0.1, 1.0, PIXELS)]))
        net.bias.copy_(torch.tensor([99.0, 0.0]))
    sp.search(attack, net, torch.zeros(8, PIXELS), Untargeted(torch.zeros(8).long()), threat)
    return torch.stack(seen)


@pytest.mark.parametrize(
    ("threat", "room"), [(L2(eps=1.0), 4), (L1(eps=2.0), 4), (L1(eps=0.1), 1)], ids=repr
)
def test_no_more_changes_are_kept_than_the_ball_has_room_for(
    threat: Any,  # noqa: ANN401
    room: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = changes(NoisyPGD(steps=6, move=0.5), threat, monkeypatch)
    assert len(kept) == 6
    assert 1 <= int(kept.min()) <= int(kept.max()) <= room


def test_each_sample_has_room_by_its_own_radius(monkeypatch: pytest.MonkeyPatch) -> None:
    eps = torch.tensor([0.5, 1.0, 1.5, 2.0, 0.5, 1.0, 1.5, 2.0])
    kept = changes(NoisyPGD(steps=6, move=0.5), L2(eps=eps), monkeypatch)
    assert kept[-1].tolist() == [1, 4, 9, 16, 1, 4, 9, 16]


def test_of_equal_changes_the_first_is_kept_and_zero_stays() -> None:
    u = torch.tensor([[0.5, -1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert _largest(u, torch.tensor([1, 3])).tolist() == [[0.0, -1.0, 0.0, 0.0], [0.0] * 4]
    assert _largest(u, torch.tensor([0, 99]))[0].tolist() == [0.0, -1.0, 0.0, 0.0]
    assert _largest(u, torch.tensor([99, 99])).equal(u)


def test_what_breaks_under_the_noise_alone_is_no_break() -> None:
    """The noise reaches far beyond a ball in which nothing breaks."""
    found = search(NoisyPGD(steps=20, noise=1.0), L2(eps=0.2), 0.01)
    assert not found.broken.any()
    assert bool((found.u.norm(dim=1) <= 0.2 * (1 + 1e-5)).all())


def test_it_pays_for_a_gradient_a_step_and_a_look_every_other() -> None:
    found = search(NoisyPGD(steps=10), L2(eps=0.2), 9.0)
    assert set(found.cost.backward.tolist()) == {10}
    assert set((found.cost.forward - found.cost.backward).tolist()) <= {5, 6}


@pytest.mark.parametrize("box", [(-math.inf, math.inf), (-10.0, math.inf)], ids=str)
@pytest.mark.parametrize("move", [None, 0.5])
def test_inputs_without_a_range_have_that_of_their_own_values(
    box: tuple[float, float], move: float | None
) -> None:
    """A linear net: the noise does no harm, and the whole radius goes along the gradient."""
    net = nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    x = torch.tensor([[-2.0, 0.0, 3.0], [-2.0, -2.0, -2.0]])  # the second has no range either
    y = Untargeted(torch.zeros(2).long())
    found = sp.search(NoisyPGD(move=move), net, x, y, L2(eps=1.5, box=box))
    assert found.error is None
    assert not found.nonfinite.any()
    torch.testing.assert_close(found.u[:, 0], torch.full((2,), 1.5), atol=0.03, rtol=0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": 0}, "steps = 0"),
        ({"noise": 0.0}, "noise = 0.0"),
        ({"noise": math.nan}, "noise = nan"),
        ({"noise": None}, "noise = None"),
        ({"noise": True}, "noise = True"),
        ({"move": -0.5}, "move = -0.5"),
        ({"reach": math.inf}, "reach = inf"),
        ({"loss": "no"}, "loss = 'no'"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid) as caught:
        NoisyPGD(**options)
    assert said in str(caught.value)


def test_a_cube_has_no_room_to_share_out() -> None:
    with pytest.raises(Unsupported, match="move=None fits"):
        search(NoisyPGD(move=0.5), Linf(eps=0.4), 0.2)


class Recording(nn.Module):
    """A linear net that remembers the points at which it was asked for gradients."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, 2)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            self.seen.append(x.detach().clone())
        out: Tensor = self.layer(x) + torch.tensor([99.0, 0.0])
        return out


def spreads(x: Tensor, box: tuple[float, float], steps: int = 10) -> Tensor:
    """(steps, B) the standard deviation of the noise at each step, in a set too small to matter."""
    net = Recording(x.shape[1])
    y = Untargeted(torch.zeros(len(x)).long())
    found = sp.search(NoisyPGD(steps=steps, noise=0.1), net, x, y, L2(eps=1e-4, box=box))
    assert found.error is None
    return torch.stack([(at - x).std(1) for at in net.seen])


def test_the_noise_begins_at_its_share_of_the_range_and_fades() -> None:
    got = spreads(torch.full((4, 4000), 0.5), (0.0, 1.0))
    want = 0.1 * (1 - torch.arange(10) / 10)
    torch.testing.assert_close(got, want[:, None].expand(10, 4), rtol=0.1, atol=0)


def test_without_a_range_it_is_a_share_of_the_samples_own() -> None:
    """Values from -2 to 4; and all alike, where the radius has to do."""
    x = torch.stack([torch.linspace(-2, 4, 4000), torch.full((4000,), 7.0)])
    got = spreads(x, (-math.inf, math.inf))[0]
    torch.testing.assert_close(got, torch.tensor([0.6, 1e-5]), rtol=0.2, atol=0)


def test_the_last_point_is_looked_at() -> None:
    """One step along the gradient of a linear net is enough, if somebody looks."""
    net = nn.Linear(4, 2, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[0.1] * 4, [0.0] * 4]))
    x, y = torch.full((3, 4), 0.5), Untargeted(torch.zeros(3).long())
    steep = nn.Sequential(net, nn.Identity())
    with torch.no_grad():
        net.weight[1] = torch.tensor([-1.0, 1.0, -1.0, 1.0])
    assert sp.search(NoisyPGD(steps=1, noise=0.01), steep, x, y, L2(eps=0.5)).broken.all()
