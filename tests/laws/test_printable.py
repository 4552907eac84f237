"""Prices on the look of a patch: known values, slopes, and that they steer without forbidding."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saddlepoint import PGD, Linf, Patch, Printable, search
from saddlepoint.audit.described import described
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.presets import parse_threat
from saddlepoint.threats.palette import DEFAULT, off_palette, palette, score, variation

GREY = ((0.0,), (0.4,), (1.0,))


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def by_hand(u: Tensor, mask: Tensor) -> list[float]:
    """Total variation per pixel, pixel by pixel."""
    found = []
    for picture in u:
        total = 0.0
        for channel in picture.tolist():
            for i, row in enumerate(channel):
                for j, value in enumerate(row):
                    ends = []
                    for a, b in ((i, j + 1), (i + 1, j)):
                        inside = a < len(channel) and b < len(row)
                        both = inside and bool(mask[i, j]) and bool(mask[a, b])
                        ends.append(channel[a][b] - value if both else 0.0)
                    total += (ends[0] ** 2 + ends[1] ** 2) ** 0.5
        found.append(total / (int(mask.sum()) * u.shape[1]))
    return found


def test_variation_is_the_sum_over_pixels() -> None:
    mask = torch.tensor([[1, 1, 0, 1], [1, 1, 1, 1], [0, 1, 1, 0]], dtype=torch.bool)
    u = noise(3, 2, 3, 4)
    assert variation(u, mask).tolist() == pytest.approx(by_hand(u, mask))
    assert variation(torch.full((1, 1, 3, 4), 0.3), mask).tolist() == [0.0]


def test_printable_colours_cost_nothing_and_others_their_distance() -> None:
    mask = torch.ones(1, 2, dtype=torch.bool)
    on = torch.tensor([DEFAULT[3], DEFAULT[17]]).T[None, :, None, :].double()
    assert float(off_palette(on, DEFAULT, mask)) == pytest.approx(0, abs=2e-6)
    assert float(score(on, DEFAULT, mask)) == pytest.approx(0, abs=1e-8)
    off = torch.tensor([[[[0.5, 0.7]]]], dtype=torch.float64)
    assert float(off_palette(off, GREY, mask)) == pytest.approx((0.1 + 0.3) / 2)
    products = 0.5 * 0.1 * 0.5 + 0.7 * 0.3 * 0.3
    assert float(score(off, GREY, mask)) == pytest.approx(products)
    assert len(set(DEFAULT)) == 30
    assert all(0 < v < 1 for colour in DEFAULT for v in colour)


@pytest.mark.parametrize("at", [(1, 2), None, "random"], ids=str)
def test_the_penalty_has_the_slope_that_differences_have(at: Any) -> None:  # noqa: ANN401
    threat, x = Printable(Patch(size=2, at=at), 0.7, 1.3, GREY), noise(2, 1, 4, 5)
    start = threat.start(x)
    towards = noise(*start.shape) - 0.5
    u = threat.project(x, start + 0.3 * threat.steepest(x, start, towards))
    u = u.requires_grad_()
    (g,) = torch.autograd.grad(threat.penalty(x, u).sum(), u)
    step = torch.zeros_like(u)
    place = (u.detach()[0, 0] != 0).nonzero()[0]
    step[0, 0, place[0], place[1]] = 1e-6
    ends = [threat.penalty(x, u.detach() + s * step)[0] for s in (1, -1)]
    assert float(g[0, 0, place[0], place[1]]) == pytest.approx(float(ends[0] - ends[1]) / 2e-6)


class Sum(nn.Module):
    """Class 1 from a sum of 16 on."""

    def forward(self, x: Tensor) -> Tensor:
        total = x.flatten(1).sum(1)
        return torch.stack([total * 0 + 8, total / 2], 1)


def test_a_price_makes_breaks_smooth_and_printable() -> None:
    """Any bright patch will do; the price tells them apart."""
    x, y = torch.zeros(4, 1, 6, 6), torch.zeros(4, dtype=torch.int64)
    plain, mask = Patch(size=5, at=(0, 0)), torch.ones(5, 5, dtype=torch.bool)
    inks = ((0.0,), (0.8,))
    dear = Printable(plain, smooth=20.0, colour=20.0, palette=inks)
    price = []
    for threat in (plain, dear):
        found = search(PGD(steps=60, reach=0.2), Sum(), x, y, threat, loss="margin")
        assert bool(found.broken.all())
        u = found.u
        price.append(float((variation(u, mask) + off_palette(u, inks, mask)).mean()))
    assert price[1] < 0.6 * price[0]


def test_words_name_the_price_that_is_paid() -> None:
    plain, grey = Patch(size=2, at=(1, 1)), ((0.1,), (0.9,))
    both = described(Printable(plain, palette=grey))
    assert both.endswith("in [0, 1]; the search prefers what is smooth and in printable colours")
    assert described(Printable(plain, colour=0)).endswith("the search prefers what is smooth")
    assert described(Printable(plain, smooth=0)).endswith("prefers what is in printable colours")
    assert described(Printable(plain, smooth=0, colour=0)) == described(plain)
    assert "a patch of 2 x 2 pixels" in described(Linf(0.1) | Printable(plain, palette=grey))


def test_what_is_climbed_is_the_loss_less_the_price() -> None:
    x, y = noise(3, 1, 6, 6).float(), torch.zeros(3, dtype=torch.int64)
    plain = Patch(size=2, at=(1, 1))
    dear = Printable(plain, smooth=0.5, colour=2.0, palette=GREY)
    answers: list[tuple[Tensor, Tensor, Tensor]] = []

    class Ask:
        def __call__(self, oracle: Any, draw: Any) -> None:  # noqa: ANN401
            u = oracle.threat.sample(oracle.x, draw).requires_grad_()
            (slope,) = torch.autograd.grad(dear.penalty(oracle.x, u).sum(), u)
            value, g = oracle.value_and_grad(u.detach())
            assert torch.equal(oracle.value(u.detach()), value)
            answers.append((value, g, slope))

    for threat in (plain, dear):
        search(Ask(), Sum(), x, y, threat, loss="margin", early_stop=False)
    (free, g, slope), (paid, h, _) = answers
    assert bool((free > paid + 0.05).all())
    torch.testing.assert_close(g - slope, h)


def test_the_members_are_those_of_the_patch() -> None:
    patch, x = Patch(size=2, at="random"), noise(5, 3, 4, 4)
    threat = Printable(patch)
    assert parse_threat(repr(threat)) == threat
    assert hasattr(threat, "maximise")
    assert not hasattr(Printable(Patch(size=2)), "maximise")
    keep = torch.tensor([4, 1])
    u = threat.project(x, threat.start(x) + 0.2)
    assert torch.equal(threat[keep].apply(x[keep], u[keep]), threat.apply(x, u)[keep])
    assert torch.equal(threat[keep].penalty(x[keep], u[keep]), threat.penalty(x, u)[keep])


def test_palettes_are_read_and_refused(tmp_path: Path) -> None:
    path = tmp_path / "inks.txt"
    path.write_text("0.1, 0.2, 0.3\n\n0.4 0.5 0.6\n")
    assert palette(str(path), (0.0, 1.0)) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    patch = Patch(size=2, at=(0, 0))
    for wrong, said in (
        (((0.1, 0.2, 1.5),), r"1.5: must be colours with values in \[0, 1\]"),
        (((0.1, 0.2), (0.1,)), "as many values each"),
        (((),), "as many values each"),
        (((True, 0.1, 0.2),), "True"),
    ):
        with pytest.raises(Invalid, match=said):
            Printable(patch, palette=wrong)
    for text in ("red", ""):
        path.write_text(text)
        with pytest.raises((BadData, Invalid)):
            Printable(patch, palette=str(path))
    with pytest.raises(BadData, match="missing"):
        Printable(patch, palette=str(tmp_path / "missing.txt"))
    with pytest.raises(Invalid, match="as many as the images have channels"):
        Printable(patch).start(torch.zeros(2, 1, 4, 4))
    with pytest.raises(Invalid, match="given for inputs"):
        Printable(Patch(size=2, at=(0, 0), box=(-1.0, 1.0)))
    for weights in ({"smooth": -1}, {"colour": float("nan")}):
        with pytest.raises(Invalid):
            Printable(patch, **weights)
    with pytest.raises(Invalid, match="a patch"):
        Printable("patch")  # type: ignore[arg-type]
