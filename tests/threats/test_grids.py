"""Grids over sets whose parameters are more than three, or whose usual grid is coarse."""

import pytest
import torch

import saddlepoint as sp
from saddlepoint.core.errors import Unsupported


@pytest.mark.parametrize(
    "threat",
    [
        sp.Affine(),
        sp.Perspective(),
        sp.Blur("motion"),
        sp.Corruption("snow"),
        sp.RotateTranslate(30, 3),
    ],
    ids=repr,
)
def test_a_coarse_grid_still_has_both_ends_of_every_range(threat: sp.Affine) -> None:
    """Half of two or three points is one, in the middle, where refinement has nowhere to go."""
    coarse = sp.Refine()._coarse(threat)
    assert all(n >= 2 for n in coarse)
    assert sp.Refine().passes(threat) < 2000


def test_one_number_of_points_stands_for_every_parameter() -> None:
    threat = sp.Affine(degrees=30, shift=0.1, scale=0, shear=0)
    assert sp.Refine(counts=(5,))._coarse(threat) == (5, 5, 5)
    assert sp.Grid(counts=(4,)).passes(threat) == 64
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    x, y = torch.rand(2, 1, 4, 4), torch.tensor([0, 1])
    found = sp.search(sp.Grid(counts=(2,)), model, x, y, threat, early_stop=False)
    assert found.cost.forward.tolist() == [9, 9]  # the clean input, and eight corners
    with pytest.raises(Unsupported, match="has 3 parameters"):
        sp.Grid(counts=(2, 2)).passes(threat)
