"""Training on random members of the set: which, when, and what is left out."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.presets import parse_objective
from saddlepoint.train import AWP, Inner, Sampled, train, write_card
from saddlepoint.train.guard import own_attack, stronger
from saddlepoint.train.worst import Adversary
from tests.train.kit import Digits, MakePlan

TURN = sp.RotateTranslate(degrees=45, pixels=2)


class Ear(nn.Module):
    """A linear net that keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 3)
        self.heard: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.heard.append(x.detach().clone())
        out: Tensor = self.layer(x.flatten(1))
        return out


def adversary(net: nn.Module, epoch: int = 1) -> Adversary:
    def never(oracle: object, draw: Draw) -> None:
        raise AssertionError("no attack is asked")

    draw = Draw.of(0, torch.arange(6)).tag("inner", epoch)
    return Adversary(Inner(TURN, never), draw, net, net)


def test_asks_about_one_member_of_the_set_and_no_attack() -> None:
    net, x, y = Ear(), torch.rand(6, 1, 8, 8), torch.arange(6) % 3
    loss = Sampled()(net, x, y, adversary(net))
    (heard,) = net.heard
    assert loss.requires_grad
    u = TURN.sample(x, adversary(net).draw.tag("member"))
    assert torch.equal(heard, TURN.apply(x, u))
    assert bool((heard != x).flatten(1).any(1).all())
    assert loss.item() == pytest.approx(nn.functional.cross_entropy(net(heard), y).item())


def test_every_epoch_draws_anew_and_every_row_for_itself() -> None:
    net, x, y = Ear(), torch.rand(1, 1, 8, 8).expand(6, -1, -1, -1), torch.arange(6) % 3
    for epoch in (1, 2, 1):
        Sampled()(net, x, y, adversary(net, epoch))
    first, second, again = net.heard
    assert torch.equal(first, again)
    assert bool((first != second).flatten(1).any(1).all())
    assert bool((first[0] != first[1:]).flatten(1).any(1).all())


def test_is_read_from_text_and_checks_its_number() -> None:
    assert parse_objective("sampled") == Sampled()
    assert parse_objective("Sampled(label_smoothing=0.1)") == Sampled(label_smoothing=0.1)
    assert own_attack(AWP(Sampled()), sp.PGD()) is None
    with pytest.raises(Invalid, match="label_smoothing"):
        Sampled(label_smoothing=1.0)


def test_tries_in_vain_give_way_to_a_grid() -> None:
    assert stronger(sp.WorstOf(k=10), TURN) == sp.WorstOf(k=20)
    assert stronger(sp.WorstOf(k=40), TURN) == sp.Refine(rounds=2, keep=2)
    assert stronger(sp.WorstOf(k=40), sp.Linf(0.1)) == sp.PGD(steps=10, step_size=0.25)


@pytest.mark.parametrize(
    ("loss", "attack", "words"),
    [
        ("sampled", "PGD()", "trained on random members of RotateTranslate(degrees=20, pixels=1)"),
        ("madry", "WorstOf(k=2)", "trained against RotateTranslate(degrees=20, pixels=1)"),
    ],
)
def test_the_loop_trains_within_the_set_and_the_card_says_how(
    loss: str, attack: str, words: str, digits: Digits, plan: MakePlan, tmp_path: Path
) -> None:
    from saddlepoint.presets import parse_attack

    chosen = plan(
        shape=(1, 8, 8),
        threat=sp.RotateTranslate(degrees=20, pixels=1),
        loss=loss,
        attack=parse_attack(attack),
        check=sp.Grid(counts=(3, 2, 2)),
        epochs=2,
        eps_ramp=0.5,
    )
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    trained = train(chosen, model, *digits[:2], tmp_path / "run", progress=False)
    assert len(trained.history) == 2
    card, _ = write_card(trained.folder)
    assert words in card.read_text().replace("\n", " ")


def test_random_places_are_drawn_anew_as_well() -> None:
    net, x, seen = Ear(), torch.zeros(6, 1, 8, 8), []
    for epoch in (1, 2):
        draw = Draw.of(0, torch.arange(6)).tag("inner", epoch)
        inner = Inner(sp.Patch(size=2, at="random"), sp.WorstOf(k=1))
        Sampled()(net, x, torch.zeros(6, dtype=torch.int64), Adversary(inner, draw, net, net))
        seen.append(net.heard[-1] != 0)
    assert not torch.equal(seen[0], seen[1])
