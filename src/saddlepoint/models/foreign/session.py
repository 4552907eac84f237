"""An ONNX Runtime session as a model that gives scores, or labels."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.core.access import Access
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.models.foreign.answers import (
    Array,
    answers_sha256,
    as_columns,
    classes_of,
    logarithms,
    one_hot,
)

__all__ = ["SessionScores"]

_FLOATS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
_MAPS = ("seq(map(int64,tensor(float)))", "seq(map(int64,tensor(double)))")


class SessionScores:
    """Ask a session: x (B, *F), reshaped to its input, to scores (B, K).

    Of several outputs the floats or maps of floats are taken, else class indices as one-hot rows,
    which grant access to labels only; ``output`` names another. Outputs whose name speaks of
    probabilities, and maps, become logarithms; ``probabilities`` overrules. classes: how many there
    are, where only labels come back.

    Raises ``Unsupported`` for several inputs and for outputs that are neither.
    """

    def __init__(
        self,
        session: Any,  # noqa: ANN401 - onnxruntime has no types
        output: str | None = None,
        probabilities: bool | None = None,
        classes: int | None = None,
    ) -> None:
        inputs = session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _FLOATS:
            kinds = ", ".join(f"{i.name}: {i.type}" for i in inputs)
            raise Unsupported(f"the session takes {kinds or 'nothing'}: it must take one of floats")
        self.session, self._input, self._type = session, inputs[0].name, _FLOATS[inputs[0].type]
        rest = inputs[0].shape[1:]
        known = all(isinstance(size, int) and size > 0 for size in rest)
        self.shape: tuple[int, ...] | None = tuple(rest) if known and rest else None
        found = _output(session.get_outputs(), output)
        self._output, self._maps = found.name, found.type in _MAPS
        self._labels = found.type == "tensor(int64)"
        self.access: Access = "labels" if self._labels else "scores"
        sure = self._maps or "prob" in found.name.lower()
        self.probabilities = sure if probabilities is None else probabilities
        self.classes = classes
        if self._labels and classes is None:
            raise Invalid("classes", None, "the number of classes: the session returns labels only")

    @property
    def sha256(self) -> str:
        """Hash of its answers to fixed inputs; empty where the size of these is open."""
        return "" if self.shape is None else answers_sha256(self, self.shape)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the scores of a batch."""
        rows = x.detach().cpu().numpy().astype(self._type, copy=False)
        if self.shape is not None:
            rows = rows.reshape(len(rows), *self.shape)
        said = self.session.run([self._output], {self._input: np.ascontiguousarray(rows)})[0]
        scores = np.ascontiguousarray(self._scores(said), dtype=np.float32)
        return torch.from_numpy(scores).to(x.device)

    def _scores(self, said: Any) -> Array:  # noqa: ANN401 - an array or a list of maps
        if self._labels:
            return one_hot(np.asarray(said).reshape(-1), self.classes or 0)
        if self._maps:
            keys = sorted(said[0])
            rows = np.array([[row[k] for k in keys] for row in said])
            return as_columns(
                logarithms(rows) if self.probabilities else rows, classes_of(keys, "classes")
            )
        return logarithms(said) if self.probabilities else np.asarray(said)


def _output(outputs: list[Any], name: str | None) -> Any:  # noqa: ANN401
    """Return the output to read: the named one, else scores, else labels."""
    readable = [o for o in outputs if o.type in (*_FLOATS, *_MAPS, "tensor(int64)")]
    if name is not None:
        readable = [o for o in readable if o.name == name]
    ranked = sorted(readable, key=lambda o: o.type == "tensor(int64)")
    if not ranked:
        there = ", ".join(f"{o.name}: {o.type}" for o in outputs)
        raise Unsupported(f"the session returns {there}: none of them are scores or class indices")
    return ranked[0]
