"""Reference nets: layouts, sizes, normalisation; names and factories of one's own."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from saddlepoint.core.errors import Invalid
from saddlepoint.models import (
    ARCHITECTURES,
    Normalize,
    build,
    conv_small,
    madry_mnist,
    mlp,
    preact_resnet18,
    resnet9,
)

TINY: dict[str, dict[str, Any]] = {
    "conv-small": {"width": 4},
    "conv-medium": {"width": 2},
    "madry-mnist": {"width": 2},
    "resnet9": {"width": 2},
    "preact-resnet18": {"width": 2},
    "mlp": {"hidden": [4]},
}


def test_there_is_a_tiny_one_of_each() -> None:
    assert TINY.keys() == ARCHITECTURES.keys()


@pytest.mark.parametrize("arch", TINY)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (2, 9, 13)])
@pytest.mark.parametrize("classes", [2, 10])
def test_every_net_takes_every_image(arch: str, shape: tuple[int, ...], classes: int) -> None:
    torch.manual_seed(0)
    model = build(arch, shape, classes, TINY[arch]).eval()
    x = torch.rand(3, *shape, requires_grad=True)
    out = model(x)
    assert out.shape == (3, classes)
    (g,) = torch.autograd.grad(out.sum(), x)
    assert g.isfinite().all()
    assert g.abs().sum() > 0
    torch.testing.assert_close(model(x[1:2]), out[1:2])  # rows do not depend on each other


@pytest.mark.parametrize("arch", TINY)
def test_normalisation_is_a_layer_that_renames_nothing(arch: str) -> None:
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    bare = build(arch, (3, 16, 16), 5, TINY[arch]).eval()
    model = build(arch, (3, 16, 16), 5, {**TINY[arch], "mean": mean, "std": std}).eval()
    extra = {"normalize.mean", "normalize.std"}
    assert model.state_dict().keys() - bare.state_dict().keys() == extra
    model.load_state_dict(bare.state_dict(), strict=False)
    x = torch.rand(2, 3, 16, 16)
    normal = (x - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(model(x), bare(normal))


def test_conv_small_has_the_published_layout() -> None:
    sizes = {k: tuple(v.shape) for k, v in conv_small().state_dict().items()}
    assert sizes == {
        "0.weight": (16, 1, 4, 4),
        "0.bias": (16,),
        "2.weight": (32, 16, 4, 4),
        "2.bias": (32,),
        "5.weight": (100, 1568),
        "5.bias": (100,),
        "7.weight": (10, 100),
        "7.bias": (10,),
    }


def test_tables_are_taken_by_the_mlp() -> None:
    model = mlp(shape=(13,), classes=3, hidden=(), mean=[0.5] * 13, std=[2.0] * 13)
    assert model(torch.rand(4, 13)).shape == (4, 3)


def test_images_are_halved_thrice_by_the_residual_nets() -> None:
    x = torch.rand(1, 3, 32, 32)
    assert resnet9(width=1).layer3(torch.rand(1, 4, 8, 8)).shape == (1, 8, 4, 4)
    net = preact_resnet18(width=1)
    assert net.layer4(net.layer3(net.layer2(net.layer1(net.conv1(x))))).shape == (1, 8, 4, 4)


def test_normalize_keeps_its_numbers_as_buffers() -> None:
    layer = Normalize([0.5, 0.25], [0.5, 1.0])
    assert [k for k, _ in layer.named_buffers()] == ["mean", "std"]
    assert not list(layer.parameters())
    assert repr(layer) == "Normalize(mean=[0.5, 0.25], std=[0.5, 1.0])"
    x = torch.rand(2, 2, 3, 3).to(memory_format=torch.channels_last)
    assert torch.equal(layer(x)[:, 0], (x[:, 0] - 0.5) / 0.5)
    assert Normalize([0.5], [1.0], rank=2)(torch.ones(3, 1)).tolist() == [[0.5]] * 3


@pytest.mark.parametrize(
    ("mean", "std", "rank", "message"),
    [
        ([], [], 4, r"mean = \[\]: must be finite numbers"),
        ([float("nan")], [1.0], 4, r"mean = \[nan\]"),
        ([0.5], [1.0, 1.0], 4, r"std = \[1.0, 1.0\]: must be 1 numbers"),
        ([0.5], [0.0], 4, r"std = \[0.0\]: must be finite numbers above 0"),
        ([0.5], [-1.0], 4, r"std = \[-1.0\]: must be finite numbers above 0"),
        ([0.5], [float("inf")], 4, r"std = \[inf\]"),
        ([0.5], [1.0], 1, r"rank = 1: must be 2"),
    ],
)
def test_normalize_refuses(mean: list[float], std: list[float], rank: int, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        Normalize(mean, std, rank)


@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (2, 3, 4), (3, 4, 4)])
def test_normalize_refuses_inputs_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(Invalid, match=r"x.shape = .*: must be \(B, 3, H, W\)"):
        Normalize([0.5] * 3, [1.0] * 3)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("arch", "given", "message"),
    [
        ("resnet-9", {}, "arch = 'resnet-9': must be a known architecture.*did you mean resnet9"),
        ("CONV-SMALL", {}, "did you mean conv-small"),
        ("conv-small", {"shape": (13,)}, r"shape = \(13,\): must be \(C, H, W\).*mlp takes inputs"),
        ("conv-small", {"shape": (1, 2, 9)}, "at least 4 for conv-small"),
        ("resnet9", {"shape": (3, 7, 8)}, "at least 8 for resnet9"),
        ("mlp", {"shape": ()}, r"shape = \(\): must be the shape of one sample"),
        ("mlp", {"classes": 1}, "classes = 1: must be 2 or more"),
        ("resnet9", {"options": {"widht": 2}}, "option = 'widht'.*did you mean width"),
        ("resnet9", {"options": {"shape": 2}}, "option = 'shape': must be an option of resnet9"),
        ("resnet9", {"options": {"width": 0}}, r"width = 0: must be in \[1, 65536\]"),
        ("resnet9", {"options": {"width": "2"}}, "width = '2': must be a whole number"),
        ("resnet9", {"options": {"width": True}}, "width = True: must be a whole number"),
        ("mlp", {"options": {"hidden": 3}}, "hidden = 3: must be a list of numbers"),
        ("mlp", {"options": {"mean": ["a"]}}, r"mean = \['a'\]: must be a list of numbers"),
    ],
)
def test_what_cannot_be_built(arch: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        build(arch, **given)


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ("mynet", "a function of mynet.py is written mynet:its_name"),
        ("mynet.py", "a function of mynet.py is written mynet:its_name"),
        ("mynet.small", "a function of mynet.py is written mynet:small"),
        ("mynet.py:small", "without .py: mynet:small"),
    ],
)
def test_a_file_of_ones_own_is_told_how_to_be_named(
    arch: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mynet.py").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Invalid, match=message):
        build(arch)


FACTORIES = """
import torch
from torch import nn

