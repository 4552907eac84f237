"""Answers of other libraries as scores that a search can climb."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.core.errors import Invalid

__all__ = ["answers_sha256", "as_columns", "classes_of", "logarithms", "one_hot"]

Array = np.ndarray[Any, Any]
_LEAST = 1e-12  # a class without a probability still has a place in the order


def logarithms(probabilities: Array) -> Array:
    """Probabilities as scores: margins between logarithms do not vanish where the model is sure.

    >>> logarithms(np.array([[1.0, 0.0]])).round(2)
    array([[  0.  , -27.63]])
    """
    found: Array = np.log(np.clip(probabilities, _LEAST, None))
    return found


def one_hot(labels: Array, classes: int) -> Array:
    """(B, K) scores of an answer that is a class index alone; raises ``Invalid`` for others.

    >>> one_hot(np.array([1]), 3)
    array([[0., 1., 0.]])
    """
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        wrong = labels[(labels < 0) | (labels >= classes)][0]
        raise Invalid("model(x)", f"<class {wrong}>", f"a class index in 0 … {classes - 1}")
    found: Array = np.eye(classes)[labels.astype(np.int64)]
    return found


def classes_of(found: Sequence[Any] | Array, name: str) -> Array:
    """(K,) indices of a model's classes, in its own order; raises ``Invalid`` for names."""
    known = np.asarray(found)
    if known.ndim != 1 or not len(known) or known.dtype.kind not in "iub" or int(known.min()) < 0:
        hint = "train on labels 0 … K-1, or wrap the model in a function that returns scores"
        raise Invalid(name, known[:4].tolist(), "class indices, as the data has them", hint)
    return known.astype(np.int64)


def as_columns(scores: Array, classes: Array) -> Array:
    """(B, K) scores by class index; a class that the model does not know scores below the rest."""
    if len(classes) == int(classes.max()) + 1 and (np.diff(classes) == 1).all():
        return scores
    least = scores.min(axis=1, keepdims=True) - 1
    found = np.repeat(least, int(classes.max()) + 1, axis=1)
    found[:, classes] = scores
    return found


def answers_sha256(model: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> str:
    """Hash of the answers to 64 fixed inputs: the identity of a model without weights to read.

    >>> answers_sha256(lambda x: x, (2,)) == answers_sha256(lambda x: x + 0.0, (2,))
    True
    """
    x = torch.rand(64, *shape, generator=torch.Generator().manual_seed(0))
    said = model(x).detach().double().cpu().numpy()
    return hashlib.sha256(np.round(said, 6).tobytes()).hexdigest()
