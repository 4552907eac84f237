"""Whole ONNX models against the torch modules they were made from, and hostile files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from graphs import normal, save, single
from onnx import TensorProto
from torch import nn

from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.models import build, conv_small, load_model
from saddlepoint.models.onnx.convert import convert
from saddlepoint.models.onnx.file import read_onnx
from saddlepoint.models.onnx.session import OnnxScores


def ints(*values: int) -> Any:  # noqa: ANN401
    return np.array(values, dtype=np.int64)


def conv_net(path: Path, batch: int | str = "n") -> nn.Sequential:
    """Write a conv-small as ONNX, with its batch baked into a reshape as exporters do."""
    torch.manual_seed(0)
    model = conv_small(shape=(1, 8, 8), width=4).eval()
    same = {"strides": [2, 2], "pads": [1, 1, 1, 1]}
    nodes: list[Any] = [
        ("Conv", ["x", "0.weight", "0.bias"], "a", same),
        ("Relu", ["a"], "b", {}),
        ("Conv", ["b", "2.weight", "2.bias"], "c", same),
        ("Relu", ["c"], "d", {}),
        ("Reshape", ["d", "flat"], "e", {}),
        ("Gemm", ["e", "5.weight", "5.bias"], "f", {"transB": 1}),
        ("Relu", ["f"], "g", {}),
        ("Gemm", ["g", "7.weight", "7.bias"], "y", {"transB": 1}),
    ]
    flat = ints(batch, -1) if isinstance(batch, int) else ints(-1, 32)
    constants = {k: v.numpy() for k, v in model.state_dict().items()}
    save(path, nodes, {**constants, "flat": flat}, (batch, 1, 8, 8))
    return model


def input_gradient(model: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    x = x.clone().requires_grad_()
    (g,) = torch.autograd.grad(model(x).logsumexp(1).sum(), x)
    return g


@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_a_conv_net_has_the_outputs_and_gradients_of_its_original(
    tmp_path: Path, batch: int | str
) -> None:
    original = conv_net(tmp_path / "net.onnx", batch)
    loaded = load_model(tmp_path / "net.onnx", shape=(1, 8, 8), classes=10)
    assert (loaded.access, loaded.note, loaded.name) == ("gradients", "", "net")
    assert (loaded.shape, loaded.classes, loaded.arch) == ((1, 8, 8), 10, "onnx")
    assert isinstance(loaded.model, nn.Module)
    assert not loaded.model.training
    x = torch.rand(7, 1, 8, 8)
    torch.testing.assert_close(loaded.model(x), original(x))
    torch.testing.assert_close(input_gradient(loaded.model, x), input_gradient(original, x))
    assert len(list(loaded.model.parameters())) == 8


def test_a_residual_net_with_batch_norm(tmp_path: Path) -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
    norm(torch.rand(8, 3, 6, 6))  # moves the running statistics
    norm.eval()
    held = {f"conv.{k}": v.numpy() for k, v in conv.state_dict().items()}
    held |= {f"norm.{k}": v.numpy() for k, v in norm.state_dict().items() if v.dim()}
    statistics = ["norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"]
    nodes: list[Any] = [
        ("Conv", ["x", "conv.weight", "conv.bias"], "a", {"pads": [1, 1, 1, 1]}),
        ("BatchNormalization", ["a", *statistics], "b", {}),
        ("Relu", ["b"], "c", {}),
        ("Add", ["c", "x"], "d", {}),
        ("ReduceMean", ["d"], "y", {"axes": [2, 3], "keepdims": 0}),
    ]
    loaded = load_model(save(tmp_path / "r.onnx", nodes, held, ("n", 3, 6, 6)))
    x = torch.rand(4, 3, 6, 6)
    with torch.no_grad():
        expected = (norm(conv(x)).relu() + x).mean((2, 3))
    torch.testing.assert_close(loaded.model(x), expected)
    assert isinstance(loaded.model, nn.Module)
    assert {n.partition("_")[2] for n, _ in loaded.model.named_buffers()} == {
        "norm_running_mean",
        "norm_running_var",
    }


SLOW = {("attention", True)}  # heads and batch share an axis: only one sample at a time is safe


class Attention(nn.Module):
    """Patches, group norm, a transformer layer: what exporters turn into many small operators."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.norm = nn.GroupNorm(2, 8)
        self.place = nn.Parameter(torch.randn(1, 4, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")
        self.layer, self.head = layer, nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.norm(self.patches(x)).flatten(2).transpose(1, 2) + self.place
        out: torch.Tensor = self.head(self.layer(tokens).mean(1))
        return out


@pytest.mark.filterwarnings("ignore")  # the exporter's own, about what it cannot trace
@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("name", ["resnet9", "preact-resnet18", "madry-mnist", "attention"])
def test_what_torch_exports(tmp_path: Path, name: str, fixed: bool) -> None:
    torch.manual_seed(0)
    given = {"width": 2, "mean": [0.5] * 3, "std": [0.25] * 3}
    original = Attention() if name == "attention" else build(name, (3, 8, 8), 5, given)
    original.eval()
    axes = None if fixed else {"x": {0: "n"}, "y": {0: "n"}}
    path = tmp_path / "e.onnx"
    try:
        torch.onnx.export(
            original,
            (torch.rand(1, 3, 8, 8),),
            path,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes=axes,
            dynamo=False,
        )
    except (ImportError, TypeError) as error:  # the exporter that needs no further package left
        pytest.skip(f"torch.onnx.export: {error}")
    loaded = load_model(path)
    assert (loaded.access, loaded.classes) == ("gradients", 5)
    assert loaded.note.startswith("slow: the file fixes" if (name, fixed) in SLOW else "")
    assert bool(loaded.note) == ((name, fixed) in SLOW)
    x = torch.rand(3, 3, 8, 8)
    torch.testing.assert_close(loaded.model(x), original(x), rtol=1e-4, atol=1e-5)
    expected = input_gradient(original, x)
    torch.testing.assert_close(input_gradient(loaded.model, x), expected, rtol=1e-3, atol=1e-5)


def test_constants_are_folded(tmp_path: Path) -> None:
    nodes: list[Any] = [
        ("Transpose", ["w"], "t", {}),
        ("Mul", ["t", "two"], "t2", {}),
        ("MatMul", ["x", "t2"], "y", {}),
    ]
    held = {"w": normal(2, 5), "two": np.array(2.0, np.float32)}
    module = convert(read_onnx(save(tmp_path / "m.onnx", nodes, held, ("n", 5))))
    assert [n.op for n in module.graph.nodes] == [
        "placeholder",
        "get_attr",
        "call_function",
        "output",
    ]
    x = torch.rand(3, 5)
    torch.testing.assert_close(module(x), x @ torch.from_numpy(held["w"]).T * 2)


def test_double_precision(tmp_path: Path) -> None:
    nodes: list[Any] = [("MatMul", ["x", "w"], "y", {})]
    double = TensorProto.DOUBLE
    held = {"w": normal(5, 2).astype(np.float64)}
    path = save(tmp_path / "m.onnx", nodes, held, ("n", 5), kind=double, out=double)
    loaded = load_model(path)
    assert loaded.access == "gradients"
    assert input_gradient(loaded.model, torch.rand(3, 5)).shape == (3, 5)


def test_a_batch_baked_in_is_served_in_pieces(tmp_path: Path) -> None:
    original = conv_net(tmp_path / "net.onnx", 4)
    scores = OnnxScores((tmp_path / "net.onnx").read_bytes(), tmp_path / "net.onnx")
    assert scores.batch == 4
    for n in (1, 4, 6, 9):
        x = torch.rand(n, 1, 8, 8)
        torch.testing.assert_close(scores(x), original(x).detach())


def test_a_file_that_lies_about_its_batch_is_run_one_by_one(tmp_path: Path) -> None:
    nodes: list[Any] = [("Reshape", ["x", "s"], "a", {}), ("MatMul", ["a", "w"], "y", {})]
    held = {"s": ints(1, 12), "w": normal(12, 3)}
    loaded = load_model(save(tmp_path / "m.onnx", nodes, held, ("n", 3, 4)))
    assert loaded.access == "gradients"
    assert "slow: the file fixes the batch size, so 1 at a time" in loaded.note
    x = torch.rand(5, 3, 4)
    torch.testing.assert_close(loaded.model(x), x.flatten(1) @ torch.from_numpy(held["w"]))


def test_disagreement_falls_back_to_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from saddlepoint.models.onnx.operators import OPERATORS

    monkeypatch.setitem(OPERATORS, "Relu", torch.tanh)
    found = load_model(single(tmp_path / "m.onnx", "Relu"), shape=(3, 6, 6))
    assert found.access == "scores"
    assert "differs from onnxruntime on a batch of 1" in found.note
    monkeypatch.setitem(OPERATORS, "Relu", torch.flatten)
    found = load_model(single(tmp_path / "m.onnx", "Relu"), shape=(3, 6, 6))
    assert "the converted graph returns (108,), onnxruntime (1, 3, 6, 6)" in found.note


def test_a_gradient_that_does_not_reach_the_input(tmp_path: Path) -> None:
    nodes: list[Any] = [("Cast", ["x"], "a", {"to": 7}), ("Cast", ["a"], "y", {"to": 1})]
    found = load_model(save(tmp_path / "m.onnx", nodes, {}, ("n", 5)))
    assert found.access == "scores"
    assert "does not require grad" in found.note


def test_an_open_input_size_needs_the_shape(tmp_path: Path) -> None:
    path = single(tmp_path / "m.onnx", "GlobalAveragePool", shape=("n", 3, "h", "w"))
    found = load_model(path)
    assert found.access == "scores"
    assert "pass shape=(C, H, W)" in found.note
    assert load_model(path, shape=(3, 5, 5)).access == "gradients"


def test_a_shape_or_number_of_classes_that_is_not_the_models(tmp_path: Path) -> None:
    conv_net(tmp_path / "net.onnx")
    with pytest.raises(BadData, match=r"the model has shape \(1, 8, 8\), but the data has \(1, 28"):
        load_model(tmp_path / "net.onnx", shape=(1, 28, 28))
    with pytest.raises(BadData, match="the model has classes 10, but the data has 3"):
        load_model(tmp_path / "net.onnx", classes=3)
    with pytest.raises(Invalid, match="arch = 'mlp': must be left out"):
        load_model(tmp_path / "net.onnx", arch="mlp")
