"""Training on Gaussian noise: what is added, when, and what is left out."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from saddlepoint import L2, PGD
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.presets import parse_objective
from saddlepoint.train import AWP, Gaussian, Inner, train, write_card
from saddlepoint.train.guard import own_attack
from saddlepoint.train.worst import Adversary
from tests.train.kit import Digits, MakeNet, MakePlan


class Ear(nn.Module):
    """A linear net that keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(40, 3)
        self.heard: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.heard.append(x.detach().clone())
        out: Tensor = self.layer(x)
        return out


def adversary(net: nn.Module, draw: Draw) -> Adversary:
    def never(oracle: object, draw: Draw) -> None:
        raise AssertionError("no attack is asked")

    return Adversary(Inner(L2(eps=1.0), never), draw, net, net)


def noise_of(draw: Draw, sigma: float, n: int = 300) -> Tensor:
    net, x = Ear(), torch.full((n, 40), 0.9)
    Gaussian(sigma=sigma)(net, x, torch.zeros(n).long(), adversary(net, draw))
    return net.heard[0] - x


def test_the_noise_is_sigma_normal_and_not_clipped() -> None:
    noise = noise_of(Draw.of(0, torch.arange(300)), 0.5)
    assert float(noise.mean()) == pytest.approx(0, abs=5 * 0.5 / math.sqrt(noise.numel()))
    assert float(noise.std()) == pytest.approx(0.5, rel=0.03)
    assert float(noise.max()) > 1.5


def test_the_noise_belongs_to_sample_and_epoch() -> None:
    draw = Draw.of(0, torch.arange(300))
    whole = noise_of(draw, 0.5)
    part = noise_of(draw[torch.tensor([7, 2])], 0.5, 2)
    torch.testing.assert_close(part, whole[[7, 2]])
    other = noise_of(draw.tag("inner", 2), 0.5)
    assert float((other - whole).abs().mean()) > 0.3


def test_the_loss_is_cross_entropy_at_the_noisy_input() -> None:
    net, draw = Ear(), Draw.of(3, torch.arange(5))
    x, y = torch.rand(5, 40), torch.tensor([0, 1, 2, 0, 1])
    for objective in (Gaussian(0.3), Gaussian(0.3, label_smoothing=0.1)):
        loss = objective(net, x, y, adversary(net, draw))
        moved = x + 0.3 * draw.tag("noise").normal(40)
        share = objective.label_smoothing
        expected = nn.functional.cross_entropy(net(moved), y, label_smoothing=share)
        torch.testing.assert_close(loss, expected)


def test_awp_sees_the_same_noise_twice() -> None:
    net, draw = Ear(), Draw.of(3, torch.arange(5))
    AWP(Gaussian(0.3))(net, torch.rand(5, 40), torch.zeros(5).long(), adversary(net, draw))
    assert len(net.heard) == 2
    assert torch.equal(*net.heard)


@pytest.mark.parametrize("sigma", [0, -0.1, math.inf, math.nan, "0.5", True])
def test_bad_sigma(sigma: float) -> None:
    with pytest.raises(Invalid, match="sigma"):
        Gaussian(sigma=sigma)
    with pytest.raises(Invalid, match="label_smoothing"):
        Gaussian(label_smoothing=1.0)


def test_it_has_a_name() -> None:
    assert parse_objective("gaussian") == Gaussian()
    assert parse_objective("Gaussian(sigma=1/2)") == Gaussian(sigma=0.5)
    assert own_attack(Gaussian(), PGD()) is own_attack(AWP(Gaussian()), PGD()) is None


def test_a_run_resumes_to_the_same_bits_and_says_what_it_was(
    tmp_path: Path, digits: Digits, net: MakeNet, plan: MakePlan
) -> None:
    x, y, *_ = digits
    meant = plan(loss=Gaussian(sigma=0.4), threat=L2(eps=0.5), epochs=3)
    straight = train(meant, net(), x, y, tmp_path / "a", progress=False)

    def stop(row: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(meant, net(), x, y, tmp_path / "b", progress=False, on_epoch=stop)
    resumed = train(meant, net(), x, y, tmp_path / "b", progress=False)
    pairs = zip(straight.model.parameters(), resumed.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert straight.events == ()
    assert all(row.own is None for row in straight.history)
    card = write_card(straight.folder)[0].read_text()
    assert "on inputs with Gaussian noise" in card
    assert "Gaussian(sigma=0.4)" in card
