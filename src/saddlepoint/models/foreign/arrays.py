"""A function of numpy arrays as a model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.core.errors import Invalid
from saddlepoint.models.foreign.answers import logarithms

__all__ = ["Arrays"]


class Arrays:
    """A callable that takes and returns numpy arrays, as a model of tensors.

    function: x (B, *F) float32 to scores (B, K). probabilities: whether these are probabilities,
    whose logarithms are then returned.

    >>> model = Arrays(lambda x: x @ np.eye(3))
    >>> model(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """

    access = "scores"

    def __init__(self, function: Callable[[Any], Any], probabilities: bool = False) -> None:
        if not callable(function) or isinstance(function, type):
            raise Invalid("function", function, "a callable from arrays to arrays")
        self.function, self.probabilities = function, probabilities

    def __call__(self, x: Tensor) -> Tensor:
        """Return the scores of a batch."""
        said = np.asarray(self.function(x.detach().cpu().numpy()))
        if self.probabilities:
            said = logarithms(said)
        return torch.from_numpy(np.ascontiguousarray(said, dtype=np.float32)).to(x.device)
