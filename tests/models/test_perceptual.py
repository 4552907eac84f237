"""Distances by a network's activations, and the files that they come from."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from saddlepoint.audit.membership.feature import feature_distance
from saddlepoint.core.door import state_hash
from saddlepoint.core.errors import BadData, Invalid, Unsupported
from saddlepoint.models import conv_small
from saddlepoint.models.perceptual import FLOOR, Perceptual, load_perceptual
from saddlepoint.models.stacks import STACKS, tapped
from saddlepoint.models.taps import layer_names, taps


def images(n: int = 3, side: int = 8, channels: int = 1) -> Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "net"
    path.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = conv_small((1, 8, 8))
    save_file(net.state_dict(), path / "model.safetensors")
    card = '{"arch": "conv-small", "shape": [1, 8, 8], "classes": 10}'
    (path / "model.json").write_text(card)
    return path


def test_by_hand() -> None:
    """Two channels at two places: directions (1, 0), (0, 1) against (0, 1), (0, 1)."""
    seen = Perceptual(nn.Sequential(nn.ReLU()))
    x = torch.tensor([[[[3.0, 0.0]], [[0.0, 2.0]]]], dtype=torch.float64)
    y = torch.tensor([[[[0.0, 0.0]], [[5.0, 1.0]]]], dtype=torch.float64)
    # The first place moves by sqrt 2, the other not at all; the mean of squares is 1.
    torch.testing.assert_close(seen.distance(x, y), torch.ones(1, dtype=torch.float64))
    half = Perceptual(nn.Sequential(nn.ReLU()), weights=[torch.tensor([0.5, 0.0])])
    want = torch.tensor([0.5], dtype=torch.float64)
    torch.testing.assert_close(half.distance(x, y), want)
    assert half.largest == pytest.approx(2 * 0.5**0.5)


def test_the_distance_is_a_metric_and_bounded() -> None:
    seen = Perceptual(conv_small((1, 8, 8)))
    a, b, c = (x.double() for x in (images(), images().flip(0), 1 - images()))
    assert torch.equal(seen.distance(a, a), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(seen.distance(a, b), seen.distance(b, a))
    assert bool((seen.distance(a, c) <= seen.distance(a, b) + seen.distance(b, c)).all())
    assert float(seen.distance(a, c).max()) < seen.largest == 2 * 3**0.5


@pytest.mark.parametrize("weighted", [False, True])
def test_numpy_agrees(weighted: bool) -> None:
    net = conv_small((1, 8, 8))
    w = [torch.rand(16), torch.rand(32), torch.rand(100)] if weighted else None
    seen, x, y = Perceptual(net, weights=w), images().double(), 1 - images().double()
    got = feature_distance(seen, x.numpy(), y.numpy())
    torch.testing.assert_close(torch.from_numpy(got), seen.distance(x, y))


def test_silence_is_no_direction() -> None:
    seen = Perceptual(nn.Sequential(nn.ReLU()))
    x = torch.zeros(1, 2, 1, 1, dtype=torch.float64).requires_grad_()
    y = x + torch.tensor([1e-9, 0.0]).view(1, 2, 1, 1)
    assert 0 < float(seen.distance(x, y).detach()) < 1e-9 / FLOOR**0.5 * 1.01
    (g,) = torch.autograd.grad(seen.features(x).sum(), x)
    assert bool(g.isfinite().all())


def test_the_users_network_is_left_alone_and_kept_as_it_was() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5)).train()
    before = state_hash(net)
    seen, x = Perceptual(net), images()
    first = seen.features(x)
    assert net.training
    assert net[0].weight.requires_grad
    assert state_hash(net) == before
    assert not any(m._forward_hooks for m in net.modules())
    with torch.no_grad():
        net[0].weight.zero_()
    assert torch.equal(seen.features(x), first)
    assert seen.sha256 == before[:16]


def test_a_layer_that_works_in_place_changes_nothing() -> None:
    conv = nn.Conv2d(1, 4, 3)
    a = Perceptual(nn.Sequential(conv, nn.ReLU()), layers=["0"])
    b = Perceptual(nn.Sequential(conv, nn.ReLU(inplace=True)), layers=["0"])
    torch.testing.assert_close(a.features(images()), b.features(images()))


def test_a_layer_that_runs_twice_gives_two_outputs() -> None:
    relu = nn.ReLU()
    net = nn.Sequential(nn.Conv2d(1, 4, 3), relu, nn.Conv2d(4, 2, 3), relu)
    names, read = taps(net, ("1",))
    assert names == ("1",)
    assert [t.shape[1] for t in read(net, images())] == [4, 2]


def test_a_graph_is_cut_after_its_last_tapped_operation() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    graph = torch.fx.symbolic_trace(net)
    assert layer_names(graph) == ("_0", "_1", "_2", "_3")
    torch.testing.assert_close(
        Perceptual(graph).features(images()), Perceptual(net).features(images())
    )
    _, read = taps(graph, ("_1",))
    assert "_3" not in [n.name for n in read.graph.nodes]  # type: ignore[attr-defined]


def test_from_a_folder_and_from_a_file(folder: Path) -> None:
    a = load_perceptual(str(folder))
    assert repr(a) == repr(str(folder))
    assert a.layers == ("1", "3", "6")
    assert a.shape == (1, 8, 8)
    save_file(conv_small(width=2).state_dict(), folder / "alone.safetensors")
    b = load_perceptual(str(folder / "alone.safetensors"), arch="conv-small")
    assert b.features(images(side=28)).shape == (3, 2 * 14 * 14 + 4 * 7 * 7 + 100)
    assert load_perceptual(str(folder), layers=("3",)).features(images()).shape == (3, 32 * 4)


def test_from_onnx(folder: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    w = torch.rand(4, 1, 3, 3, generator=torch.Generator().manual_seed(1)) - 0.5
    nodes = [
        onnx.helper.make_node("Conv", ["x", "w"], ["h"]),
        onnx.helper.make_node("Relu", ["h"], ["a"]),
        onnx.helper.make_node("Flatten", ["a"], ["y"]),
    ]
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "net",
        [onnx.helper.make_tensor_value_info("x", kind, ["n", 1, 8, 8])],
        [onnx.helper.make_tensor_value_info("y", kind, ["n", 144])],
        [onnx.numpy_helper.from_array(w.numpy(), "w")],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "n.onnx")
    seen = load_perceptual(str(tmp_path / "n.onnx"))
    conv = nn.Conv2d(1, 4, 3, bias=False)
    conv.weight.data = w
    same = Perceptual(nn.Sequential(conv, nn.ReLU()))
    torch.testing.assert_close(seen.features(images()), same.features(images()))


def narrow(arch: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Replace a stack by one of the same layers with a few channels, and return a state for it."""
    whole = STACKS[arch]()

    def few(channels: int) -> int:
        return 3 if channels == 3 else max(2, channels // 64)

    def layers() -> list[nn.Module]:
        made: list[nn.Module] = []
        for m in whole:
            if not isinstance(m, nn.Conv2d):
                made.append(m)
                continue
            size = {"kernel_size": m.kernel_size, "stride": m.stride, "padding": m.padding}
            made.append(nn.Conv2d(few(m.in_channels), few(m.out_channels), **size))  # type: ignore[arg-type]
        return made

    monkeypatch.setitem(STACKS, arch, layers)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of some nets nearly all is silent, and the floor of lengths shows
        state = nn.Sequential(*layers()).state_dict()
    return {f"features.{k}": v for k, v in state.items()}


@pytest.mark.parametrize(("arch", "count"), [("vgg16", 13), ("alexnet", 5)])
def test_the_stacks_have_the_published_layers(arch: str, count: int) -> None:
    with torch.device("meta"):
        layers = STACKS[arch]()
    assert sum(isinstance(m, nn.Conv2d) for m in layers) == count
    for name in tapped(arch):
        assert isinstance(layers[int(name.partition(".")[2])], nn.ReLU)
    size = sum(p.numel() for m in layers for p in m.parameters())
    assert size == {"vgg16": 14_714_688, "alexnet": 2_469_696}[arch]


@pytest.mark.parametrize(("arch", "side"), [("vgg16", 16), ("alexnet", 40)])
def test_torchvisions_weights_without_torchvision(
    arch: str, side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    state = narrow(arch, monkeypatch)
    torch.save({**state, "classifier.0.weight": torch.zeros(2, 2)}, tmp_path / "w.pth")
    seen = load_perceptual(str(tmp_path / "w.pth"), arch=arch)
    assert seen.layers == tapped(arch)
    x = images(2, side, 3)
    drawn = torch.Generator().manual_seed(1)
    weights = [torch.rand(1, a.shape[1], 1, 1, generator=drawn) for a in seen.activations(x)]
    linear = {f"lin{i}.model.1.weight": w for i, w in enumerate(weights)}
    save_file(linear, tmp_path / "lin.safetensors")
    lpips = load_perceptual(
        str(tmp_path / "w.pth"), arch=arch, weights=str(tmp_path / "lin.safetensors")
    )
    y = 1 - x
    want = torch.zeros(2)
    for w, a, b in zip(weights, seen.activations(x), seen.activations(y), strict=True):
        gap = (a / (a.norm(dim=1, keepdim=True) + 1e-10)) - (
            b / (b.norm(dim=1, keepdim=True) + 1e-10)
        )
        want = want + (w * gap.square()).sum(1).mean((1, 2))
    torch.testing.assert_close(lpips.distance(x, y).square(), want, rtol=1e-3, atol=1e-5)
    with pytest.raises(Invalid, match="a size that the feature network"):
        seen.features(images(2, 4, 3))


def test_stacks_that_do_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = narrow("vgg16", monkeypatch)
    save_file(
        {k: v for k, v in state.items() if k != "features.5.bias"}, tmp_path / "a.safetensors"
    )
    with pytest.raises(BadData, match=r"features\.5\.bias is missing"):
        load_perceptual(str(tmp_path / "a.safetensors"), arch="vgg16")
    save_file({**state, "features.0.bias": torch.zeros(9)}, tmp_path / "b.safetensors")
    with pytest.raises(BadData, match=r"features\.0\.bias has shape \(9,\)"):
        load_perceptual(str(tmp_path / "b.safetensors"), arch="vgg16")
    with pytest.raises(BadData, match="no such file"):
        load_perceptual(str(tmp_path / "c.safetensors"), arch="vgg16")


class Bare(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.relu()


class Pairs(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Perceptual(Bare()), Unsupported, "Bare has no layers to look into"),
        (lambda: Perceptual(conv_small(), ["rleu"]), Invalid, "known: 0, 1, 2, 3, 4, 5, 6, 7"),
        (lambda: Perceptual(conv_small(), []), Invalid, "layers"),
        (lambda: Perceptual(nn.Sequential(nn.Conv2d(1, 2, 3))), Invalid, "no activation"),
        (lambda: load_perceptual("os:getcwd"), Invalid, "never code"),
        (lambda: load_perceptual("x", arch="torch.nn:Identity"), Invalid, "never code"),
        (lambda: load_perceptual("x", arch="vgg61"), Invalid, "vgg16"),
        (lambda: load_perceptual("nowhere/net"), BadData, "no such file or folder"),
        (lambda: Perceptual(conv_small(), weights=[torch.ones(3)]), Invalid, "3 layers"),
        (
            lambda: Perceptual(conv_small(), ["1"], weights=[-torch.ones(16)]),
            Invalid,
            "finite numbers >= 0",
        ),
    ],
)
def test_bad_networks(make: object, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()  # type: ignore[operator]


def test_bad_inputs() -> None:
    seen = Perceptual(conv_small((1, 8, 8)), shape=(1, 8, 8))
    with pytest.raises(Invalid, match=r"\(1, 28, 28\).*\(1, 8, 8\), the input of the feature"):
        seen.features(images(2, 28))
    with pytest.raises(Invalid, match="a size that the feature network"):
        Perceptual(conv_small((1, 8, 8))).features(images(2, 12))
    with pytest.raises(Invalid, match="return a tensor"):
        Perceptual(nn.Sequential(Pairs(), nn.Identity()), ["0"]).features(images())
    with pytest.raises(Invalid, match="16 numbers for layer 1"):
        Perceptual(conv_small((1, 8, 8)), ["1"], [torch.ones(3)]).features(images())


def test_activations_that_are_not_finite_name_their_layer() -> None:
    net = conv_small((1, 8, 8))
    with torch.no_grad():
        net[2].weight[0] = float("nan")
    with pytest.raises(Invalid, match="those of layer 3 are not"):
        Perceptual(net).check(images())
