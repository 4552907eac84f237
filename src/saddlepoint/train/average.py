"""Weight averaging: the model that is measured and kept lags behind the one that learns."""

import copy
from itertools import chain

import torch
from torch import Tensor, nn

__all__ = ["Average"]


class Average(nn.Module):
    """``module`` is a copy whose ``update_parameters(model)`` does w_bar <- d w_bar + (1 - d) w.

    d = min(decay, (1 + n) / (10 + n)) at update n, so that the first steps, whose weights are
    worth little, are soon forgotten; the very first update copies. Batch statistics are averaged as
    well. The count stays on the CPU: torch's own ``AveragedModel`` waits for the GPU at every
    tensor of every step.

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

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take in the model as it stands."""
        n = int(self.n_averaged)
        d = min(self.decay, (1 + n) / (10 + n)) if n else 0.0
        mine = chain(self.module.parameters(), self.module.buffers())
        for mean, now in zip(mine, chain(model.parameters(), model.buffers()), strict=True):
            if n and mean.is_floating_point():
                mean.lerp_(now, 1 - d)
            else:
                mean.copy_(now)
        self.n_averaged += 1
