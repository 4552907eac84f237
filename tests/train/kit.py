"""What the fixtures of these tests are."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from saddlepoint.train import TrainPlan

__all__ = ["Digits", "MakeNet", "MakePlan"]

Digits: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.int64], Tensor, Tensor]
MakeNet: TypeAlias = Callable[[], nn.Module]
MakePlan: TypeAlias = Callable[..., TrainPlan]
