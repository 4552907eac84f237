"""An ONNX file as the VNN competition sees it: numbers X_0 ... in, numbers Y_0 ... out."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from saddlepoint.core.errors import BadData, Unsupported
from saddlepoint.models.onnx.convert import convert
from saddlepoint.models.onnx.file import read_onnx
from saddlepoint.models.onnx.load import require_agreement
from saddlepoint.models.onnx.session import first_line, only, open_session

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["FlatOnnx", "Rows", "load_flat"]

_LARGEST = 1 << 27  # numbers in one input


class Rows(nn.Module):
    """Give each sample to ``module`` in the shape that it takes, and its outputs as one row.

    >>> Rows(nn.Identity(), (1, 3))(torch.ones(2, 3)).shape
    torch.Size([2, 3])
    """

    def __init__(self, module: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.module, self.shape = module, shape

    def forward(self, x: Tensor) -> Tensor:
        """(B, *any) -> (B, outputs)."""
        x = x if x.shape[1:] == self.shape else x.reshape(len(x), *self.shape)
        out: Tensor = self.module(x)
        return out if out.dim() == 2 else out.reshape(len(x), -1)


@dataclass(frozen=True, eq=False)
class FlatOnnx:
    """A network with ``inputs`` numbers in and ``outputs`` out, both in row-major order.

    ``scores`` maps x (B, inputs) to float64 (B, outputs) through ONNX Runtime, one sample at a
    time. ``model`` maps x (B, *shape) to (B, outputs) in torch and agrees with it; it is None where
    the graph cannot be converted, and ``note`` says why.
    """

    scores: Callable[[Tensor], Tensor]
    model: nn.Module | None
    shape: tuple[int, ...]
    inputs: int
    outputs: int
    note: str = ""


def load_flat(path: Path, inputs: int | None = None) -> FlatOnnx:
    """Load an ONNX file of any input rank; ``inputs`` is how many numbers the property declares.

    The first axis is the batch where it is open, 1, or where the others alone hold ``inputs``
    numbers; else the file has no batch axis and one is put before it. Raises ``BadData`` for a
    damaged file, or one whose input cannot hold ``inputs`` numbers, ``Unsupported`` for several
    inputs or outputs, ``Missing`` when onnx or onnxruntime is not installed.
    """
    proto = read_onnx(path)
    scores = _Scores(proto.SerializeToString(), path, inputs)
    outputs = scores(torch.zeros(1, scores.inputs)).shape[1]
    try:
        model, note = _converted(proto, scores), ""
    except Unsupported as error:
        model, note = None, f"no bounds: {error}"
    return FlatOnnx(scores, model, scores.shape, scores.inputs, outputs, note)


def _converted(proto: "ModelProto", scores: "_Scores") -> nn.Module:
    """Return the torch module that agrees with onnxruntime, with a batch axis of its own."""
    problem: Unsupported | None = None
    for lifted in (False, True):
        if scores.copies > 1 if lifted else not scores.batched:
            continue
        try:
            shape = scores.full if lifted else scores.shape
            model = Rows(convert(proto, lifted=lifted), shape).eval()
            require_agreement(model, lambda x: scores(x.flatten(1)), scores.shape)
        except Unsupported as error:
            problem = problem or error
        else:
            return model
    raise problem or Unsupported("the graph cannot be converted")


class _Scores:
    """Outputs of onnxruntime for rows of numbers."""

    def __init__(self, content: bytes, path: Path, inputs: int | None) -> None:
        self._path, self._session = path, open_session(content, path)
        source = only(path, "input", self._session.get_inputs())
        only(path, "output", self._session.get_outputs())
        types = {"tensor(float)": torch.float32, "tensor(double)": torch.float64}
        if source.type not in types:
            raise Unsupported(f"{path}: takes {source.type}: must take floats or doubles")
        self._name, self._type = source.name, types[source.type]
        sizes = [size if isinstance(size, int) and size > 0 else None for size in source.shape]
        self.full = _filled(path, sizes, inputs)
        rest = self.full[1:]
        first = self.full[0] if self.full else 0
        alone = bool(rest) and inputs is not None and math.prod(rest) == inputs
        self.batched = bool(rest) and (first == 1 or alone)
        self.copies = first if self.batched else 1
        self.shape = rest if self.batched else (self.full or (1,))
        self.inputs = math.prod(self.shape)
        if inputs is not None and self.inputs != inputs:
            raise BadData(
                f"{path}: takes {self.inputs} numbers, as {list(self.full)}, but the property "
                f"declares {inputs} inputs"
            )

    def __call__(self, x: Tensor) -> Tensor:
        """(B, inputs) -> (B, outputs) in float64."""
        rows = x.detach().cpu().to(self._type)
        return torch.stack([self._one(row) for row in rows])

    def _one(self, row: Tensor) -> Tensor:
        given = row.reshape(self.full[1:] if self.batched else self.full)
        if self.batched:
            given = given.expand(self.copies, *given.shape)
        try:
            found = self._session.run(None, {self._name: given.contiguous().numpy()})[0]
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            shape = tuple(given.shape)
            raise BadData(
                f"{self._path}: onnxruntime failed on an input of shape {shape}: "
                f"{first_line(error)}"
            ) from error
        out = torch.from_numpy(found).double().flatten()
        return out[: out.numel() // self.copies]


def _filled(path: Path, sizes: list[int | None], inputs: int | None) -> tuple[int, ...]:
    """Return the input's shape with open sizes filled in: 1 in front, elsewhere what remains."""
    if sizes and sizes[0] is None and len(sizes) > 1:
        sizes = [1, *sizes[1:]]
    open_ = [i for i, size in enumerate(sizes) if size is None]
    known = math.prod(size for size in sizes if size is not None)
    if known > _LARGEST:
        raise BadData(f"{path}: claims inputs of shape {sizes}, too large to be true")
    if open_:
        if len(open_) > 1 or inputs is None or inputs % known:
            raise Unsupported(f"{path}: leaves sizes of its input open: {sizes}")
        sizes[open_[0]] = inputs // known
    return tuple(size for size in sizes if size is not None)
