"""Reading an ONNX file that may be damaged or hostile."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from saddlepoint.core.errors import BadData, Missing, Unsupported

if TYPE_CHECKING:
    from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

__all__ = ["read_onnx"]

_LARGEST = (1 << 31) - 1  # what protobuf can hold
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")  # those onnxruntime implements


def read_onnx(path: Path) -> "ModelProto":
    """Return the model with all its tensors in memory; onnxruntime is left to judge the rest.

    Tensors kept in other files are read from the file's own folder only. Raises ``BadData`` for a
    damaged file or a path that leads elsewhere, ``Unsupported`` for operators of other vendors,
    ``Missing`` when onnx is not installed.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
        from onnx.external_data_helper import load_external_data_for_model
    except ImportError as error:
        raise Missing("onnx", "onnx") from error
    if path.stat().st_size > _LARGEST:
        raise BadData(f"{path}: larger than 2 GiB, which ONNX does not allow in one file")
    try:
        model = onnx.load_model(path, load_external_data=False)
        for tensor in _tensors(model):
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                _require_inside(path, tensor)
        load_external_data_for_model(model, str(path.parent))
    except (DecodeError, ValueError, OSError, RuntimeError) as error:
        if isinstance(error, BadData):
            raise
        first = str(error).strip().partition("\n")[0]
        raise BadData(f"{path}: damaged or not an ONNX model ({first})") from error
    _require_known_domains(path, model)
    return model


def _require_inside(path: Path, tensor: "TensorProto") -> None:
    location = next((e.value for e in tensor.external_data if e.key == "location"), "")
    folder = path.parent.resolve()
    place = (folder / location).resolve()
    if not location or Path(location).is_absolute() or not place.is_relative_to(folder):
        raise BadData(
            f"{path}: tensor {tensor.name} is kept in {location!r}, outside the model's folder: "
            "it was not read"
        )
    if not place.is_file():
        raise BadData(f"{path}: tensor {tensor.name} is kept in {location!r}, which is not there")


def _require_known_domains(path: Path, model: "ModelProto") -> None:
    local = {function.domain for function in model.functions}
    for node in _nodes(model.graph):
        if node.domain not in _DOMAINS and node.domain not in local:
            raise Unsupported(
                f"{path}: operator {node.domain}.{node.op_type} is of a domain that onnxruntime "
                f"cannot run without its vendor's code; known: {', '.join(_DOMAINS[1:])}"
            )


def _nodes(graph: "GraphProto") -> Iterator["NodeProto"]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in _graphs(attribute):
                yield from _nodes(inner)


def _graphs(attribute: "AttributeProto") -> list["GraphProto"]:
    return [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def _tensors(model: "ModelProto") -> Iterator["TensorProto"]:
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        for node in function.node:
            yield from _node_tensors(node)


def _graph_tensors(graph: "GraphProto") -> Iterator["TensorProto"]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _node_tensors(node)


def _node_tensors(node: "NodeProto") -> Iterator["TensorProto"]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for inner in _graphs(attribute):
            yield from _graph_tensors(inner)
