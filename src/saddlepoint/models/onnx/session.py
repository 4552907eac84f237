"""Scores from onnxruntime, for models whose gradients we cannot have."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.core.errors import BadData, Missing, Unsupported

__all__ = ["OnnxScores", "first_line", "only", "open_session"]

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
}


class OnnxScores:
    """A callable that maps x (B, *shape) to the model's output (B, …) through onnxruntime.

    A batch size that is baked into the file is served by running in pieces, the last one filled
    up. Results come back as float32 on the device of x, without gradients. Raises ``Unsupported``
    for models with several inputs or outputs, or inputs that are not floats; ``BadData`` when
    onnxruntime refuses the model or fails on a batch; ``Missing`` when it is not installed.
    """

    def __init__(self, content: bytes, path: Path) -> None:
        self._path = path
        self._session = open_session(content, path)
        source = only(path, "input", self._session.get_inputs())
        target = only(path, "output", self._session.get_outputs())
        if source.type not in _TYPES:
            raise Unsupported(f"{path}: takes {source.type}: must take floats, in [0, 1]")
        if target.type not in _TYPES:
            raise Unsupported(f"{path}: returns {target.type}: must return scores as floats")
        self._name, self._type = source.name, _TYPES[source.type]
        if not source.shape:
            raise Unsupported(f"{path}: its input has no batch dimension")
        first, *rest = source.shape
        self.batch: int | None = first if isinstance(first, int) and first > 0 else None
        known = all(isinstance(size, int) and size > 0 for size in rest)
        self.shape: tuple[int, ...] | None = tuple(rest) if known else None

    def __call__(self, x: Tensor) -> Tensor:
        """Return the scores of a batch of any size."""
        rows = x.detach().cpu().numpy().astype(self._type, copy=False)
        if self.batch is None or not len(rows):
            scores = self._run(rows)
        else:
            scores = np.concatenate(
                [self._piece(rows[i : i + self.batch]) for i in range(0, len(rows), self.batch)]
            )
        return torch.from_numpy(scores.astype(np.float32, copy=False)).to(x.device)

    def fix_batch(self, size: int) -> None:
        """Run in pieces of ``size`` from now on."""
        self.batch = size

    def _piece(self, rows: NDArray[Any]) -> NDArray[Any]:
        lacking = (self.batch or len(rows)) - len(rows)
        full = np.concatenate([rows, np.repeat(rows[-1:], lacking, axis=0)]) if lacking else rows
        return self._run(full)[: len(rows)]

    def _run(self, rows: NDArray[Any]) -> NDArray[Any]:
        try:
            found: NDArray[Any] = self._session.run(None, {self._name: np.ascontiguousarray(rows)})[
                0
            ]
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            problem = first_line(error)
            raise BadData(
                f"{self._path}: onnxruntime failed on a batch of shape {rows.shape}: {problem}"
            ) from error
        if found.ndim == 0 or len(found) != len(rows):
            raise BadData(
                f"{self._path}: {len(rows)} inputs gave an output of shape {found.shape}: "
                "there must be one row for each"
            )
        return found


def open_session(content: bytes, path: Path) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """Return onnxruntime's session, on the CPU and with as many threads as torch has."""
    try:
        import onnxruntime
    except ImportError as error:
        raise Missing("onnxruntime", "onnx") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what matters comes as an exception
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # see above
        raise BadData(
            f"{path}: damaged or not an ONNX model; onnxruntime says: {first_line(error)}"
        ) from error


def only(path: Path, what: str, found: list[Any]) -> Any:  # noqa: ANN401
    """Return the single input or output; ``Unsupported`` when there are several."""
    if len(found) != 1:
        names = ", ".join(item.name for item in found) or "none"
        raise Unsupported(
            f"{path}: has {len(found)} {what}s ({names}): must have one; "
            f"export the model with {'images in' if what == 'input' else 'logits out'} only"
        )
    return found[0]


def first_line(error: Exception) -> str:
    """Return what an error says, in one line."""
    return str(error).strip().partition("\n")[0][:300]
