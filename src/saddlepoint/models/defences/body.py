"""The classifier inside a defence, and backward passes that its forward pass does not have."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from saddlepoint.core.errors import Invalid, closest
from saddlepoint.models.small import conv_medium, conv_small, madry_mnist, mlp

__all__ = ["BODIES", "backward_of", "body"]

BODIES: dict[str, Callable[..., nn.Module]] = {
    "conv-small": conv_small,
    "conv-medium": conv_medium,
    "madry-mnist": madry_mnist,
    "mlp": lambda shape, classes, width: mlp(shape, classes, hidden=(width,)),
}


def body(net: str, shape: Sequence[int], classes: int, width: int) -> nn.Module:
    """Return an untrained net; ``width``: filters of its first layer, or its hidden units.

    >>> body("mlp", (4,), 3, width=5)[1]
    Linear(in_features=4, out_features=5, bias=True)
    """
    if net not in BODIES:
        raise Invalid("net", net, "the net inside the defence", closest(str(net), BODIES))
    extra: dict[str, Any] = {"width": width}
    return BODIES[net](shape=tuple(shape), classes=classes, **extra)


def backward_of(value: Tensor, stand_in: Tensor) -> Tensor:
    """Return ``value``, bit for bit, with the gradient of ``stand_in`` (BPDA, 1802.00420, 4.1).

    >>> import torch
    >>> x = torch.tensor(0.4, requires_grad=True)
    >>> y = backward_of(x.round(), 3 * x)
    >>> y.item(), torch.autograd.grad(y, x)[0].item()
    (0.0, 3.0)
    """
    return value.detach() + (stand_in - stand_in.detach())
