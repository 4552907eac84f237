"""Warm starts: the right point for each sample, in the present set, at one question."""

import pytest
import torch

from saddlepoint import Earlier, Linf, PriorGuided, RotateTranslate, search
from saddlepoint.attacks.earlier import Points
from saddlepoint.core.access import check_fit
from saddlepoint.core.errors import Invalid, Unsupported
from tests.laws.models import problem
from tests.table import THREATS

L2 = THREATS[1]


def earlier(n: int = 8) -> tuple[Points, torch.Tensor]:
    """What broke samples in a smaller set, and which samples these are."""
    net, x, y, threat = problem(L2)
    from saddlepoint import PGD

    found = search(PGD(steps=20), net, x, y, threat)
    rows = found.broken.nonzero().squeeze(1)
    return Points(rows, found.x_adv[rows].float(), "e" * 64), found.broken


def test_what_broke_a_model_breaks_it_again() -> None:
    net, x, y, threat = problem(L2)
    points, broken = earlier()
    found = search(Earlier(points), net, x, y, threat, access="none")
    assert torch.equal(found.broken, broken)
    asked = found.clean_margin <= 0
    assert found.cost.forward.tolist() == (1 + (asked & broken).int()).tolist()
    statuses = {s.value for s, hit in zip(found.status, broken, strict=True) if not hit}
    assert statuses == {"not_run"}


def test_identities_decide_whatever_the_order() -> None:
    net, x, y, threat = problem(L2)
    points, broken = earlier()
    rows = torch.tensor([6, 2, 7, 0])
    found = search(Earlier(points), net, x[rows], y[rows], threat[rows], ids=rows)
    assert torch.equal(found.broken, broken[rows])
    none = search(Earlier(points), net, x, y, threat, ids=torch.arange(8) + 100)
    assert torch.equal(none.broken, none.clean_margin > 0)


def test_points_are_taken_back_into_a_smaller_set() -> None:
    net, x, y, _ = problem(L2)
    points, _ = earlier()
    small = Linf(0.05)
    found = search(Earlier(points), net, x, y, small, early_stop=False)
    assert bool(small.contains(x, found.u, 1e-6).all())
    assert found.error is None


def test_a_score_search_starts_there() -> None:
    net, x, y, threat = problem(L2)
    points, broken = earlier()
    found = search(PriorGuided(4, starts=(Earlier(points),)), net, x, y, threat, access="scores")
    assert bool(found.broken[broken].all())
    asked = broken & (found.clean_margin <= 0)
    assert found.cost.forward[asked].tolist() == [2] * int(asked.sum())
    assert found.error is None


def test_no_points_at_all() -> None:
    net, x, y, threat = problem(L2)
    none = Points(torch.arange(0), torch.zeros(0, *x.shape[1:]), "0" * 64)
    for attack in (Earlier(none), PriorGuided(3, starts=(Earlier(none),))):
        assert search(attack, net, x, y, threat).error is None  # type: ignore[arg-type]


def test_what_does_not_fit_is_said() -> None:
    net, x, y, threat = problem(L2)
    points, _ = earlier()
    with pytest.raises(Unsupported, match="--warm"):
        check_fit(Earlier(), threat, "labels")
    with pytest.raises(Unsupported, match="needs the parameters of its members"):
        check_fit(Earlier(points), RotateTranslate(30, 1), "labels")
    with pytest.raises(Invalid, match="ascending"):
        Points(torch.tensor([2, 1]), torch.zeros(2, 3), "1" * 64)
    other = Points(torch.tensor([1]), torch.zeros(1, 5), "1" * 64)
    said = search(Earlier(other), net, x, y, threat).error
    assert said is not None
    assert "of shape (1, 3, 4)" in said


def test_parameters_of_the_same_kind_of_set_are_used_as_they_are() -> None:
    x, y = torch.rand(2, 1, 6, 6), torch.tensor([0, 1])
    u = torch.tensor([[0.5, 0.25, 0.0], [-0.25, 0.0, 0.5]])
    threat = RotateTranslate(30, 2)
    made = threat.apply(x, threat.project(x, u))
    points = Points(torch.arange(2), made, "2" * 64, u, "RotateTranslate")

    def model(v: torch.Tensor) -> torch.Tensor:
        near = (v - made).flatten(1).abs().amax(1)
        return torch.stack([near, near], 1) * torch.eye(2)[y[: len(v)]] * 2 - near[:, None]

    found = search(Earlier(points), model, x, y, threat, early_stop=False)
    torch.testing.assert_close(found.u, threat.project(x, u))
