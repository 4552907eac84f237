"""Certified radii: exact for linear models, ordered, and honest about what is wrong."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from saddlepoint import L0, L1, L2, Linf, Quantize, RadiusSearch, certified_radii, nearest
from saddlepoint.attacks import FMN
from saddlepoint.audit import Radii, Radius
from saddlepoint.core.errors import Invalid, Unsound, Unsupported
from tests.audit.nets import natural

QUICK = RadiusSearch(tolerance=0.05, seconds=2, attack=FMN(steps=30))


def _linear() -> nn.Module:
    torch.manual_seed(0)
    layer = nn.Linear(4, 3).requires_grad_(False)
    return nn.Sequential(layer)


@pytest.mark.parametrize(
    ("threat", "dual"),
    [(Linf(eps=0.1), 1), (L2(eps=0.1), 2), (L1(eps=0.1), math.inf)],
    ids=["Linf", "L2", "L1"],
)
def test_a_linear_model_has_its_exact_distance(threat: Any, dual: float) -> None:  # noqa: ANN401
    net = _linear()
    weight, bias = net[0].weight.double(), net[0].bias.double()  # type: ignore[index]
    x = 0.5 + 0.05 * torch.rand(5, 4, generator=torch.Generator().manual_seed(1))
    # The box is far away: so is every break from it.
    wide = replace(threat, box=(-50.0, 50.0))
    z = x.double() @ weight.T + bias
    y = z.argmax(1)
    found = certified_radii(net, x, y, wide)
    for i, r in enumerate(found.samples):
        others = [k for k in range(3) if k != int(y[i])]
        exact = min(
            float((z[i, y[i]] - z[i, k]) / torch.linalg.vector_norm(weight[y[i]] - weight[k], dual))
            for k in others
        )
        assert r.state == "closed"
        assert r.breaks_at is not None
        assert r.radius - 1e-6 <= exact <= r.breaks_at + 1e-6
        assert r.radius == pytest.approx(exact, rel=0.0102)


def test_a_wrong_sample_has_no_radius() -> None:
    net, x = _linear(), torch.rand(3, 4)
    y = net(x).argmax(1)
    y[1] = (y[1] + 1) % 3
    found = certified_radii(net, x, y, L2(eps=0.1))
    assert found.samples[1] == Radius(0.0, 0.0, "wrong")
    assert found.samples[0].radius > 0 < found.samples[2].radius
    assert found.certified_accuracy(0.0) == pytest.approx(2 / 3)


def test_both_ends_fall_with_the_size_and_never_cross() -> None:
    subject = natural()
    x, y = subject.x[:3], subject.y[:3]
    radii = certified_radii(subject.model, x, y, Linf(eps=0.05), QUICK)
    sizes = [k / 100 for k in range(40)]
    for ends in (radii.certified_accuracy, radii.robust_accuracy):
        shares = [ends(s) for s in sizes]
        assert shares == sorted(shares, reverse=True)
    assert all(radii.certified_accuracy(s) <= radii.robust_accuracy(s) for s in sizes)
    assert radii.certified_accuracy(0.0) > 0
    near = nearest(FMN(), subject.model, x, y, Linf(eps=1.0))
    for size, r in zip(near.size.tolist(), radii.samples, strict=True):
        assert r.radius <= size * (1 + 1e-6)
        assert r.radius < (r.breaks_at or math.inf)


def test_a_constant_model_is_certified_whole() -> None:
    net = nn.Linear(4, 2).requires_grad_(False)
    net.weight.zero_()
    net.bias.copy_(torch.tensor([1.0, 0.0]))
    x = torch.full((1, 4), 0.25)
    (found,) = certified_radii(net, x, torch.zeros(1).long(), L2(eps=0.1)).samples
    assert (found.state, found.breaks_at) == ("whole", None)
    assert found.radius == pytest.approx(2 * 0.75)  # to the corner (1, 1, 1, 1)


def test_earlier_radii_are_not_searched_again() -> None:
    net, x = _linear(), torch.rand(4, 4, generator=torch.Generator().manual_seed(2))
    y, seen = net(x).argmax(1), []
    whole = certified_radii(net, x, y, L2(eps=0.1))
    rest = certified_radii(
        net,
        x,
        y,
        L2(eps=0.1),
        done=whole.samples[:2],
        progress=lambda found, todo: seen.append((len(found), todo)),
    )
    assert rest == whole
    assert seen == [(3, 4), (4, 4)]


def test_a_proof_beyond_a_break_is_unsound() -> None:
    net, x = _linear(), torch.full((1, 4), 0.5)
    y = net(x).argmax(1)
    (found,) = certified_radii(net, x, y, L2(eps=0.1)).samples
    assert found.breaks_at is not None
    false = torch.tensor([found.breaks_at * 1.1])
    with pytest.raises(Unsound, match="one of the two is wrong"):
        certified_radii(net, x, y, L2(eps=0.1), certified=false)
    true = torch.tensor([found.radius * 0.9])
    (again,) = certified_radii(net, x, y, L2(eps=0.1), certified=true).samples
    assert again.radius == pytest.approx(found.radius, rel=0.02)


@pytest.mark.parametrize(
    ("threat", "fault"),
    [
        (L0(eps=2), "not convex"),
        (Quantize(Linf(eps=0.1)), "off the grid"),
        (L2(eps=torch.tensor([0.1])), "a size per sample"),
        (object(), "no size"),
    ],
    ids=["L0", "Quantize", "tensor", "none"],
)
def test_sets_without_certifiable_sizes_are_refused(threat: Any, fault: str) -> None:  # noqa: ANN401
    with pytest.raises(Unsupported, match=fault):
        certified_radii(_linear(), torch.rand(1, 4), torch.zeros(1).long(), threat)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(Invalid, match="tolerance"):
        RadiusSearch(tolerance=1.0)
    with pytest.raises(Invalid, match="seconds"):
        RadiusSearch(seconds=0)


def test_the_median_is_the_lower_of_the_middle_two() -> None:
    radii = Radii(tuple(Radius(r, None, "whole") for r in (0.3, 0.1, 0.2, 0.4)))
    assert (radii.median, radii.mean) == (0.2, pytest.approx(0.25))
