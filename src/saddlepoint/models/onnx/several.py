"""ONNX files with a label beside their scores, as converters of scikit-learn write them."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from saddlepoint.core.errors import BadData, Invalid, Unsupported
from saddlepoint.models.foreign.session import SessionScores
from saddlepoint.models.onnx.session import open_session

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["from_several", "has_several"]

_NAMES = (7, 8)  # int64 and strings, in the words of ONNX


def has_several(proto: "ModelProto") -> bool:
    """Whether one output can be read as scores, and others beside it are labels."""
    labels = [o for o in proto.graph.output if o.type.tensor_type.elem_type in _NAMES]
    return len(labels) > 0 and len(proto.graph.output) == len(labels) + 1


def from_several(
    proto: "ModelProto", path: Path, shape: tuple[int, ...] | None
) -> tuple[SessionScores, tuple[int, ...], int]:
    """Return the model, the shape of one sample, and the number of classes.

    Raises ``Unsupported`` where no output holds scores, ``BadData`` where the data has another size
    than the input of the file.
    """
    try:
        model = SessionScores(open_session(proto.SerializeToString(), path))
    except (Unsupported, Invalid) as error:
        raise Unsupported(f"{path}: {error}") from error
    size = shape or model.shape
    if size is None:
        raise Unsupported(f"{path}: leaves the size of its input open; pass shape=(C, H, W)")
    if model.shape is not None and math.prod(size) != math.prod(model.shape):
        raise BadData(f"{path}: the model has shape {model.shape}, but the data has {size}")
    return model, size, int(model(torch.zeros(1, *size)).shape[1])
