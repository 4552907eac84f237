"""Each attack at its defaults reaches 99 % of the worst case of linear models."""

from typing import Any

import pytest
import torch

from saddlepoint import (
    APGD,
    FGSM,
    L1,
    L2,
    PGD,
    FrankWolfe,
    Linf,
    RandomSearch,
    Restarts,
    search,
)
from tests.exact.linear import WEIGHTS, shares
from tests.table import ATTACKS, AttackRow

BALL = pytest.mark.parametrize("ball", [Linf, L2, L1], ids=["linf", "l2", "l1"])
KIND = pytest.mark.parametrize("kind", WEIGHTS)
# FGSM has no default beside itself; a momentum of normalised gradients keeps the direction.
USUAL = [a for a in ATTACKS if not a.scores and not a.sized]
GRADIENT = [a for a in USUAL if a.default or a.name == "fgsm"]
ATTACK = pytest.mark.parametrize("attack", GRADIENT, ids=lambda r: r.name)


@ATTACK
@BALL
@pytest.mark.parametrize(
    ("kind", "dims"), [("heavy-tailed", 8), ("spread", 64), ("normal", 784)], ids=str
)
def test_the_margin_reaches_its_maximum(attack: AttackRow, ball: Any, kind: str, dims: int) -> None:  # noqa: ANN401
    share = shares(attack.default or attack.small, kind, dims, ball, loss="margin")
    assert float(share.min()) >= 0.99


@ATTACK
@BALL
@pytest.mark.parametrize("kind", ["heavy-tailed"])
def test_so_does_the_default_loss(attack: AttackRow, ball: Any, kind: str) -> None:  # noqa: ANN401
    share = shares(attack.default or attack.small, kind, 64, ball)
    assert float(share.min()) >= 0.99


@ATTACK
@BALL
@pytest.mark.parametrize("loss", ["dlr"])
def test_a_target_among_three_classes(attack: AttackRow, ball: Any, loss: str) -> None:  # noqa: ANN401
    options = {"loss": loss, "targeted": True}
    share = shares(attack.default or attack.small, "heavy-tailed", 64, ball, **options)
    assert float(share.min()) >= 0.99


@pytest.mark.slow
@ATTACK
@BALL
@KIND
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("dims", [8, 64, 784])
def test_whatever_the_seed(attack: AttackRow, ball: Any, kind: str, dims: int, seed: int) -> None:  # noqa: ANN401
    share = shares(attack.default or attack.small, kind, dims, ball, loss="margin", seed=seed)
    assert float(share.min()) >= 0.99


@BALL
def test_random_search_in_few_dimensions(ball: Any) -> None:  # noqa: ANN401
    share = shares(RandomSearch(n_queries=500), "heavy-tailed", 4, ball, access="scores")
    assert float(share.min()) >= 0.99


@pytest.mark.slow
@BALL
@KIND
@pytest.mark.parametrize("dims", [8, 64])
def test_random_search_at_its_defaults(ball: Any, kind: str, dims: int) -> None:  # noqa: ANN401
    share = shares(RandomSearch(), kind, dims, ball, loss="margin", access="scores")
    assert float(share.min()) >= 0.99


@BALL
@pytest.mark.parametrize("attack", [FGSM(), FrankWolfe()], ids=str)
def test_vertex_attacks_are_exact_at_once(attack: Any, ball: Any) -> None:  # noqa: ANN401
    share = shares(attack, "heavy-tailed", 64, ball, loss="margin", dtype=torch.float64)
    assert float(share.min()) >= 1 - 1e-6


@BALL
@pytest.mark.parametrize("attack", [PGD(), APGD(), Restarts(PGD(steps=20), n=2)], ids=repr)
def test_low_precision_loses_little(attack: Any, ball: Any) -> None:  # noqa: ANN401
    share = shares(attack, "normal", 64, ball, loss="margin", precision="bfloat16")
    assert float(share.min()) >= 0.98


@BALL
@pytest.mark.parametrize("attack", [PGD(), PGD(start="clean"), APGD()], ids=repr)
def test_weights_that_point_out_of_the_box_do_not_use_up_the_step(attack: Any, ball: Any) -> None:  # noqa: ANN401
    """As on white-on-black digits: the largest gradients lie where nothing can move."""
    x = torch.full((2, 16), 0.5)
    x[:, :8] = 1.0
    w = torch.cat([torch.full((8,), 100.0), torch.linspace(0.5, 1.5, 8)])
    threat = ball(eps={2.0: 0.7, 1.0: 1.5}.get(ball.order, 0.1))

    def model(v: torch.Tensor) -> torch.Tensor:
        s = (v - x[: len(v)]) @ w
        return torch.stack([torch.ones_like(s), s], 1)

    y = torch.zeros(2, dtype=torch.int64)
    found = search(attack, model, x, y, threat, loss="margin", early_stop=False)
    best = (threat.maximise(x, w.expand(2, 16)) @ w).double()
    assert bool((found.u.double() @ w.double() >= 0.99 * best).all())
