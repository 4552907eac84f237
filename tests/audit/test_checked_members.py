"""The independent checks take every member of sets made of sets, whatever its row number."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from saddlepoint import L2, Chain, Features, Linf, Masked, Patch, Quantize, RotateTranslate, Union
from saddlepoint.audit.membership import inspect
from saddlepoint.core.draw import Draw

ROWS = torch.tensor([7, 3, 11, 5])


def said(threat: Any, scale: float = 1.0) -> list[str]:  # noqa: ANN401
    """What the checks say of random members around 8-bit images, as float32 holds them."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (4, 1, 8, 8), generator=rng) / 255 * scale
    here, found = threat[ROWS], []
    for seed in range(4):
        u = here.project(x, here.sample(x, Draw.of(seed, ROWS)))
        moved = here.apply(x, u)
        found += inspect(x.numpy(), moved.numpy(), threat, ROWS.numpy(), u.numpy())
    return found


@pytest.mark.parametrize(
    "threat",
    [Union(Linf(0.1), Patch(size=3, at="random")), Chain(Patch(size=3, at="random"), L2(0.5))],
    ids=repr,
)
def test_random_places_go_by_the_number_of_the_sample(threat: Any) -> None:  # noqa: ANN401
    assert said(threat) == [""] * 16


def test_a_chain_may_begin_on_the_grid_of_images() -> None:
    assert said(Chain(Quantize(Linf(8 / 255)), RotateTranslate(30, 1))) == [""] * 16


def test_rounding_grows_with_the_range_of_inputs() -> None:
    box = (0.0, 255.0)
    for chain in (
        Chain(RotateTranslate(30, 1, box=box), Linf(8.0, box=box)),
        Chain(Linf(8.0, box=box), RotateTranslate(30, 1, box=box)),
    ):
        assert said(chain, 255.0) == [""] * 16


def test_a_size_for_each_sample_needs_not_all_samples() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU())
    assert said(Features(network, eps=torch.full((20,), 0.2))) == [""] * 16


def test_images_of_8_bits_may_be_masked() -> None:
    threat = Quantize(Masked(Linf(25 / 255), mask=((2, 6), (2, 6))))
    assert said(threat) == [""] * 16
    x = torch.full((1, 1, 8, 8), 100) / 255
    for row, size, word in ((0, 20, "not in the set"), (3, 20, ""), (3, 26, "not in the set")):
        moved = (x * 255).byte().numpy()
        moved[0, 0, row, 3] += size
        assert word in inspect(x.numpy(), moved, threat, np.array([0]))[0]
        assert bool(word) == bool(inspect(x.numpy(), moved, threat, np.array([0]))[0])
