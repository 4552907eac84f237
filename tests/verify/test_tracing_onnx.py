"""Models from ONNX files are recorded as others are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from graphs import normal, save, single
from test_onnx_operators import BATCH_FIRST, IMAGE, load

from saddlepoint.core.errors import Unsupported
from saddlepoint.models import load_model
from saddlepoint.verify.tracing import trace

REFUSED = {
    "mod": "torch.fmod",
    "pow-whole": "square",
    "pow-many": "square",
    "reciprocal-of-exp": "torch.exp",
    "sqrt": "torch.sqrt",
    "log": "torch.log",
    "reciprocal": "torch.reciprocal",
    "softmax": "scores of the classes",
    "softmax-default": "scores of the classes",
    "softmax-old": "very end",
    "log-softmax": "scores of the classes",
    "log-softmax-old": "scores of the classes",
    "instance-norm": "instance_norm",
    "layer-norm": "layer_norm",
    "layer-norm-axes": "layer_norm",
}


@pytest.mark.parametrize("name", BATCH_FIRST)
def test_an_onnx_operator_is_recorded_or_refused_in_words(tmp_path: Path, name: str) -> None:
    op, constants, attributes = BATCH_FIRST[name]
    shape = attributes.get("shape", IMAGE)
    model = load(single(tmp_path / "m.onnx", op, constants, **attributes), shape).model
    if name in REFUSED:
        with pytest.raises(Unsupported, match=REFUSED[name]):
            trace(model, shape[1:])
        return
    network = trace(model, shape[1:])
    x = 3 * torch.rand(4, *shape[1:], generator=torch.Generator().manual_seed(0)) - 1
    with torch.no_grad():
        torch.testing.assert_close(network.forward(x), model(x), rtol=1e-5, atol=1e-5)


def classifier(path: Path, last: str, opset: int, batch: int | str = "n") -> Path:
    nodes: list[Any] = [
        ("Conv", ["x", "w"], "a", {"pads": [0, 1, 1, 0]}),
        ("Relu", ["a"], "b", {}),
        ("MaxPool", ["b"], "c", {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 1, 1]}),
        ("Reshape", ["c", "shape"], "d", {}),
        ("Gemm", ["d", "m", "v"], "e", {"transB": 1}),
        (last, ["e"], "y", {}),
    ]
    held = {"w": normal(4, 3, 2, 2), "m": normal(5, 36), "v": normal(5)}
    first = batch if isinstance(batch, int) else -1
    return save(
        path,
        nodes,
        {**held, "shape": np.array([first, 36], np.int64)},
        (batch, *IMAGE[1:]),
        opset,
    )


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("last", ["Softmax", "LogSoftmax"])
def test_a_classifier_that_ends_in_softmax(tmp_path: Path, last: str, opset: int) -> None:
    model = load_model(str(classifier(tmp_path / "m.onnx", last, opset))).model
    network = trace(model, (3, 6, 6), order_only=True)
    assert network.left_out == "softmax"
    x = torch.rand(4, 3, 6, 6)
    z = network.forward(x)
    expected = z.softmax(1) if last == "Softmax" else z.log_softmax(1)
    torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize("batch", ["n", 1])
def test_a_batch_size_that_is_baked_in_is_taken_out(tmp_path: Path, batch: int | str) -> None:
    model = load_model(str(classifier(tmp_path / "m.onnx", "Relu", 17, batch))).model
    x = torch.rand(4, 3, 6, 6)
    torch.testing.assert_close(trace(model, (3, 6, 6)).forward(x), model(x))
