"""Every operator of the converter against onnxruntime, and its gradient against differences."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from graphs import normal, save, single

from saddlepoint.core.errors import Unsupported
from saddlepoint.models.onnx.load import FromOnnx, load_onnx
from saddlepoint.models.onnx.operators import OPERATORS, operator


def ints(*values: int) -> Any:  # noqa: ANN401
    return np.array(values, dtype=np.int64)


IMAGE: tuple[int | str, ...] = ("n", 3, 6, 6)
CASES: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    # name: (operator, constants, attributes, with shape and opset among them)
    "conv": ("Conv", [normal(4, 3, 3, 3), normal(4)], {}),
    "conv-1d": ("Conv", [normal(4, 3, 3)], {"shape": ("n", 3, 9)}),
    "conv-3d": ("Conv", [normal(2, 3, 2, 2, 2)], {"shape": ("n", 3, 4, 4, 4)}),
    "conv-strided": ("Conv", [normal(4, 3, 3, 3)], {"strides": [2, 1], "pads": [1, 1, 1, 1]}),
    "conv-asymmetric": ("Conv", [normal(4, 3, 3, 3)], {"pads": [0, 1, 2, 0]}),
    "conv-dilated": ("Conv", [normal(4, 3, 2, 2)], {"dilations": [2, 3]}),
    "conv-grouped": ("Conv", [normal(6, 1, 3, 3), normal(6)], {"group": 3}),
    "conv-same-upper": (
        "Conv",
        [normal(4, 3, 4, 4)],
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    ),
    "conv-same-lower": ("Conv", [normal(4, 3, 2, 2)], {"auto_pad": "SAME_LOWER"}),
    "conv-valid": ("Conv", [normal(4, 3, 3, 3)], {"auto_pad": "VALID"}),
    "deconv": ("ConvTranspose", [normal(3, 4, 3, 3), normal(4)], {"strides": [2, 2]}),
    "deconv-pads": (
        "ConvTranspose",
        [normal(3, 4, 3, 3)],
        {"strides": [2, 2], "pads": [0, 1, 1, 0]},
    ),
    "deconv-extra": (
        "ConvTranspose",
        [normal(3, 4, 3, 3)],
        {"strides": [2, 2], "output_padding": [1, 1], "pads": [1, 1, 1, 1]},
    ),
    "deconv-shape": (
        "ConvTranspose",
        [normal(3, 4, 3, 3)],
        {"strides": [2, 2], "output_shape": [12, 12], "auto_pad": "SAME_UPPER"},
    ),
    "deconv-same": (
        "ConvTranspose",
        [normal(3, 4, 3, 3)],
        {"strides": [2, 2], "auto_pad": "SAME_LOWER"},
    ),
    "deconv-groups": ("ConvTranspose", [normal(3, 1, 3, 3)], {"group": 3, "dilations": [2, 2]}),
    "max-pool": ("MaxPool", [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    "max-pool-pads": ("MaxPool", [], {"kernel_shape": [3, 3], "pads": [1, 0, 1, 2]}),
    "max-pool-ceil": ("MaxPool", [], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    "max-pool-dilated": ("MaxPool", [], {"kernel_shape": [2, 2], "dilations": [2, 2]}),
    "max-pool-same": ("MaxPool", [], {"kernel_shape": [4, 4], "auto_pad": "SAME_UPPER"}),
    "mean-pool": ("AveragePool", [], {"kernel_shape": [2, 3], "strides": [2, 1]}),
    "mean-pool-pads": ("AveragePool", [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
    "mean-pool-counts": (
        "AveragePool",
        [],
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
    ),
    "mean-pool-asymmetric": ("AveragePool", [], {"kernel_shape": [3, 3], "pads": [0, 1, 1, 0]}),
    "mean-pool-asymmetric-counts": (
        "AveragePool",
        [],
        {"kernel_shape": [3, 3], "pads": [0, 1, 1, 0], "count_include_pad": 1},
    ),
    "mean-pool-ceil": (
        "AveragePool",
        [],
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
    ),
    "mean-pool-same": ("AveragePool", [], {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"}),
    "global-mean": ("GlobalAveragePool", [], {}),
    "global-max": ("GlobalMaxPool", [], {}),
    "gemm": ("Gemm", [normal(5, 4), normal(4)], {"shape": ("n", 5)}),
    "gemm-transB": ("Gemm", [normal(4, 5), normal(4)], {"shape": ("n", 5), "transB": 1}),
    "gemm-scaled": (
        "Gemm",
        [normal(4, 5), normal(1, 4)],
        {"shape": ("n", 5), "transB": 1, "alpha": 0.5, "beta": 2.0},
    ),
    "gemm-no-bias": ("Gemm", [normal(5, 4)], {"shape": ("n", 5)}),
    "matmul": ("MatMul", [normal(6, 2)], {}),
    "add": ("Add", [normal(3, 1, 1)], {}),
    "sub": ("Sub", [normal(6)], {}),
    "mul": ("Mul", [normal(1, 3, 1, 1)], {}),
    "div": ("Div", [np.float32(3.0) * np.ones(1, np.float32)], {}),
    "mod": ("Mod", [np.array(0.3, np.float32)], {"fmod": 1}),
    "neg": ("Neg", [], {}),
    "pow": ("Pow", [np.array(2.0, np.float32)], {}),
    "pow-whole": ("Pow", [np.array(3, np.int64)], {}),
    "pow-many": ("Pow", [np.array([1, 2, 3, 1, 2, 3], np.float32)], {}),
    "reciprocal-of-exp": ("Exp", [], {}),
    "sqrt": ("Sqrt", [], {}),
    "log": ("Log", [], {}),
    "abs": ("Abs", [], {}),
    "relu": ("Relu", [], {}),
    "leaky-relu": ("LeakyRelu", [], {"alpha": 0.3}),
    "elu": ("Elu", [], {"alpha": 0.7}),
    "sigmoid": ("Sigmoid", [], {}),
    "tanh": ("Tanh", [], {}),
    "erf": ("Erf", [], {}),
    "gelu": ("Gelu", [], {"opset": 20}),
    "gelu-tanh": ("Gelu", [], {"opset": 20, "approximate": "tanh"}),
    "hard-sigmoid": ("HardSigmoid", [], {"alpha": 0.3}),
    "hard-swish": ("HardSwish", [], {}),
    "softplus": ("Softplus", [], {}),
    "softsign": ("Softsign", [], {}),
    "reciprocal": ("Reciprocal", [], {}),
    "prelu": ("PRelu", [normal(3, 1, 1)], {}),
    "softmax": ("Softmax", [], {"axis": 1}),
    "softmax-default": ("Softmax", [], {}),
    "softmax-old": ("Softmax", [], {"opset": 11}),
    "log-softmax": ("LogSoftmax", [], {"axis": 2}),
    "log-softmax-old": ("LogSoftmax", [], {"opset": 11, "axis": 2}),
    "batch-norm": (
        "BatchNormalization",
        [normal(3), normal(3), normal(3), np.abs(normal(3)) + 0.1],
        {"epsilon": 1e-3},
    ),
    "instance-norm": ("InstanceNormalization", [normal(3), normal(3)], {}),
    "layer-norm": ("LayerNormalization", [normal(6), normal(6)], {}),
    "layer-norm-axes": ("LayerNormalization", [normal(3, 6, 6)], {"axis": 1, "epsilon": 1e-2}),
    "flatten": ("Flatten", [], {}),
    "flatten-axis": ("Flatten", [], {"axis": -2}),
    "reshape": ("Reshape", [ints(0, 3, -1)], {}),
    "reshape-open": ("Reshape", [ints(-1, 108)], {}),
    "transpose": ("Transpose", [], {"perm": [0, 2, 3, 1]}),
    "concat": ("Concat", [], {"axis": 1}),
    "clip": ("Clip", [np.array(0.2, np.float32), np.array(0.6, np.float32)], {}),
    "clip-above": ("Clip", [None, np.array(0.6, np.float32)], {}),
    "clip-nothing": ("Clip", [], {}),
    "clip-old": ("Clip", [], {"opset": 10, "min": 0.2, "max": 0.6}),
    "pad": ("Pad", [ints(0, 0, 1, 2, 0, 0, 0, 1), np.array(0.5, np.float32)], {}),
    "pad-axes": ("Pad", [ints(1, 2), None, ints(-1)], {"opset": 18}),
    "pad-reflect": ("Pad", [ints(0, 0, 1, 2, 0, 0, 2, 1)], {"mode": "reflect"}),
    "pad-edge": ("Pad", [ints(0, 0, 1, 2, 0, 0, 0, 1)], {"mode": "edge"}),
    "pad-crop": ("Pad", [ints(0, 0, -1, 0, 0, 0, 0, -2)], {}),
    "pad-old": ("Pad", [], {"opset": 10, "pads": [0, 0, 1, 1, 0, 0, 1, 1], "value": 0.1}),
    "mean": ("ReduceMean", [], {"axes": [2, 3], "keepdims": 0}),
    "mean-input": ("ReduceMean", [ints(-1)], {"opset": 18}),
    "sum": ("ReduceSum", [ints(2, 3)], {"keepdims": 0}),
    "sum-old": ("ReduceSum", [], {"opset": 11, "axes": [1]}),
    "sum-nothing": ("ReduceSum", [], {"noop_with_empty_axes": 1}),
    "max-along": ("ReduceMax", [], {"axes": [2]}),
    "min-along": ("ReduceMin", [], {"axes": [2]}),
    "squeeze": ("Squeeze", [ints(1)], {"shape": ("n", 1, 6)}),
    "squeeze-old": ("Squeeze", [], {"shape": ("n", 1, 6), "axes": [1], "opset": 11}),
    "unsqueeze": ("Unsqueeze", [ints(1, -1)], {}),
    "unsqueeze-old": ("Unsqueeze", [], {"axes": [1], "opset": 11}),
    "slice": ("Slice", [ints(1, 0), ints(5, 2**62), ints(2, 3), ints(2, 1)], {}),
    "slice-backwards": ("Slice", [ints(-1), ints(-(2**62)), ints(3), ints(-1)], {}),
    "slice-old": ("Slice", [], {"opset": 9, "starts": [1], "ends": [-1], "axes": [2]}),
    "slice-nothing": ("Slice", [ints(1), ints(100), ints(1)], {}),
    "gather": ("Gather", [ints(2, -3)], {"axis": 1}),
    "gather-one": ("Gather", [np.array(1, np.int64)], {"axis": 2}),
    "gather-matrix": ("Gather", [np.array([[0, 1], [2, 2]], np.int64)], {"axis": 1}),
    "expand": ("Expand", [ints(2, 1, 3, 6, 6)], {"opset": 17}),
    "min": ("Min", [np.array(0.5, np.float32)], {}),
    "max": ("Max", [np.array(0.5, np.float32), normal(6)], {}),
    "sum-of-many": ("Sum", [normal(6), normal(3, 1, 1)], {}),
    "identity": ("Identity", [], {}),
    "dropout": ("Dropout", [np.array(0.5, np.float32)], {}),
    "dropout-old": ("Dropout", [], {"ratio": 0.5, "opset": 10}),
    "cast": ("Cast", [], {"to": 1}),
}
BATCH_FIRST = {k: v for k, v in CASES.items() if k not in ("expand", "flatten-axis")}


def load(path: Path, shape: tuple[int | str, ...] = IMAGE) -> FromOnnx:
    return load_onnx(path, tuple(int(s) for s in shape[1:]))


def check_gradient(model: Any, shape: tuple[int | str, ...]) -> None:  # noqa: ANN401
    """Compare the derivative along a random direction with central differences, in float64."""
    model = model.double()
    draw = torch.Generator().manual_seed(3)
    sizes = [2, *(int(s) for s in shape[1:])]
    x = torch.rand(*sizes, generator=draw, dtype=torch.float64).requires_grad_()
    v = torch.randn(*sizes, generator=draw, dtype=torch.float64)
    out = model(x)
    weights = torch.rand(out.shape, generator=draw, dtype=torch.float64)
    (g,) = torch.autograd.grad((out * weights).sum(), x)
    h = 1e-7
    with torch.no_grad():
        rise = ((model(x + h * v) - model(x - h * v)) * weights).sum() / (2 * h)
    assert torch.isclose((g * v).sum(), rise, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", BATCH_FIRST)
def test_an_operator_agrees_with_onnxruntime_and_its_own_differences(
    tmp_path: Path, name: str
) -> None:
    op, constants, attributes = CASES[name]
    shape = attributes.get("shape", IMAGE)
    found = load(single(tmp_path / "m.onnx", op, constants, **attributes), shape)
    assert (found.access, found.note) == ("gradients", "")  # agreement is part of loading
    if name != "cast":  # it names a type, which double() cannot change
        check_gradient(found.model, shape)


def test_every_operator_is_in_the_table() -> None:
    elsewhere = {"Constant", "ConstantOfShape", "Shape", "Split", "Where"}  # tested in graphs
    assert set(OPERATORS) == {op for op, _, _ in CASES.values()} | elsewhere


@pytest.mark.parametrize(
    ("op", "constants", "attributes", "reason"),
    [
        ("Sign", [], {}, "operator Sign has no gradient here; access to the scores works"),
        ("MaxPool", [], {"kernel_shape": [2, 2], "strides": [9, 9], "ceil_mode": 1}, ""),
        (
            "AveragePool",
            [],
            {"kernel_shape": [2, 2], "dilations": [2, 2], "opset": 19},
            "dilations",
        ),
        ("Resize", [None, None, ints(1, 3, 6, 6)], {}, "operator Resize"),
        ("Clip", [np.array(7.0, np.float32)], {}, ""),
        ("Cast", [], {"to": 1}, ""),
        ("Pad", [ints(0, 1, 0, 0, 0, 1, 0, 0)], {"mode": "edge"}, "Pad with mode edge"),
    ],
)
def test_what_has_no_gradient_here_still_gives_scores(
    tmp_path: Path, op: str, constants: list[Any], attributes: dict[str, Any], reason: str
) -> None:
    found = load(single(tmp_path / "m.onnx", op, constants, **attributes))
    if not reason:
        assert found.access == "gradients"
        return
    assert found.access == "scores"
    assert found.note.startswith("no gradients: ")
    assert reason in found.note
    assert len(found.model(torch.rand(4, 3, 6, 6))) == 4


def test_an_unknown_operator_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="operator Loop has no gradient here; access to the sc"):
        operator("Loop", 17)


def test_split_and_where_in_one_graph(tmp_path: Path) -> None:
    nodes: list[Any] = [
        ("Split", ["x"], ["a", "b", "c"], {"axis": 1}),
        ("Constant", [], "w", {"value_floats": [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]}),
        ("Where", ["mask", "a", "b"], "d", {}),
        ("Mul", ["d", "w"], "e", {}),
        ("Split", ["c", "parts"], ["f", "g"], {"axis": 3}),
        ("Concat", ["e", "f", "g"], "h", {"axis": -1}),
        ("Flatten", ["h"], "y", {}),
    ]
    constants = {"mask": np.arange(6) % 2 == 0, "parts": ints(2, 4)}
    found = load(save(tmp_path / "m.onnx", nodes, constants, IMAGE))
    assert found.note == ""
    check_gradient(found.model, IMAGE)
    equal = [("Split", ["x"], ["a", "y"], {"axis": 1, "num_outputs": 2})]
    assert load(save(tmp_path / "m.onnx", equal, {}, IMAGE, opset=18)).note == ""


def test_shapes_computed_from_the_batch(tmp_path: Path) -> None:
    """What torch writes for ``x.view(x.size(0), -1)``, and zeros of a computed shape."""
    nodes: list[Any] = [
        ("Shape", ["x"], "s", {}),
        ("Gather", ["s", "zero"], "n", {"axis": 0}),
        ("Unsqueeze", ["n", "axis"], "u", {}),
        ("Concat", ["u", "rest"], "t", {"axis": 0}),
        ("Reshape", ["x", "t"], "flat", {}),
        ("ConstantOfShape", ["t2"], "ones", {"value": onnx_ones()}),
        ("Concat", ["u", "one"], "t2", {"axis": 0}),
        ("Add", ["flat", "ones"], "y", {}),
    ]
    nodes[5], nodes[6] = nodes[6], nodes[5]
    held = {"zero": np.array(0, np.int64), "axis": ints(0), "rest": ints(-1), "one": ints(1)}
    found = load(save(tmp_path / "m.onnx", nodes, held, IMAGE))
    assert found.note == ""
    check_gradient(found.model, IMAGE)


def onnx_ones() -> Any:  # noqa: ANN401
    from onnx import numpy_helper

    return numpy_helper.from_array(np.ones(1, np.float32))
