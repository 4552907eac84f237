"""An ONNX file as a model: with gradients where they agree with onnxruntime, else with scores."""

import contextlib
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from saddlepoint.core.access import Access
from saddlepoint.core.errors import BadData, Unsupported
from saddlepoint.core.interrupts import interrupts
from saddlepoint.models.loaded import Model
from saddlepoint.models.onnx.convert import convert
from saddlepoint.models.onnx.file import read_onnx
from saddlepoint.models.onnx.pieces import InPieces
from saddlepoint.models.onnx.session import OnnxScores
from saddlepoint.models.onnx.several import from_several, has_several

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["FromOnnx", "load_onnx", "require_agreement"]

_BATCHES = (1, 2, 5)
_LARGEST = 1 << 27  # numbers in one input: half a gigabyte
_TOLERANCE = 1e-4  # of the largest output


@dataclass(frozen=True, eq=False)
class FromOnnx:
    """The model, its access, and what the file says; ``note`` says why there are no gradients."""

    model: Model
    access: Access
    shape: tuple[int, ...] | None
    classes: int | None
    note: str


def load_onnx(path: Path, shape: tuple[int, ...] | None = None) -> FromOnnx:
    """Load an ONNX file; ``shape`` of one sample is needed where the file leaves it open.

    The converted graph is compared with onnxruntime on random inputs in [0, 1], at several batch
    sizes. Where operators are unknown or results differ, the model gives scores only and the note
    says why, as for files that return a label beside their scores. Raises ``BadData`` for damaged
    files, ``Unsupported`` for models of several inputs or without scores, ``Missing`` when onnx or
    onnxruntime is not installed.
    """
    proto = read_onnx(path)
    if has_several(proto):
        note = "no gradients: the file returns a label beside its scores"
        beside, size, count = from_several(proto, path, shape)
        return FromOnnx(beside, beside.access, size, count, note)
    scores = OnnxScores(proto.SerializeToString(), path)
    if None not in (shape, scores.shape) and shape != scores.shape:
        raise BadData(f"{path}: the model has shape {scores.shape}, but the data has {shape}")
    shape = scores.shape or shape
    if shape is None:
        note = "no gradients: the file leaves the size of its input open; pass shape=(C, H, W)"
        return FromOnnx(scores, "scores", None, None, note)
    if math.prod(shape) > _LARGEST:
        raise BadData(f"{path}: claims inputs of shape {shape}, too large to be true")
    classes = _probe(scores, shape)
    try:
        with interrupts():
            model, note = _with_gradients(proto, scores, shape)
    except Unsupported as error:
        return FromOnnx(scores, "scores", shape, classes, f"no gradients: {error}")
    return FromOnnx(model, "gradients", shape, classes, note)


def _with_gradients(
    proto: "ModelProto", scores: OnnxScores, shape: tuple[int, ...]
) -> tuple[nn.Module, str]:
    """Return the converted model, freed from a batch size that is baked in where possible."""
    model = convert(proto)
    try:
        require_agreement(model, scores, shape)
    except Unsupported:
        if scores.batch is None:
            raise
        pieces = InPieces(convert(proto, free_batch=False), scores.batch).eval()
        require_agreement(pieces, scores, shape)
        note = f"slow: the file fixes the batch size, so {scores.batch} at a time go through it; "
        return pieces, note + "export it with an open batch size"
    return model, ""


def _probe(scores: OnnxScores, shape: tuple[int, ...]) -> int | None:
    """Return the number of classes; find a batch size that works if the declared one does not."""
    out = scores(torch.zeros(scores.batch or 1, *shape))
    if scores.batch is None:
        try:
            scores(torch.zeros(2, *shape))
        except BadData:  # says that it takes any batch, but a reshape inside takes one sample
            scores.fix_batch(1)
    return out.shape[1] if out.dim() == 2 else None


def require_agreement(
    model: nn.Module, scores: Callable[[Tensor], Tensor], shape: tuple[int, ...]
) -> None:
    """Raise ``Unsupported`` unless outputs agree and a gradient reaches the input."""
    draw = torch.Generator().manual_seed(0)
    for size in _BATCHES:
        x = torch.rand(size, *shape, generator=draw).requires_grad_()
        expected = scores(x)
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # torch.fx prints what it also raises
                out = model(x)
            difference = _difference(out, expected)
            (g,) = torch.autograd.grad(out.sum(), x)
        except Unsupported:
            raise
        except Exception as error:  # whatever it is, scores remain, and the note says why
            first = str(error).partition("\n")[0]
            raise Unsupported(f"the converted graph fails on a batch of {size}: {first}") from error
        if not difference <= _TOLERANCE:
            raise Unsupported(
                f"the converted graph differs from onnxruntime on a batch of {size}, "
                f"by {difference:.1e} of the largest output"
            )
        if not g.isfinite().all():
            raise Unsupported("the gradient of the converted graph is not finite")


def _difference(out: Tensor, expected: Tensor) -> float:
    if out.shape != expected.shape:
        raise Unsupported(
            f"the converted graph returns {tuple(out.shape)}, onnxruntime {tuple(expected.shape)}"
        )
    scale = expected.abs().max().clamp(min=1e-12)
    return float(((out - expected).abs().max() / scale).detach())