def both(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))

def anything(**options):
    return nn.Linear(len(options), options["width"])

def nothing():
    return nn.Identity()

class Own(nn.Module):
    def __init__(self, classes=7):
        super().__init__()
        self.layer = nn.Linear(2, classes)

ready = nn.Linear(3, 4)
number = 3

def text():
    return "a model"

def broken(shape):
    raise RuntimeError("no weights today")

class Nest:
    inner = nothing
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with modules of one's own."""
    (tmp_path / "my_nets_for_test.py").write_text(FACTORIES)
    (tmp_path / "fails_for_test.py").write_text("import no_such_package_at_all")
    (tmp_path / "raises_for_test.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "rows"), [("both", 5), ("anything", 9), ("nothing", None), ("Own", 5), ("ready", 4)]
)
def test_factories_get_what_their_signature_takes(folder: Path, name: str, rows: int) -> None:
    options = {"width": 9} if name == "anything" else {}
    model = build(f"my_nets_for_test:{name}", (1, 2, 3), 5, options)
    assert isinstance(model, nn.Module)
    last = [p for p in model.parameters() if p.dim() == 2]
    assert (last[-1].shape[0] if last else None) == rows


def test_the_path_of_modules_is_left_as_it_was(folder: Path) -> None:
    import sys

    before = list(sys.path)
    build("my_nets_for_test:Nest.inner")
    assert sys.path == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "no_such_module_at_all:net",
            "there is no module no_such_module_at_all, which is not inst",
        ),
        ("json.nothing.here:net", "there is no module json.nothing"),
        ("fails_for_test:net", "it imports no_such_package_at_all, which is not installed"),
        ("raises_for_test:net", "importing it raised ZeroDivisionError"),
        ("my_nets_for_test:missing", "my_nets_for_test has no missing; it has torch, nn, both"),
        ("my_nets_for_test:number", "must be a function or class; it is a int"),
        (
            "my_nets_for_test:text",
            "must be a factory of torch.nn.Module, or of another model; it returned a str",
        ),
        ("my_nets_for_test:broken", "calling it raised RuntimeError: no weights today"),
    ],
)
def test_factories_that_do_not_work(folder: Path, name: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        build(name, (1, 2, 3), 5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_maxima_before_the_relus_are_the_net_of_the_paper_bit_for_bit(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    net = madry_mnist((1, 12, 12), 5, width=4)
    paper = nn.Sequential(*(net[i] for i in (0, 2, 1, 3, 5, 4, 6, 7, 8, 9)))
    assert [type(layer) for layer in paper[:3]] == [nn.Conv2d, nn.ReLU, nn.MaxPool2d]
    x = torch.rand(16, 1, 12, 12).round(decimals=1).requires_grad_()

    def passes(model: nn.Module) -> list[torch.Tensor]:
        with torch.autocast("cpu", dtype=dtype, enabled=dtype is not torch.float32):
            out = model(x)
        loss = out.float().logsumexp(1).sum()
        return [out, *torch.autograd.grad(loss, [x, *net.parameters()])]

    for a, b in zip(passes(net), passes(paper), strict=True):
        assert torch.equal(a, b)
