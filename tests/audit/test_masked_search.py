"""A mask takes no search away from a set: what finds the worst of the base is asked here too."""

from typing import Any

import pytest
import torch
from torch import nn

from saddlepoint import Features, Masked, Patch, RotateTranslate
from saddlepoint.attacks import Grid
from saddlepoint.audit.suites import autoattack, cascade
from saddlepoint.core.draw import Draw
from saddlepoint.core.threat import MEMBER, Gridded

ALL = ((0, 8), (0, 8))


@pytest.mark.parametrize(
    "base",
    [
        RotateTranslate(degrees=15, pixels=1),
        Patch(size=2),
        Features(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU()), eps=0.1),
    ],
    ids=["few parameters", "in pieces", "costly"],
)
def test_the_cascade_has_the_arms_of_the_base(base: Any) -> None:  # noqa: ANN401
    whole, masked = cascade(threat=base), cascade(threat=Masked(base, mask=ALL))
    assert masked.describe() == whole.describe()
    assert repr(autoattack(threat=Masked(base, mask=ALL))) == repr(autoattack(threat=base))


def test_points_of_the_grid_are_members() -> None:
    masked, x = Masked(RotateTranslate(15, 1), mask=((2, 6), (2, 6))), torch.rand(3, 1, 8, 8)
    assert isinstance(masked, Gridded)
    assert Grid().passes(masked) == 775
    u = masked.place(x, Draw.of(0, torch.arange(3)).uniform(3))
    assert bool(masked.contains(x, u, MEMBER).all())
    assert torch.equal(masked.apply(x, u)[..., 0, :], x[..., 0, :])
