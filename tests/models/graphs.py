"""Small ONNX files for tests, built operator by operator."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

__all__ = ["save", "single"]

Node = tuple[str, Sequence[str], str | Sequence[str], Mapping[str, Any]]


def save(
    path: Path,
    nodes: Sequence[Node],
    constants: Mapping[str, NDArray[Any]],
    shape: Sequence[int | str],
    opset: int = 17,
    kind: int = TensorProto.FLOAT,
    out: int = TensorProto.FLOAT,
) -> Path:
    """Write the graph from ``x`` to ``y``; ``shape`` includes the batch, open where a string."""
    made = [
        helper.make_node(op, list(inputs), [to] if isinstance(to, str) else list(to), **attributes)
        for op, inputs, to, attributes in nodes
    ]
    graph = helper.make_graph(
        made,
        "g",
        [helper.make_tensor_value_info("x", kind, list(shape))],
        [helper.make_tensor_value_info("y", out, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    imports = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)
    return path


def single(
    path: Path,
    op: str,
    constants: Sequence[NDArray[Any] | None] = (),
    shape: Sequence[int | str] = ("n", 3, 6, 6),
    opset: int = 17,
    **attributes: Any,  # noqa: ANN401
) -> Path:
    """Write a graph of one operator, its inputs being x and then the constants."""
    names = [f"c{i}" if value is not None else "" for i, value in enumerate(constants)]
    held = {n: v for n, v in zip(names, constants, strict=True) if v is not None}
    return save(path, [(op, ["x", *names], "y", attributes)], held, shape, opset)


def normal(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    """Return random numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
