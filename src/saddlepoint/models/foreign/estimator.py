"""A classifier of scikit-learn's kind as a model that gives scores, or labels."""

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

__all__ = ["Estimator"]


class Estimator:
    """Ask a fitted classifier: x (B, *F), flattened to its features, to scores (B, K).

    Scores are logarithms of ``predict_proba``, else ``decision_function``, else one-hot rows of
    ``predict``, which grant access to labels only. Classes have to be indices 0 … K-1, as the data
    has them; one that was absent in training never wins.

    Raises ``Invalid`` for what is no fitted classifier, ``Unsupported`` for inputs of another size.

    >>> from sklearn.linear_model import LogisticRegression
    >>> fitted = LogisticRegression().fit(np.eye(2), [0, 1])
    >>> Estimator(fitted)(torch.eye(2)).argmax(1)
    tensor([0, 1])
    """

    def __init__(self, fitted: Any) -> None:  # noqa: ANN401 - whatever has the methods
        known = getattr(fitted, "classes_", None)
        if known is None:
            hint = "fit it first; a regressor has no classes"
            raise Invalid("model", type(fitted).__name__, "a fitted classifier", hint)
        self.fitted, self.classes = fitted, classes_of(known, "model.classes_")
        verbs = ("predict_proba", "decision_function", "predict")
        self.verb = next((v for v in verbs if hasattr(fitted, v)), "")
        if not self.verb:
            raise Invalid("model", type(fitted).__name__, "a classifier with one of " + str(verbs))
        self.access: Access = "labels" if self.verb == "predict" else "scores"
        size = getattr(fitted, "n_features_in_", None)
        self.features = int(size) if size is not None else None

    @property
    def sha256(self) -> str:
        """Hash of its answers to fixed inputs; empty where the number of features is unknown."""
        return "" if self.features is None else answers_sha256(self, (self.features,))

    def __call__(self, x: Tensor) -> Tensor:
        """Return the scores of a batch."""
        rows = x.detach().cpu().reshape(len(x), -1).numpy().astype(np.float64)
        if self.features is not None and rows.shape[1] != self.features:
            raise Unsupported(
                f"{type(self.fitted).__name__} was fitted on {self.features} features; these "
                f"inputs have {rows.shape[1]} numbers"
            )
        said = np.asarray(getattr(self.fitted, self.verb)(rows))
        scores = np.ascontiguousarray(self._scores(said), dtype=np.float32)
        return torch.from_numpy(scores).to(x.device)

    def _scores(self, said: Array) -> Array:
        if self.verb == "predict":
            return one_hot(said, int(self.classes.max()) + 1)
        if self.verb == "predict_proba":
            return as_columns(logarithms(said), self.classes)
        if said.ndim == 1:  # of two classes, the score of the second against the first
            said = np.stack([-said / 2, said / 2], axis=1)
        if said.shape[1] != len(self.classes):
            raise Unsupported(
                f"{said.shape[1]} decision functions for {len(self.classes)} classes: "
                "set decision_function_shape='ovr'"
            )
        return as_columns(said, self.classes)
