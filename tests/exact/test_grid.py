"""Grids and their refinement, against sets and losses whose worst point is known."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.attacks.grid import lattice
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.goal import Untargeted
from saddlepoint.train import Inner
from tests.audit.nets import natural

DOZEN = sp.RotateTranslate(degrees=30, pixels=2)


class Peak(nn.Module):
    """Margin 1 - |u - peak|^2 at the member that moved a blob by u: a loss over shifts alone."""

    def __init__(self, peak: tuple[float, float], sharp: float = 1.0) -> None:
        super().__init__()
        self.peak, self.sharp = torch.tensor(peak, dtype=torch.float64), sharp

    def forward(self, x: Tensor) -> Tensor:
        across = torch.arange(x.shape[3], dtype=x.dtype) - (x.shape[3] - 1) / 2
        mass = x.sum((1, 2, 3))
        centre = torch.stack([(x.sum((1, 2)) * across).sum(1), (x.sum((1, 3)) * across).sum(1)], 1)
        far = self.sharp * (centre / mass[:, None] - self.peak).square().sum(1)
        return torch.stack([far, torch.ones_like(far)], 1)


def blob(n: int = 1) -> tuple[Tensor, Tensor]:
    x = torch.zeros(n, 1, 9, 9, dtype=torch.float64)
    x[:, :, 4, 4] = 1
    return x, torch.zeros(n, dtype=torch.int64)


@pytest.mark.parametrize("counts", [(1,), (2,), (5,), (3, 4), (31, 5, 5), (2, 1, 3)], ids=str)
def test_a_lattice_holds_every_point_once(counts: tuple[int, ...]) -> None:
    axes = [[i / (n - 1) for i in range(n)] if n > 1 else [0.5] for n in counts]
    wanted = sorted(itertools.product(*axes))
    got = sorted(map(tuple, lattice(counts).double().tolist()))
    assert len(got) == len(wanted)
    torch.testing.assert_close(torch.tensor(got), torch.tensor(wanted), rtol=0, atol=1e-7)


def test_a_tenth_of_the_published_grid_has_been_everywhere() -> None:
    """Every cell of a 3 x 2 x 2 division of the set is seen within the first 78 points."""
    early = lattice((31, 5, 5))[:78]
    cells = (early * torch.tensor([3, 2, 2])).clamp(max=1.99 + torch.tensor([1.0, 0, 0])).int()
    assert len({tuple(c) for c in cells.tolist()}) == 12


@pytest.mark.parametrize(
    "attack", [sp.Grid(counts=(1, 5, 3)), sp.Refine(counts=(3, 2, 1), rounds=2, keep=3)], ids=repr
)
def test_costs_what_it_says(attack: Any) -> None:  # noqa: ANN401
    x, y = blob(2)
    found = sp.search(attack, Peak((9.0, 9.0)), x, y, DOZEN, early_stop=False)
    assert found.error is None
    assert found.cost.forward.tolist() == [attack.passes(DOZEN) + 1] * 2
    assert not found.cost.backward.any()


def test_the_usual_costs() -> None:
    assert sp.Grid().passes(DOZEN) == 775
    assert sp.Refine().passes(DOZEN) == 7 * 5 * 5 + 4 * 3 * 2 * 6


def test_the_grid_finds_its_own_worst_point() -> None:
    x, y = blob()
    peak = (-1.0, 2.0)  # a point of the published grid: shifts by -2, -1, 0, 1, 2
    found = sp.search(sp.Grid(counts=(3, 5, 5)), Peak(peak), x, y, DOZEN)
    assert found.margin.item() == pytest.approx(1.0, abs=1e-6)
    torch.testing.assert_close(found.u[0, 1:] * 2, torch.tensor(peak).double())


def test_refinement_finds_what_lies_between_the_points() -> None:
    x, y = blob()
    model, one = Peak((-0.63, 1.38), sharp=50.0), (1, 3, 3)
    grid = sp.search(sp.Grid(counts=(1, 5, 5)), model, x, y, DOZEN)
    assert grid.margin.item() < -4
    fine = sp.Refine(counts=one, rounds=6, keep=3)
    whole = sp.search(fine, model, x, y, DOZEN, early_stop=False)
    assert whole.broken.all()
    torch.testing.assert_close(
        whole.u[0, 1:] * 2, torch.tensor([-0.63, 1.38]).double(), rtol=0, atol=0.04
    )


def test_a_grid_goes_over_the_set_of_each_row() -> None:
    x, y = blob(3)
    threat = sp.RotateTranslate(30, 2, eps=torch.tensor([1.0, 0.5, 0.0]).double())
    for attack in (sp.Grid(counts=(3, 2, 2)), sp.Refine(counts=(3, 2, 2), rounds=1)):
        found = sp.search(attack, Peak((2.0, 2.0)), x, y, threat, early_stop=False)
        torch.testing.assert_close(found.u[:, 1].double(), torch.tensor([1.0, 0.5, 0]).double())


def margins(attack: Any, n: int) -> Tensor:  # noqa: ANN401
    subject = natural()
    options: dict[str, Any] = {"early_stop": False, "loss": "margin"}
    threat = sp.RotateTranslate(30, 1)
    return sp.search(attack, subject.model, subject.x[:n], subject.y[:n], threat, **options).margin


@pytest.mark.parametrize(
    ("n", "fine"),
    [(2, (11, 5, 5)), pytest.param(32, (31, 13, 13), marks=pytest.mark.slow)],
    ids=str,
)
def test_refinement_is_as_bad_as_grids_of_many_times_its_cost(
    n: int, fine: tuple[int, ...] | None
) -> None:
    """319 points against 275, and against 5,239, on a net for digits."""
    whole, ours = margins(sp.Grid(counts=fine), n), margins(sp.Refine(), n)
    assert float((ours >= whole - 1e-4 * whole.abs()).double().mean()) >= 0.8
    assert float((whole - ours).amax()) < 0.1
    assert float((ours - whole).mean()) > 0  # between the points it is worse still


def test_ascent_is_caught_where_a_grid_is_not() -> None:
    """From one random start; the scale of the margins is that of the logits."""
    climbed, ours = margins(sp.PGD(steps=20), 8), margins(sp.Refine(), 8)
    assert float((ours - climbed).amin()) > -0.1
    assert float((ours - climbed).amax()) > 3


def test_one_parameter_is_enough() -> None:
    x, y = blob()
    spin = sp.RotateTranslate(180, 0)
    assert sp.Grid().passes(spin) == 31
    found = sp.search(sp.Refine(), Peak((1.0, 1.0)), x, y, spin, early_stop=False)
    assert found.error is None


def test_the_loop_of_training_may_ask_it() -> None:
    x, y = blob(2)
    net = Peak((0.7, -1.3))
    worst = Inner(DOZEN, sp.Refine(loss=None))(net, x, y, "margin")
    assert bool((Untargeted(y).margin(net(worst)) > 0.95).all())


def test_other_sets_have_no_grid() -> None:
    x, y = blob()
    for attack in (sp.Grid(), sp.Refine()):
        with pytest.raises(Unsupported, match="needs a Gridded threat model; Linf is none"):
            sp.search(attack, Peak((0, 0)), x, y, sp.Linf(0.1))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: sp.Grid(counts=()), "one number of points"),
        (lambda: sp.Grid(counts=[3, 3]), "one number of points"),  # type: ignore[arg-type]
        (lambda: sp.Grid(counts=(3, 0, 1)), "at least 1"),
        (lambda: sp.Refine(rounds=0), "at least 1"),
        (lambda: sp.Refine(keep=1.5), "at least 1"),  # type: ignore[arg-type]
        (lambda: sp.Refine(loss="x"), "loss"),
    ],
    ids=("none", "list", "zero", "rounds", "keep", "loss"),
)
def test_bad_arguments(make: Any, words: str) -> None:  # noqa: ANN401
    with pytest.raises(Invalid, match=words):
        make()


def test_counts_must_fit_the_set() -> None:
    x, y = blob()
    with pytest.raises(Unsupported, match="RotateTranslate has 3 parameters"):
        sp.search(sp.Grid(counts=(3, 3)), Peak((0, 0)), x, 1 - y, DOZEN)
