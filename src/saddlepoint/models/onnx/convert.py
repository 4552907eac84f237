"""From an ONNX graph to a ``torch.fx.GraphModule``, which has gradients."""

import inspect
import operator as python
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, fx, nn

from saddlepoint.core.errors import Unsupported
from saddlepoint.models.onnx.lift import lift
from saddlepoint.models.onnx.operators import INTEGER_INPUTS, operator

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

__all__ = ["convert"]

Value: TypeAlias = Tensor | fx.Node  # known now, or computed from the input
_STATISTICS = (3, 4)  # inputs of BatchNormalization that no optimiser may touch


def convert(model: "ModelProto", free_batch: bool = True, lifted: bool = False) -> fx.GraphModule:
    """Return a module that computes the same as ``model``.

    What depends on constants alone is computed here, once. Initialisers become parameters (buffers
    where they are statistics, scalars or whole numbers). With ``free_batch``, a batch size that is
    baked into reshapes is taken out. With ``lifted``, the graph is about one sample without a batch
    axis, and the module takes that axis in front. Raises ``Unsupported`` that names the operator
    in the way.
    """
    builder = _Builder(model, free_batch and not lifted, lifted)
    for node in model.graph.node:
        try:
            builder.add(node)
        except Unsupported:
            raise
        except Exception as error:  # a damaged graph can fail in any function of torch
            label = f"{node.op_type} {node.name}".strip()
            raise Unsupported(f"{label} cannot be converted: {error}") from error
    return builder.finish(model.graph.output[0].name)


class _Builder:
    """The graph under construction."""

    def __init__(self, model: "ModelProto", free_batch: bool, lifted: bool) -> None:
        self.lifted = lifted
        self.root, self.graph = nn.Module(), fx.Graph()
        self.opset = next((o.version for o in model.opset_import if o.domain in _DEFAULT), 1)
        self.values: dict[str, Value] = {t.name: _tensor(t) for t in model.graph.initializer}
        self.owned: dict[str, fx.Node] = {}
        source = next(i for i in model.graph.input if i.name not in self.values)
        kind = source.type.tensor_type
        dims = kind.shape.dim
        self.batch = dims[0].dim_value if dims and free_batch else 0  # 0: nothing to take out
        x = self.graph.placeholder("x")
        if kind.elem_type == _DOUBLE:
            x = self.graph.call_method("double", (x,))
        self.values[source.name] = x

    def add(self, node: "NodeProto") -> None:
        """Add one operator, or compute it if nothing in it depends on the input."""
        if node.domain not in _DEFAULT:
            raise Unsupported(f"operator {node.domain}.{node.op_type} has no gradient here")
        function = operator(node.op_type, self.opset)
        attributes = _attributes(node, function)
        inputs = [self._value(name) for name in node.input]
        if not any(isinstance(value, fx.Node) for value in inputs):
            result: Any = function(*inputs, **attributes)
        else:
            if self.lifted:
                symbolic = [isinstance(value, fx.Node) for value in inputs]
                function = lift(node.op_type, function, symbolic)
            args = [self._argument(node, i, value) for i, value in enumerate(inputs)]
            for key, value in attributes.items():
                if isinstance(value, Tensor):
                    attributes[key] = self._own(f"{node.output[0]}.{key}", value, False)
            result = self.graph.call_function(function, tuple(args), attributes)
        self._store(node, result)

    def _value(self, name: str) -> Value | None:
        if name and name not in self.values:
            raise Unsupported(f"the optional output {name} is in use")
        return self.values[name] if name else None

    def _store(self, node: "NodeProto", result: Any) -> None:  # noqa: ANN401
        if node.op_type != "Split":
            self.values[node.output[0]] = result
            return
        for i, name in enumerate(node.output):
            symbolic = isinstance(result, fx.Node)
            part = self.graph.call_function(python.getitem, (result, i)) if symbolic else result[i]
            self.values[name] = part

    def _argument(self, node: "NodeProto", i: int, value: Value | None) -> Any:  # noqa: ANN401
        """Return what the function is called with: a node of the graph, numbers, or None."""
        if not isinstance(value, Tensor):
            return value
        if node.op_type in INTEGER_INPUTS and not value.is_floating_point() and i > 0:
            numbers = tuple(value.flatten().tolist())
            baked = node.op_type == "Reshape" and self.batch and numbers[:1] == (self.batch,)
            # The first axis is the batch here; 0 stands for "as many as there are".
            return (0, *numbers[1:]) if baked else numbers
        trained = node.op_type != "BatchNormalization" or i not in _STATISTICS
        return self._own(node.input[i], value, trained)

    def _own(self, name: str, value: Tensor, trained: bool) -> fx.Node:
        """Return the constant as a parameter or buffer of the module."""
        if name not in self.owned:
            # The file's own names would become part of the source that torch.fx writes and runs.
            attribute = f"c{len(self.owned)}_" + re.sub(r"[^A-Za-z0-9_]", "_", name)[:80]
            if trained and value.is_floating_point() and value.dim() > 0:
                self.root.register_parameter(attribute, nn.Parameter(value.contiguous()))
            else:
                self.root.register_buffer(attribute, value.contiguous())
            self.owned[name] = self.graph.get_attr(attribute)
        return self.owned[name]

    def finish(self, output: str) -> fx.GraphModule:
        """Return the module."""
        result = self.values.get(output)
        if not isinstance(result, fx.Node):
            raise Unsupported("the output does not depend on the input")
        self.graph.output(result)
        self.graph.eliminate_dead_code()
        self.graph.lint()
        return fx.GraphModule(self.root, self.graph, "FromOnnx").eval()


_DEFAULT = ("", "ai.onnx")
_DOUBLE = 11  # onnx.TensorProto.DOUBLE


def _tensor(proto: "TensorProto") -> Tensor:
    from onnx import numpy_helper

    try:
        return torch.from_numpy(np.array(numpy_helper.to_array(proto)))
    except TypeError as error:
        raise Unsupported(f"constant {proto.name} has a type that torch lacks") from error


def _attributes(node: "NodeProto", function: Callable[..., Any]) -> dict[str, Any]:
    """Return the operator's attributes as arguments of ``function``, which must know them all."""
    from onnx import AttributeProto, helper

    found: dict[str, Any] = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if attribute.type == AttributeProto.STRING:
            value = value.decode("utf-8", "replace")
        elif attribute.type == AttributeProto.TENSOR:
            value = _tensor(value)
        found[attribute.name] = value
    if node.op_type == "Split":
        found["num_outputs"] = len(node.output)
    unknown = [name for name in found if not _takes(function, name)]
    if unknown:
        raise Unsupported(f"{node.op_type} with {', '.join(unknown)} has no gradient here")
    return found


def _takes(function: Callable[..., Any], name: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # torch's own functions: none of them has attributes
        return False
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
