"""Weight averaging: the model that is measured and kept lags behind the one that learns."""

import copy
from collections.abc import Collection

import torch
from torch import Tensor, nn

__all__ = ["Average", "masks"]


class Average(nn.Module):
    """``module`` is a copy whose ``update_parameters(model)`` does w_bar <- d w_bar + (1 - d) w.

    d = min(decay, (1 + n) / (10 + n)) at update n, so that the first steps, whose weights are
    worth little, are soon forgotten; the very first update copies. Batch statistics are averaged as
    well, constants of infinities (a mask) are copied. The count stays on the CPU: torch's own
    ``AveragedModel`` waits for the GPU at every tensor of every step.

    >>> net = nn.Linear(1, 1, bias=False)
    >>> mean = Average(net, 0.9)
    >>> mean.update_parameters(net)
    >>> bool(mean.module.weight == net.weight)
    True
    """

    n_averaged: Tensor

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        self.module, self.decay = copy.deepcopy(model), decay
        self.register_buffer("n_averaged", torch.zeros((), dtype=torch.int64))
        self._masks = masks(model)  # inf - inf is NaN

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take in the model as it stands."""
        n = int(self.n_averaged)
        d = min(self.decay, (1 + n) / (10 + n)) if n else 0.0
        # Sharded weights cannot share a call with buffers, which are whole.
        _blend(list(self.module.parameters()), list(model.parameters()), d)
        _blend(list(self.module.buffers()), list(model.buffers()), d, self._masks)
        self.n_averaged += 1


def masks(model: nn.Module) -> frozenset[int]:
    """Return the numbers of the buffers that are not finite by nature, as an attention mask."""
    return frozenset(k for k, b in enumerate(model.buffers()) if not bool(b.isfinite().all()))


def _blend(
    mean: list[Tensor], now: list[Tensor], d: float, masks: Collection[int] = frozenset()
) -> None:
    """Do all tensors in a few calls: on a GPU one for each takes longer than its arithmetic.

    masks: numbers of those that are copied as they are, as whole numbers are.
    """
    lagging: list[tuple[Tensor, Tensor]] = []
    copied: list[tuple[Tensor, Tensor]] = []
    for k, pair in enumerate(zip(mean, now, strict=True)):
        lags = d and pair[0].is_floating_point() and k not in masks
        (lagging if lags else copied).append(pair)
    if lagging:
        torch._foreach_lerp_([m for m, _ in lagging], [v for _, v in lagging], 1 - d)
    if copied:
        torch._foreach_copy_([m for m, _ in copied], [v for _, v in copied])
