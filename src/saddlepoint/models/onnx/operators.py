"""Which torch function computes which ONNX operator, since which opset."""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from saddlepoint.core.errors import Unsupported
from saddlepoint.models.onnx import elementwise, layout, linear, windows

__all__ = ["INTEGER_INPUTS", "OPERATORS", "operator"]

Function = Callable[..., Any]

OPERATORS: dict[str, Function | dict[int, Function]] = {
    "Abs": torch.abs,
    "Add": torch.add,
    "AveragePool": windows.average_pool,
    "BatchNormalization": linear.batch_norm,
    "Cast": elementwise.cast,
    "Clip": elementwise.clip,
    "Concat": layout.concat,
    "Constant": layout.constant,
    "ConstantOfShape": layout.constant_of_shape,
    "Conv": windows.conv,
    "ConvTranspose": windows.conv_transpose,
    "Div": elementwise.div,
    "Dropout": layout.dropout,
    "Elu": elementwise.elu,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Expand": layout.expand,
    "Flatten": layout.flatten,
    "Gather": layout.gather,
    "Gelu": elementwise.gelu,
    "Gemm": linear.gemm,
    "GlobalAveragePool": windows.global_average_pool,
    "GlobalMaxPool": windows.global_max_pool,
    "HardSigmoid": elementwise.hard_sigmoid,
    "HardSwish": elementwise.hard_swish,
    "Identity": layout.identity,
    "InstanceNormalization": linear.instance_norm,
    "LayerNormalization": linear.layer_norm,
    "LeakyRelu": elementwise.leaky_relu,
    "Log": torch.log,
    "LogSoftmax": {1: elementwise.log_softmax_flat, 13: elementwise.log_softmax},
    "MatMul": torch.matmul,
    "Max": elementwise.maximum,
    "MaxPool": windows.max_pool,
    "Min": elementwise.minimum,
    "Mod": elementwise.mod,
    "Mul": torch.mul,
    "Neg": torch.neg,
    "PRelu": elementwise.prelu,
    "Pad": layout.pad,
    "Pow": elementwise.power,
    "Reciprocal": torch.reciprocal,
    "ReduceMax": linear.reduce_max,
    "ReduceMean": linear.reduce_mean,
    "ReduceMin": linear.reduce_min,
    "ReduceSum": linear.reduce_sum,
    "Relu": torch.relu,
    "Reshape": layout.reshape,
    "Shape": layout.shape,
    "Sigmoid": torch.sigmoid,
    "Slice": layout.slices,
    "Softmax": {1: elementwise.softmax_flat, 13: elementwise.softmax},
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Split": layout.split,
    "Sqrt": torch.sqrt,
    "Squeeze": layout.squeeze,
    "Sub": torch.sub,
    "Sum": elementwise.total,
    "Tanh": torch.tanh,
    "Transpose": layout.transpose,
    "Unsqueeze": layout.unsqueeze,
    "Where": torch.where,
}

# Operators whose constant integer inputs are sizes, axes or bounds: they become plain numbers.
INTEGER_INPUTS = frozenset(
    {
        "ConstantOfShape",
        "Expand",
        "Pad",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceSum",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Unsqueeze",
    }
)


def operator(name: str, opset: int) -> Function:
    """Return the function of operator ``name`` as of ``opset``; ``Unsupported`` if there is none.

    >>> operator("Softmax", 12).__name__, operator("Softmax", 17).__name__
    ('softmax_flat', 'softmax')
    """
    found = OPERATORS.get(name)
    if found is None:
        raise Unsupported(
            f"operator {name} has no gradient here; access to the scores works all the same"
        )
    if isinstance(found, dict):
        return found[max(since for since in found if since <= opset)]
    return found
