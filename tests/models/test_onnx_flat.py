"""Networks as the VNN competition publishes them: the converted module against ONNX Runtime."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from graphs import normal, save
from onnx import TensorProto, helper, numpy_helper

from saddlepoint.core.errors import BadData, Unsupported
from saddlepoint.models.onnx.flat import load_flat


def ints(*values: int) -> Any:  # noqa: ANN401
    return np.array(values, dtype=np.int64)


def dense(inner: int, out: int, seed: int) -> dict[str, Any]:
    scale = np.float32(inner**-0.5)
    return {f"w{seed}": normal(inner, out, seed=seed) * scale, f"b{seed}": normal(out, seed=seed)}


def mlp(sizes: tuple[int, ...], x: str, op: str = "MatMul") -> tuple[list[Any], dict[str, Any]]:
    """Layers of MatMul, Add, Relu (or Gemm, Relu) from ``x`` to ``y``."""
    nodes: list[Any] = []
    held: dict[str, Any] = {}
    for i, (inner, out) in enumerate(pairwise(sizes)):
        held |= dense(inner, out, i)
        last = i == len(sizes) - 2
        to = "y" if last else f"z{i}"
        if op == "Gemm":
            nodes.append(("Gemm", [x, f"w{i}", f"b{i}"], to, {}))
        else:
            nodes.append(("MatMul", [x, f"w{i}"], f"m{i}", {}))
            nodes.append(("Add", [f"m{i}", f"b{i}"], to, {}))
        x = to
        if not last:
            nodes.append(("Relu", [to], f"a{i}", {}))
            x = f"a{i}"
    return nodes, held


def before(first: list[Any], held: dict[str, Any], sizes: tuple[int, ...], x: str) -> Any:  # noqa: ANN401
    nodes, more = mlp(sizes, x)
    return [*first, *nodes], {**held, **more}


ACAS = before(
    [("Sub", ["x", "mean"], "s", {}), ("Flatten", ["s"], "f", {"axis": 1})],
    {"mean": normal(1, 1, 1, 5)},
    (5, 6, 6, 5),
    "f",
)
NHWC = (
    [
        ("Transpose", ["x"], "t", {"perm": [0, 3, 1, 2]}),
        ("Conv", ["t", "k", "kb"], "c", {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
        ("BatchNormalization", ["c", "g", "h", "m", "v"], "n", {}),
        ("Relu", ["n"], "r", {}),
        ("Conv", ["r", "k2"], "c2", {"pads": [1, 1, 1, 1]}),
        ("Add", ["c2", "r"], "d", {}),
        ("Transpose", ["d"], "u", {"perm": [0, 2, 3, 1]}),
        ("Reshape", ["u", "flat"], "f", {}),
        ("Gemm", ["f", "w", "b"], "y", {"transB": 1}),
    ],
    {
        "k": normal(4, 3, 3, 3),
        "kb": normal(4),
        "k2": normal(4, 4, 3, 3),
        "g": normal(4),
        "h": normal(4),
        "m": normal(4),
        "v": abs(normal(4)) + 1,
        "flat": ints(1, -1),
        "w": normal(7, 36),
        "b": normal(7),
    },
)
COLUMN = (  # W x + b, as the fully connected MNIST nets and some controllers are written
    [
        ("MatMul", ["w", "x"], "m", {}),
        ("Add", ["m", "b"], "a", {}),
        ("Relu", ["a"], "r", {}),
        ("MatMul", ["w2", "r"], "y", {}),
    ],
    {"w": normal(6, 8), "b": normal(6, 1), "w2": normal(3, 6, seed=1)},
)
VECTOR = (  # no batch axis until one is made
    [
        ("Sub", ["x", "mean"], "s", {}),
        ("Div", ["s", "std"], "n", {}),
        ("Unsqueeze", ["n", "zero"], "u", {}),
        ("Gemm", ["u", "w", "b"], "g", {"transB": 1, "alpha": 0.5}),
        ("Relu", ["g"], "r", {}),
        ("Squeeze", ["r", "zero"], "v", {}),
        ("MatMul", ["v", "w2"], "p", {}),
        ("MatMul", ["w3", "v"], "q", {}),
        ("Concat", ["p", "q", "mean"], "y", {"axis": 0}),
    ],
    {
        "mean": normal(5),
        "std": abs(normal(1)) + 1,
        "zero": ints(0),
        "w": normal(6, 5),
        "b": normal(6),
        "w2": normal(6, 2),
        "w3": normal(3, 6),
    },
)
IMAGE_OF_VECTOR = (  # a flat vector that is made an image inside
    [
        ("Reshape", ["x", "image"], "i", {}),
        ("Conv", ["i", "k"], "c", {"pads": [1, 1, 1, 1]}),
        ("Relu", ["c"], "r", {}),
        ("MaxPool", ["r"], "p", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Flatten", ["p"], "f", {}),
        ("MatMul", ["f", "w"], "y", {}),
    ],
    {"image": ints(1, 2, 4, 4), "k": normal(3, 2, 3, 3), "w": normal(12, 4)},
)
PIECES = (  # slices, gathers, splits, constants, reductions
    [
        ("Slice", ["x", "s0", "s1", "axis"], "a", {}),
        ("Gather", ["x", "picked"], "b", {"axis": 1}),
        ("Split", ["x"], ["c", "d"], {"axis": 1}),
        ("Constant", [], "two", {"value": numpy_helper.from_array(np.array([2.0], np.float32))}),
        ("Mul", ["c", "two"], "c2", {}),
        ("Div", ["d", "two"], "d2", {}),
        ("Concat", ["a", "b", "c2", "d2"], "e", {"axis": 1}),
        ("ReduceSum", ["x", "axis"], "t", {"keepdims": 1}),
        ("Sub", ["e", "t"], "y", {}),
    ],
    {"s0": ints(1), "s1": ints(4), "axis": ints(1), "picked": ints(0, -1, 2)},
)
PIECES_OF_VECTOR = (
    [(op, i, o, {**a, **({"axis": 0} if "axis" in a else {})}) for op, i, o, a in PIECES[0]],
    {**PIECES[1], "axis": ints(0)},
)
OLD = (  # before opset 10 bounds, and before 13 axes, are attributes
    [
        ("Slice", ["x"], "s", {"axes": [1], "starts": [1], "ends": [5]}),
        ("Unsqueeze", ["s"], "u", {"axes": [1]}),
        ("ReduceMean", ["u"], "r", {"axes": [2], "keepdims": 1}),
        ("Sub", ["u", "r"], "m", {}),
        ("Squeeze", ["m"], "y", {"axes": [1]}),
    ],
    {},
)
OLD_OF_VECTOR = (
    [
        ("Slice", ["x"], "s", {"axes": [0], "starts": [1], "ends": [5]}),
        ("Unsqueeze", ["s"], "u", {"axes": [0]}),
        ("ReduceMean", ["u"], "r", {"axes": [1], "keepdims": 1}),
        ("Sub", ["u", "r"], "m", {}),
        ("Softmax", ["m"], "p", {}),
        ("Transpose", ["p"], "y", {}),
    ],
    {},
)
STARTS = {  # how a net may begin before its layers
    "transpose": before(
        [("Transpose", ["x"], "t", {"perm": [0, 2, 1]}), ("Flatten", ["t"], "f", {})],
        {},
        (12, 6, 4),
        "f",
    ),
    "reshape": before([("Reshape", ["x", "s"], "f", {})], {"s": ints(-1, 12)}, (12, 6, 4), "f"),
    "reshape-1": before([("Reshape", ["x", "s"], "f", {})], {"s": ints(1, 12)}, (12, 6, 4), "f"),
    "vector": before([("Reshape", ["x", "s"], "f", {})], {"s": ints(-1)}, (12, 6, 4), "f"),
    "squeeze": before(
        [("Squeeze", ["x", "s"], "q", {}), ("Reshape", ["q", "r"], "f", {})],
        {"s": ints(0), "r": ints(12)},
        (12, 6, 4),
        "f",
    ),
}

# name: ((nodes, constants), declared input, shape of a sample, outputs, opset)
CASES: dict[str, tuple[Any, tuple[int | str, ...], tuple[int, ...], int, int]] = {
    "acas-xu": (ACAS, (1, 1, 1, 5), (1, 1, 5), 5, 13),
    "acas-xu-open": (ACAS, ("n", 1, 1, 5), (1, 1, 5), 5, 9),
    "mnist-fc": (mlp((8, 6, 6, 3), "x"), (1, 8), (8,), 3, 11),
    "mnist-fc-gemm": (mlp((8, 6, 6, 3), "x", "Gemm"), ("n", 8), (8,), 3, 12),
    "column": (COLUMN, (1, 8, 1), (8, 1), 3, 13),
    "column-alone": (COLUMN, (8, 1), (8, 1), 3, 13),
    "vector": (VECTOR, (5,), (5,), 10, 13),
    "vector-plain": (mlp((5, 4, 3), "x"), (5,), (5,), 3, 9),
    "vector-open": (mlp((5, 4, 3), "x"), ("n",), (5,), 3, 9),
    "image-of-vector": (IMAGE_OF_VECTOR, (32,), (32,), 4, 13),
    "nhwc-residual": (NHWC, (1, 6, 6, 3), (6, 6, 3), 7, 11),
    "nhwc-open": (NHWC, ("n", 6, 6, 3), (6, 6, 3), 7, 10),
    "pieces": (PIECES, (1, 6), (6,), 12, 13),
    "pieces-of-vector": (PIECES_OF_VECTOR, (6,), (6,), 12, 13),
    "old": (OLD, (1, 6), (6,), 4, 9),
    "old-of-vector": (OLD_OF_VECTOR, (6,), (6,), 4, 9),
    "batch-of-4": (mlp((8, 6, 3), "x"), (4, 8), (8,), 3, 13),
    **{f"start-{k}": (v, (1, 3, 4), (3, 4), 4, 13) for k, v in STARTS.items()},
}


@pytest.mark.parametrize("name", CASES)
def test_the_module_computes_what_onnxruntime_does(tmp_path: Path, name: str) -> None:
    (nodes, held), declared, shape, outputs, opset = CASES[name]
    path = save(tmp_path / "m.onnx", nodes, held, declared, opset)
    inputs = int(np.prod(shape))
    net = load_flat(path, inputs)
    assert (net.shape, net.inputs, net.outputs, net.note) == (shape, inputs, outputs, "")
    assert net.model is not None
    x = torch.randn(4, inputs, generator=torch.Generator().manual_seed(1))
    expected = net.scores(x)
    assert expected.dtype == torch.float64
    assert expected.shape == (4, outputs)
    out = net.model(x.reshape(4, *shape))
    torch.testing.assert_close(out.double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_rows_do_not_influence_each_other(tmp_path: Path, name: str) -> None:
    (nodes, held), declared, shape, outputs, opset = CASES[name]
    path = save(tmp_path / "m.onnx", nodes, held, declared, opset)
    net = load_flat(path, int(np.prod(shape)))
    assert net.model is not None
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(2)).requires_grad_()
    (g,) = torch.autograd.grad(net.model(x)[1].sum(), x)
    assert not g[[0, 2]].any()
    assert outputs == 4 or g[1].any()  # softmax and centred outputs sum to a constant


def test_numbers_are_in_row_major_order(tmp_path: Path) -> None:
    nodes = [("Transpose", ["x"], "t", {"perm": [0, 2, 1]}), ("Flatten", ["t"], "y", {})]
    net = load_flat(save(tmp_path / "m.onnx", nodes, {}, (1, 2, 3)), 6)
    x = torch.arange(6.0)[None]
    assert net.scores(x).tolist() == [[0, 3, 1, 4, 2, 5]]
    assert net.model is not None
    assert net.model(x.reshape(1, 2, 3)).tolist() == [[0, 3, 1, 4, 2, 5]]


def test_initialisers_that_are_listed_as_inputs(tmp_path: Path) -> None:
    """As files of IR version 3 must."""
    nodes, held = mlp((5, 4, 3), "x")
    path = save(tmp_path / "m.onnx", nodes, held, (1, 5), 9)
    model = onnx.load(path)
    model.ir_version = 3
    for tensor in model.graph.initializer:
        info = helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, tensor.dims)
        model.graph.input.append(info)
    onnx.save(model, path)
    net = load_flat(path, 5)
    assert (net.inputs, net.note) == (5, "")


def test_another_number_of_inputs_than_the_property(tmp_path: Path) -> None:
    nodes, held = mlp((8, 6, 3), "x")
    path = save(tmp_path / "m.onnx", nodes, held, (1, 8))
    with pytest.raises(BadData, match=r"takes 8 numbers, as \[1, 8\], but .* declares 5 inputs"):
        load_flat(path, 5)
    assert load_flat(path).inputs == 8


def test_sizes_that_are_left_open(tmp_path: Path) -> None:
    nodes: list[Any] = [("GlobalAveragePool", ["x"], "y", {})]
    path = save(tmp_path / "m.onnx", nodes, {}, ("n", 2, 3, "w"))
    assert load_flat(path, 24).shape == (2, 3, 4)
    for inputs in (None, 25):
        with pytest.raises(Unsupported, match="leaves sizes of its input open"):
            load_flat(path, inputs)
    path = save(tmp_path / "m.onnx", nodes, {}, ("n", 2, "h", "w"))
    with pytest.raises(Unsupported, match=r"open: \[1, 2, None, None\]"):
        load_flat(path, 24)


def test_what_cannot_be_converted_still_has_scores(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [("Selu", ["x"], "y", {})], {}, (1, 3))
    net = load_flat(path, 3)
    assert net.model is None
    assert net.note.startswith("no bounds: operator Selu")
    assert net.scores(torch.ones(1, 3)).shape == (1, 3)
