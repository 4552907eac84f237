"""What loading a model gives: the model, and what is known about it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor, nn

from saddlepoint.core.access import Access

__all__ = ["Loaded", "Model"]

Model: TypeAlias = nn.Module | Callable[[Tensor], Tensor]
"""Whatever maps a batch (B, *F) to scores (B, K): a module, or a function without gradients."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model in evaluation mode that maps x (B, *shape) in [0, 1] to scores (B, classes).

    ``access`` is "gradients" or "scores", what may be asked of it; ``sha256`` is that of the file,
    or of parameters and buffers when there is no file; ``shape`` and ``classes`` are None where
    unknown; ``arch`` is the architecture or what stands in for it, ``name`` where it came from.
    ``note`` says what the user should know, such as why there are no gradients.
    """

    model: Model
    arch: str
    name: str
    access: Access
    sha256: str
    shape: tuple[int, ...] | None = None
    classes: int | None = None
    note: str = ""
