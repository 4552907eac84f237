"""Channels-last memory, which bfloat16 kernels want, for the models that stand it."""

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.core.modes import evaluating

__all__ = ["channels_last", "laid_out", "stands"]


def channels_last(x: Tensor) -> Tensor:
    """Return images (B, C, H, W) in that layout, and anything else as it is.

    >>> channels_last(torch.zeros(2, 3, 4, 4)).is_contiguous(memory_format=torch.channels_last)
    True
    """
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def laid_out(model: nn.Module, x: Tensor) -> bool:
    """Lay the kernels of ``model`` out channels-last, in place, where it then still works.

    x: (B, *F), a few inputs, which are asked once, forwards and backwards. A model that flattens
    images by ``view``, say, works on contiguous memory only: it is put back, and the answer is
    False. Kernels are weights of four axes; others have no such layout.

    >>> net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten())
    >>> laid_out(net, torch.zeros(1, 3, 4, 4)), net[0].weight.stride()
    (True, (27, 1, 9, 3))
    """
    _lay(model, torch.channels_last)
    if stands(model, x):
        return True
    _lay(model, torch.contiguous_format)
    return False


def _lay(model: nn.Module, layout: torch.memory_format) -> None:
    def laid(t: Tensor) -> Tensor:
        return t.to(memory_format=layout) if t.dim() == 4 else t

    model._apply(laid)  # type: ignore[no-untyped-call]


def stands(model: Callable[[Tensor], Any], x: Tensor) -> bool:
    """Whether the model answers x in channels-last memory, and has a gradient there, if any.

    >>> stands(lambda x: x.view(len(x), -1), torch.zeros(1, 3, 4, 4))
    False
    """
    devices = [x.device] if x.device.type == "cuda" else []
    still = evaluating(model) if isinstance(model, nn.Module) else contextlib.nullcontext()
    with still, torch.random.fork_rng(devices=devices), torch.enable_grad():
        leaf = channels_last(x.detach().clone()).requires_grad_()
        try:
            out = model(leaf)
            if isinstance(out, Tensor) and out.requires_grad:
                torch.autograd.grad(out.float().sum(), leaf, allow_unused=True)
        except torch.cuda.OutOfMemoryError:
            raise  # a RuntimeError that says nothing about the layout
        except RuntimeError:
            return False
    return True
