"""Whatever answers questions, as a model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from saddlepoint.core.errors import Invalid
from saddlepoint.models.foreign.estimator import Estimator
from saddlepoint.models.foreign.session import SessionScores
from saddlepoint.models.loaded import Loaded, Model

__all__ = ["as_model", "asked"]

_FORMS = (
    "a torch module, a function from inputs (B, *F) to scores (B, K), a fitted scikit-learn "
    "classifier, or an ONNX Runtime session"
)


def asked(model: object) -> bool:
    """Whether this is asked by methods of another library's kind."""
    session = hasattr(model, "get_inputs") and hasattr(model, "run")
    return session or (hasattr(model, "fit") and hasattr(model, "predict"))


def as_model(model: Any) -> Model:  # noqa: ANN401
    """Return a model for what other libraries call one; modules and callables stay themselves.

    Raises ``Invalid`` for what cannot be asked.

    >>> as_model(abs) is abs
    True
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> type(as_model(DecisionTreeClassifier().fit([[0.0], [1.0]], [0, 1]))).__name__
    'Estimator'
    """
    if isinstance(model, nn.Module):
        return model
    if asked(model) and not isinstance(model, type):
        return SessionScores(model) if hasattr(model, "run") else Estimator(model)
    if callable(model) and not isinstance(model, type):
        return model  # type: ignore[no-any-return]
    raise Invalid("model", type(model).__name__, _FORMS, _meant(model))


def _meant(model: object) -> str:
    """What was probably meant by something that is no model."""
    if isinstance(model, type):
        return "pass an instance, not the class"
    if isinstance(model, Loaded):
        return "pass its .model"
    if isinstance(model, str | Path):
        return f"load_model({str(model)!r}).model is what a file holds"
    if isinstance(model, Mapping):
        return "weights alone: make the module, then module.load_state_dict(weights)"
    return ""
