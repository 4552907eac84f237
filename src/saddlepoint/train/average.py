"""Weight averaging: the model that is measured and kept lags behind the one that learns."""

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

__all__ = ["averaged"]


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """Return a copy whose ``update_parameters(model)`` does w_bar <- d w_bar + (1 - d) w.

    d = min(decay, (1 + n) / (10 + n)) at update n, so that the first steps, whose weights are
    worth little, are soon forgotten. Batch statistics are averaged as well.

    >>> net = nn.Linear(1, 1, bias=False)
    >>> mean = averaged(net, 0.9)
    >>> mean.update_parameters(net)
    >>> bool(mean.module.weight == net.weight)
    True
    """

    def blend(mean: Tensor, now: Tensor, count: Tensor | int) -> Tensor:
        d = min(decay, (1 + float(count)) / (10 + float(count)))
        return mean.lerp_(now, 1 - d) if mean.is_floating_point() else now

    return AveragedModel(model, avg_fn=blend, use_buffers=True)
