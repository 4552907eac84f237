"""What training borrows from the caller, and gives back however it ends."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

__all__ = ["left_as_found"]


@contextlib.contextmanager
def left_as_found(model: nn.Module, device: str) -> Iterator[None]:
    """Put back modes, ``requires_grad``, device, layout and random state; drop gradients."""
    modes = [(m, m.training) for m in model.modules()]
    wants = [(p, p.requires_grad) for p in model.parameters()]
    place = next(model.parameters()).device
    layouts = [(p, p.is_contiguous()) for p in model.parameters()]
    # A seed is given to all GPUs that have been woken, whichever of them trains.
    wakes = device != "cpu" and torch.cuda.is_available()
    woken = wakes or torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cuda = list(range(torch.cuda.device_count())) if woken else []
    try:
        with torch.random.fork_rng(devices=cuda):
            yield
    finally:
        for m, training in modes:
            m.training = training
        for p, flag in wants:
            p.requires_grad_(flag)
        model.zero_grad(set_to_none=True)
        model.to(place)
        for p, contiguous in layouts:
            if contiguous:
                p.data = p.data.contiguous()
