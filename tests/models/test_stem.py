"""The threshold stem: exact where it must be, open to gradients, and carried by weights files."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from saddlepoint.attacks import PGD
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.core.search import search
from saddlepoint.models import ThresholdStem, build, conv_medium, conv_small, load_model
from saddlepoint.models.fit import infer
from saddlepoint.models.stem import decimal
from saddlepoint.threats import Linf

RADII = (0.05, 0.1, 0.2, 0.3)
STEMMED: dict[str, dict[str, Any]] = {
    "conv-small": {"width": 2},
    "conv-medium": {"width": 2},
    "madry-mnist": {"width": 2},
    "mlp": {"hidden": [4, 3]},
}
SHAPE = (1, 8, 8)


class Clamp(nn.Module):
    """phi of radius 0.3 with its true derivative."""

    def forward(self, x: Tensor) -> Tensor:
        return phi(x, 0.3)


def phi(x: Tensor, eps: float) -> Tensor:
    return ((x - eps) / (1 - 2 * eps)).clamp(0, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("eps", [0.0, *RADII, 8 / 255, 0.45])
def test_the_values_follow_the_formula_and_never_fall(eps: float, dtype: torch.dtype) -> None:
    x = torch.linspace(0, 1, 4001, dtype=dtype)
    out = ThresholdStem(eps)(x)
    assert out.dtype == dtype
    # Both thresholds lie at most two float32 steps inward, magnified by the slope.
    torch.testing.assert_close(out, phi(x, eps), rtol=0, atol=3e-7 / (1 - 2 * eps))
    assert (out.diff() >= 0).all()
    assert (float(out[0]), float(out[-1])) == (0.0, 1.0)
    assert torch.equal(ThresholdStem(0)(x), x)


@pytest.mark.parametrize("eps", RADII)
@pytest.mark.parametrize(
    ("sums", "asked"),  # a float32 sum is up to 3e-8 off, which a float64 model may see
    [(torch.float32,) * 2, (torch.float64, torch.float32), (torch.float64,) * 2],
)
def test_pixels_at_0_and_1_cannot_be_moved(
    eps: float, sums: torch.dtype, asked: torch.dtype
) -> None:
    u, stem = torch.tensor([-eps, 0, eps], dtype=sums), ThresholdStem(eps)
    assert stem((torch.zeros(3, dtype=sums) + u).to(asked)).tolist() == [0, 0, 0]
    assert stem((torch.ones(3, dtype=sums) + u).to(asked)).tolist() == [1, 1, 1]


def test_no_radius_is_rounded_the_wrong_way() -> None:
    for eps in torch.linspace(0.001, 0.499, 500, dtype=torch.float64).tolist():
        stem = ThresholdStem(eps)
        narrow = torch.tensor(eps)
        moved = torch.stack([narrow, 1 - narrow, torch.tensor(1 - eps)])
        assert stem(moved).tolist() == [0, 1, 1]
        assert stem(torch.tensor([eps, 1 - eps], dtype=torch.float64)).tolist() == [0, 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keeps_them_too(dtype: torch.dtype) -> None:
    for eps in RADII:
        u = torch.tensor(eps, dtype=dtype)
        out = ThresholdStem(eps).to(dtype)(torch.stack([u, 1 - u]))
        assert (out.dtype, out.tolist()) == (dtype, [0, 1])


def test_other_pixels() -> None:
    out = ThresholdStem(0.3)(torch.tensor([0.3001, 0.6999]))
    assert 0 < out[0] < 0.001
    assert 0.999 < out[1] < 1
    assert ThresholdStem(0.3)(torch.tensor([float("nan")])).isnan().all()  # stays visible
    with pytest.raises(Invalid, match=r"dtype torch.uint8>: must be floats; .*x.float\(\) / 255"):
        ThresholdStem(0.3)(torch.zeros(2, dtype=torch.uint8))


@pytest.mark.parametrize("eps", RADII)
def test_the_gradient_is_the_slope_everywhere(eps: float) -> None:
    x = torch.linspace(0, 1, 101).requires_grad_()
    incoming = torch.linspace(-3, 5, 101)
    out = ThresholdStem(eps)(x)
    assert (out == 0).sum() > 1
    assert (out == 1).sum() > 1
    (g,) = torch.autograd.grad(out, x, incoming)
    torch.testing.assert_close(g, incoming / (1 - 2 * eps), rtol=1e-6, atol=0)
    (true,) = torch.autograd.grad(phi(x, eps).sum(), x)
    assert true[:4].tolist() == [0, 0, 0, 0]  # what an attack would have got


@pytest.mark.parametrize("shape", [(), (5,), (0, 3), (2, 3), (2, 3, 4, 5), (2, 1, 3, 2, 2)])
def test_shape_layout_and_input_stay(shape: tuple[int, ...]) -> None:
    x = torch.rand(shape)
    x = x.to(memory_format=torch.channels_last) if x.dim() == 4 else x
    before, out = x.clone(), ThresholdStem(0.2)(x)
    assert (out.shape, out.stride()) == (x.shape, x.stride())
    assert torch.equal(x, before)


def test_modes_of_torch() -> None:
    x, stem = torch.rand(50), ThresholdStem(0.3)
    expected = phi(x, 0.3)
    with torch.inference_mode():
        inferred = stem(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = stem(x)
    for out in (inferred, cast, torch.vmap(stem)(x), copy.deepcopy(stem)(x)):
        assert out.dtype == torch.float32
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-6)
    slopes = torch.func.vmap(torch.func.grad(stem))(x)
    torch.testing.assert_close(slopes, torch.full((50,), 2.5))


@pytest.mark.parametrize("eps", [-0.1, 0.5, 0.4999999, 1, float("nan"), float("inf"), "0.3", True])
def test_radii_that_cannot_be(eps: Any) -> None:  # noqa: ANN401
    with pytest.raises(Invalid, match=r"eps = .*: must be a number in \[0, 0.5\)"):
        ThresholdStem(eps)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("eps", RADII)
def test_decimals_survive_every_type(eps: float, dtype: torch.dtype) -> None:
    assert decimal(torch.tensor(eps, dtype=dtype)) == eps
    assert repr(ThresholdStem(eps)) == f"ThresholdStem(eps={eps})"


@pytest.mark.parametrize("arch", STEMMED)
def test_the_stem_is_a_first_layer_that_renames_nothing(arch: str) -> None:
    options = {**STEMMED[arch], "mean": [0.1], "std": [0.5]}
    bare = build(arch, SHAPE, 5, options).eval()
    model = build(arch, SHAPE, 5, {**options, "stem": 0.3}).eval()
    assert [name for name, _ in model.named_children()][:3] == ["stem", "normalize", "0"]
    assert model.state_dict().keys() - bare.state_dict().keys() == {"stem.eps"}
    model.load_state_dict(bare.state_dict(), strict=False)
    x = torch.rand(4, *SHAPE)
    torch.testing.assert_close(model(x), bare(phi(x, 0.3)))
    with pytest.raises(RuntimeError, match=r"Unexpected key.*stem.eps"):
        bare.load_state_dict(model.state_dict())
    for nothing in (None, 0, 0.0):
        plain = build(arch, SHAPE, 5, {**options, "stem": nothing})
        assert plain.state_dict().keys() == bare.state_dict().keys()


@pytest.mark.parametrize("stem", [0.5, -0.1, float("nan"), "0.3", True, [0.3]])
def test_options_that_cannot_be(stem: Any) -> None:  # noqa: ANN401
    with pytest.raises(Invalid, match=r"stem = .*: must be a number in \[0, 0.5\) for conv-small"):
        build("conv-small", SHAPE, 5, {"stem": stem})


def test_nets_for_colour_images_take_none() -> None:
    with pytest.raises(Invalid, match="option = 'stem': must be an option of resnet9"):
        build("resnet9", options={"stem": 0.3})
    assert "stem" not in infer("resnet9", {"stem.eps": torch.tensor(0.3)})


@pytest.mark.parametrize("arch", STEMMED)
@pytest.mark.parametrize("eps", [0.3, 8 / 255, 1 / 3])
def test_a_weights_file_needs_its_architecture_alone(arch: str, eps: float, tmp_path: Path) -> None:
    shape = (1, 28, 28)
    options = {**STEMMED[arch], "stem": eps, "mean": [0.5], "std": [0.25]}
    made = build(arch, shape, 4, options).eval()
    save_file(made.state_dict(), tmp_path / "a.safetensors")
    loaded = load_model(tmp_path / "a.safetensors", arch)
    x = torch.rand(3, *shape)
    assert torch.equal(loaded.model(x), made(x))
    with pytest.raises(Invalid, match=f"a.safetensors fits {arch}$"):
        load_model(tmp_path / "a.safetensors")


def test_the_radius_is_inferred() -> None:
    for arch, size in STEMMED.items():
        options = {**size, "stem": 0.3}
        assert infer(arch, build(arch, SHAPE, 5, options).state_dict()) == options


def test_half_precision_files_keep_the_radius(tmp_path: Path) -> None:
    state = conv_small(SHAPE, 5, width=2, stem=0.05).state_dict()
    torch.save({k: v.half() for k, v in state.items()}, tmp_path / "a.pt")
    loaded = load_model(tmp_path / "a.pt", "conv-small", SHAPE)
    assert isinstance(loaded.model, nn.Module)
    assert torch.equal(loaded.model.state_dict()["stem.eps"], torch.tensor(0.05))


@pytest.mark.parametrize("in_file", [True, False])
def test_a_stem_on_one_side_only_is_a_mismatch(tmp_path: Path, in_file: bool) -> None:
    nets = [conv_small(SHAPE, 5, width=2, stem=stem) for stem in (0.3, None)]
    save_file(nets[not in_file].state_dict(), tmp_path / "model.safetensors")
    options = {"width": 2} if in_file else {"width": 2, "stem": 0.3}
    card = {"arch": "conv-small", "shape": SHAPE, "classes": 5, "options": options}
    (tmp_path / "model.json").write_text(json.dumps(card))
    with pytest.raises(BadData, match=f": {'unexpected' if in_file else 'missing'} stem.eps"):
        load_model(tmp_path)


def test_files_that_fit_another_net_or_none(tmp_path: Path) -> None:
    state = conv_small(SHAPE, 5, stem=0.3).state_dict()
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(BadData, match=r"does not fit resnet9 .*; it fits --arch conv-small$"):
        load_model(tmp_path / "a.safetensors", "resnet9", SHAPE, 5)
    save_file({**state, "stem.eps": torch.rand(3)}, tmp_path / "b.safetensors")
    with pytest.raises(BadData, match=r"unexpected stem.eps"):
        load_model(tmp_path / "b.safetensors", "conv-small", SHAPE)


@pytest.mark.parametrize("value", [0.5, -1.0, float("nan"), float("inf"), 65504.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_files_with_a_radius_that_cannot_be(
    tmp_path: Path, value: float, dtype: torch.dtype
) -> None:
    state = conv_small(SHAPE, 5, width=2, stem=0.3).state_dict()
    state["stem.eps"] = torch.tensor(value, dtype=dtype)
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(BadData, match=r"stem.eps is .* in the weights, must be in \[0, 0.5\)"):
        load_model(tmp_path / "model.safetensors", "conv-small", SHAPE)
    card = {"arch": "conv-small", "shape": SHAPE, "classes": 5, "options": dict(stem=0.3, width=2)}
    (tmp_path / "model.json").write_text(json.dumps(card))
    with pytest.raises(BadData, match=r"stem.eps = .*: must be a number in \[0, 0.5\)"):
        load_model(tmp_path)


def test_conv_medium_has_its_layout() -> None:
    sizes = {k: tuple(v.shape) for k, v in conv_medium().state_dict().items() if v.dim() > 1}
    assert sizes == {
        "0.weight": (32, 1, 5, 5),
        "2.weight": (64, 32, 5, 5),
        "5.weight": (512, 3136),
        "7.weight": (10, 512),
    }
    assert conv_medium((3, 9, 13), 4, width=1)(torch.rand(2, 3, 9, 13)).shape == (2, 4)


def linear(stem: nn.Module, x: Tensor, reach: float) -> tuple[nn.Module, Tensor]:
    """Return two classes that differ by w · phi(x) - b, and the exact worst margin of class 0.

    phi is monotone, so the worst pixel lies at the end of its interval where w points.
    """
    w = torch.linspace(-1.0, 2.0, x.shape[1])
    layer = nn.Linear(x.shape[1], 2)
    with torch.no_grad():
        layer.weight.copy_(torch.stack([torch.zeros_like(w), w]))
        layer.bias.copy_(torch.tensor([0.0, -9.5]))
    worst = phi((x + reach * w.sign()).clamp(0, 1), 0.3) @ w - 9.5
    return nn.Sequential(stem, layer), worst


def test_attacks_are_not_stalled_by_saturated_pixels() -> None:
    torch.manual_seed(0)
    side = torch.rand(40, 24) < 0.4  # all pixels saturated, each within reach of the ramp
    x = torch.where(side, 0.75, 0.25) + 0.04 * torch.rand(40, 24)
    y = torch.zeros(40, dtype=torch.long)
    net, worst = linear(ThresholdStem(0.3), x, 0.3)
    masked, _ = linear(Clamp(), x, 0.3)
    attack = PGD(steps=5, start="clean")
    found = search(attack, net, x, y, Linf(eps=0.3))
    stalled = search(attack, masked, x, y, Linf(eps=0.3))
    assert worst.abs().min() > 1e-4  # no sample is decided by rounding
    assert int((worst > 0).sum() - (found.clean_margin > 0).sum()) > 5
    assert torch.equal(found.broken, worst > 0)
    assert torch.equal(stalled.broken, stalled.clean_margin > 0)  # not one break by the attack
    assert bool((stalled.zero_gradient > 0)[~stalled.broken].all())
    assert not found.zero_gradient.any()


def test_random_starts_find_the_optimum_through_the_stem() -> None:
    torch.manual_seed(1)
    x, y = torch.rand(60, 24), torch.zeros(60, dtype=torch.long)
    net, worst = linear(ThresholdStem(0.3), x, 0.15)
    masked, _ = linear(Clamp(), x, 0.15)
    found = search(PGD(steps=5), net, x, y, Linf(eps=0.15))
    other = search(PGD(steps=5), masked, x, y, Linf(eps=0.15))
    assert worst.abs().min() > 1e-4
    assert torch.equal(found.broken, worst > 0)
    assert int(found.broken.sum()) >= int(other.broken.sum()) > 0


def test_an_adversary_of_the_stems_radius_is_powerless_on_binary_inputs() -> None:
    torch.manual_seed(2)
    x = (torch.rand(20, 24) < 0.5).float()
    net, _ = linear(ThresholdStem(0.3), x, 0.3)
    y = net(x).argmax(1)
    found = search(PGD(steps=5), net, x, y, Linf(eps=0.3), early_stop=False)
    assert not found.broken.any()
    assert torch.equal(net(found.x_adv), net(x))
    assert search(PGD(steps=5), net, x, y, Linf(eps=0.45)).broken.any()
