"""A patch against brute force: every place tried, every shape, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from saddlepoint import FGSM, PGD, FrankWolfe, Patch, Square, search
from saddlepoint.audit.membership import inspect
from saddlepoint.audit.membership.places import place_of
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import BadData, Invalid, Unsupported
from saddlepoint.core.threat import Convex, parametric
from saddlepoint.presets import parse_threat
from saddlepoint.threats.mask import glasses

B, SHAPE = 4, (2, 5, 6)
BENT = torch.tensor([[1, 1, 0], [0, 1, 1]], dtype=torch.bool)


def images(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> Tensor:
    x = torch.rand(B, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.where(x < 0.2, 0.0, torch.where(x > 0.8, 1.0, x))


def noise(seed: int, size: float = 1.0) -> Tensor:
    rng = torch.Generator().manual_seed(100 + seed)
    return torch.randn(B, *SHAPE, generator=rng, dtype=torch.float64) * size


def bent(tmp_path: Path, name: str = "bent.npz") -> str:
    np.savez(tmp_path / name, mask=BENT.numpy())
    return str(tmp_path / name)


def places(mask: Tensor) -> Tensor:
    """(P, H, W) bool: the mask at every place of an image of SHAPE."""
    h, w = mask.shape
    found = []
    for top in range(SHAPE[1] - h + 1):
        for left in range(SHAPE[2] - w + 1):
            under = torch.zeros(SHAPE[1:], dtype=torch.bool)
            under[top : top + h, left : left + w] = mask
            found.append(under)
    return torch.stack(found)


@pytest.mark.parametrize("shape", ["square", "bent"])
@pytest.mark.parametrize("size", [0.3, 3.0])
def test_projection_is_nearest_over_all_places(shape: str, size: float, tmp_path: Path) -> None:
    mask = torch.ones(2, 2, dtype=torch.bool) if shape == "square" else BENT
    threat = Patch(size=2) if shape == "square" else Patch(mask=bent(tmp_path), at="anywhere")
    x, u = images(), noise(0, size)
    got = (threat.project(x, u) - u).flatten(1).square().sum(1)
    cut = u.clamp(-x, 1 - x)
    under = places(mask)[:, None, None]
    want = ((cut * under - u) ** 2).flatten(2).sum(2).amin(0)
    torch.testing.assert_close(got, want)


def best(gain: Tensor, mask: Tensor) -> Tensor:
    """(B,) the largest sum of gain (B, C, H, W) under the mask at any place."""
    return (gain * places(mask)[:, None, None]).flatten(2).sum(2).amax(0)


class Linear(nn.Module):
    """Two classes whose margin is linear, with weights far from uniform."""

    def __init__(self, seed: int = 3) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        w = torch.randn(*SHAPE, generator=rng, dtype=torch.float64)
        self.w = nn.Parameter(w * w.abs())

    def forward(self, x: Tensor) -> Tensor:
        score = (x * self.w).flatten(1).sum(1)
        return torch.stack([score * 0, score], 1)


def gains(x: Tensor, w: Tensor) -> Tensor:
    return torch.where(w > 0, w * (1 - x), -w * x)


@pytest.mark.parametrize(
    "attack",
    [PGD(), PGD(start="clean"), PGD(steps=20, reach=1.0), Square(n_queries=300)],
    ids=repr,
)
def test_attacks_find_the_best_place_of_a_linear_model(attack: Any) -> None:  # noqa: ANN401
    model, x = Linear(), images()
    y = torch.zeros(B, dtype=torch.int64)
    found = search(attack, model, x, y, Patch(size=2), loss="margin", early_stop=False)
    want = best(gains(x, model.w.detach()), torch.ones(2, 2, dtype=torch.bool))
    reached = (found.margin - found.clean_margin) / want
    assert float(reached.min()) >= (0.99 if isinstance(attack, PGD) else 0.6)


@pytest.mark.parametrize("attack", [FGSM(), PGD(), FrankWolfe()], ids=repr)
@pytest.mark.parametrize("at", [(1, 3), "random"], ids=str)
def test_attacks_fill_a_known_place(attack: Any, at: Any) -> None:  # noqa: ANN401
    model, x, threat = Linear(), images(), Patch(size=(2, 3), at=at)
    y = torch.zeros(B, dtype=torch.int64)
    found = search(attack, model, x, y, threat, loss="margin", early_stop=False)
    form = threat.form(x)
    gain = form.crop(gains(x, model.w.detach()))
    torch.testing.assert_close(found.margin - found.clean_margin, gain.flatten(1).sum(1))


def test_a_small_step_refines_a_patch_where_it_is() -> None:
    """One place is worth a little more than another: only a long step moves the patch there."""
    x = torch.full((1, 1, 4, 8), 0.5, dtype=torch.float64)
    threat = Patch(size=2)
    u = torch.zeros_like(x)
    u[..., :2, :2] = 0.4
    g = torch.zeros_like(x)
    g[..., :2, :2], g[..., 2:, 6:] = 1.0, 1.1
    step = threat.steepest(x, u, g)
    near, far = (threat.project(x, u + t * step) for t in (0.05, 1.0))
    assert bool((near[..., :2, :2] > 0.4).all())
    assert bool((far[..., 2:, 6:] == 0.5).all())
    assert float(far[..., :2, :2].abs().max()) == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("t", [0.02, 0.3, 1.0, 2.0])
def test_steps_climb(seed: int, t: float) -> None:
    threat, x, g = Patch(size=2), images(seed), noise(seed)
    for u in (threat.start(x), threat.project(x, threat.steepest(x, threat.start(x), g))):
        moved = threat.project(x, u + t * threat.steepest(x, u, g))
        assert bool(((g * (moved - u)).flatten(1).sum(1) >= -1e-9).all())


@pytest.mark.parametrize("at", [(0, 0), "random", None], ids=str)
def test_only_known_places_are_convex_and_have_parameters(at: Any) -> None:  # noqa: ANN401
    threat = Patch(size=2, at=at)
    assert isinstance(threat, Convex) == parametric(threat) == (at is not None)
    if at is None:
        with pytest.raises(Unsupported, match="Convex"):
            search(FGSM(), Linear(), images(), torch.zeros(B).long(), threat)


def test_random_places_belong_to_rows_and_seeds() -> None:
    x = torch.zeros(40, 1, 6, 9)
    threat, rows = Patch(size=2, at="random", seed=5), torch.arange(40)
    form = threat.form(x)
    found = [place_of(5, i, (5, 8)) for i in range(40)]
    assert list(zip(form.top.tolist(), form.left.tolist(), strict=True)) == found
    assert {t for t, _ in found} == set(range(5))
    assert {c for _, c in found} == set(range(8))
    keep = torch.tensor([7, 3, 30])
    again = threat[rows][rows >= 0][keep].form(x[keep])
    assert again.top.tolist() == [found[i][0] for i in keep.tolist()]
    other = Patch(size=2, at="random", seed=6).form(x)
    assert not torch.equal(form.left, other.left)
    assert repr(threat[keep]) == repr(threat) == "Patch(size=2, at='random', seed=5)"
    with pytest.raises(Invalid, match="the 3 that the set was indexed by"):
        threat[keep].start(x)


@pytest.mark.parametrize("kind", ["npz", "png", "png1"])
def test_masks_from_files(kind: str, tmp_path: Path) -> None:
    drawn = np.zeros(SHAPE[1:], dtype=np.uint8)
    drawn[1:3, 2:5] = BENT.numpy()
    path = tmp_path / f"mask.{kind[:3]}"
    if kind == "npz":
        np.savez(path, drawn)
    else:
        picture = Image.fromarray(drawn * 255)
        (picture.convert("1") if kind == "png1" else picture).save(path)
    threat, x = Patch(mask=str(path)), images()
    u = threat.sample(x, Draw.of(0, torch.arange(B)))
    moved = threat.apply(x, u)
    changed = (moved != x).any(1)
    assert bool((changed == torch.from_numpy(drawn > 0)).all())
    assert inspect(x.numpy(), moved.numpy(), threat, np.arange(B), u.numpy()) == [""] * B
    again = parse_threat(repr(threat))
    assert again == threat
    assert threat.sha256
    drawn[0, 0] = 1
    np.savez(tmp_path / "mask.npz", drawn)
    if kind == "npz":
        with pytest.raises(BadData, match="not the mask of that run"):
            parse_threat(repr(threat))


def test_a_mask_may_be_put_at_a_place(tmp_path: Path) -> None:
    threat, x = Patch(mask=bent(tmp_path), at=(2, 1)), images()
    moved = threat.apply(x, torch.full((B, 2, 2, 3), 0.123, dtype=torch.float64))
    changed = (moved != x).any(1)[0]
    want = torch.zeros(SHAPE[1:], dtype=torch.bool)
    want[2:4, 1:4] = BENT
    assert torch.equal(changed, want)


@pytest.mark.parametrize("side", [8, 28, 32, 224])
def test_glasses_scale_with_the_image(side: int) -> None:
    frame = glasses(side, side)
    assert torch.equal(frame, frame.flip(1))
    share = float(frame.double().mean())
    assert 0.05 < share < (0.35 if side == 8 else 0.13)
    assert bool(frame.any(0).all())  # from ear to ear
    wide = glasses(side, 2 * side)
    assert wide.shape == (side, 2 * side)


REFUSED = [
    ({}, "size = None"),
    ({"size": 2, "mask": "glasses"}, "size = 2"),
    ({"size": 0}, "size = 0"),
    ({"size": True}, "size = True"),
    ({"size": (2, 3, 4)}, r"size = \(2, 3, 4\)"),
    ({"size": 2.0}, "size = 2.0"),
    ({"size": 2, "at": "somewhere"}, "at = 'somewhere'"),
    ({"size": 2, "at": (1,)}, r"at = \(1,\)"),
    ({"size": 2, "at": (-1, 0)}, r"at = \(-1, 0\)"),
    ({"size": 2, "at": (0.5, 0)}, r"at = \(0.5, 0\)"),
    ({"size": 2, "box": (0.0, float("inf"))}, "box"),
    ({"size": 2, "box": (1.0, 0.0)}, "box"),
    ({"size": 2, "seed": -1}, "seed"),
    ({"mask": "mask.jpg"}, "mask"),
]


@pytest.mark.parametrize(("given", "said"), REFUSED, ids=str)
def test_what_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        Patch(**given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": 7}, "<7 x 7>"),
        ({"size": (2, 7), "at": (0, 0)}, "<2 x 7>"),
        ({"size": 2, "at": (4, 0)}, r"at = \(4, 0\)"),
        ({"size": 2, "at": (0, 5)}, r"at = \(0, 5\)"),
    ],
    ids=str,
)
def test_what_does_not_fit_the_image_is_refused(given: dict[str, Any], said: str) -> None:
    y = torch.zeros(B, dtype=torch.int64)
    with pytest.raises(Invalid, match=said):
        search(PGD(steps=1), Linear(), images(), y, Patch(**given))


def test_a_patch_needs_images_and_masks_that_fit(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="images"):
        Patch(size=2).start(torch.zeros(3, 4))
    with pytest.raises(Invalid, match="as large as an image of 5 x 6"):
        Patch(mask=bent(tmp_path)).start(images())
    values = {
        "empty": np.zeros((5, 6), bool),
        "deep": np.ones((1, 5, 6), bool),
        "grey": np.full((5, 6), 0.5),
    }
    for name, value in values.items():
        np.savez(tmp_path / f"{name}.npz", value)
        with pytest.raises(Invalid, match=name):
            Patch(mask=str(tmp_path / f"{name}.npz"))


def test_unsafe_and_broken_mask_files_are_refused(tmp_path: Path) -> None:
    objects = np.empty((5, 6), dtype=object)
    np.savez(tmp_path / "objects.npz", objects)  # numpy pickles it
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "text.png").write_text("no picture")
    for name in ("objects.npz", "text.npz", "text.png", "missing.npz"):
        with pytest.raises(BadData, match=name):
            Patch(mask=str(tmp_path / name))
    Image.new("RGB", (6, 5)).save(tmp_path / "colour.png")
    with pytest.raises(Invalid, match="mode RGB"):
        Patch(mask=str(tmp_path / "colour.png"))
    np.savez(tmp_path / "two.npz", a=BENT.numpy(), b=BENT.numpy())
    with pytest.raises(Invalid, match="2 arrays"):
        Patch(mask=str(tmp_path / "two.npz"))


def test_the_independent_check_sees_what_is_wrong(tmp_path: Path) -> None:
    x, rows = images(), np.arange(B)
    threat = Patch(mask=bent(tmp_path), at="anywhere")
    u = threat.sample(x, Draw.of(1, torch.arange(B)))
    moved = threat.apply(x, u).numpy()
    assert inspect(x.numpy(), moved, threat, rows) == [""] * B
    wide = moved.copy()
    wide[:, 0, 0, 0], wide[:, 0, 4, 5] = 0.321, 0.321
    assert all("no place" in said for said in inspect(x.numpy(), wide, threat, rows))
    threat = Patch(size=2, at=(1, 1))
    u = threat.sample(x, Draw.of(1, torch.arange(B)))
    moved = threat.apply(x, u).numpy()
    beside = moved.copy()
    beside[:, 1, 0, 0] = 0.321
    assert all("beside" in said for said in inspect(x.numpy(), beside, threat, rows, u.numpy()))
    off = inspect(x.numpy(), moved, threat, rows, u.numpy() * 0.5)
    assert all("differs" in said for said in off)
