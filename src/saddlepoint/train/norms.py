"""Batch norm in eval mode on GPUs, as the affine map it is there, in both directions."""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Affine", "affine_norms"]


class Affine(torch.autograd.Function):
    """y = x · scale + shift by channel, (B, C, H, W); its gradient is for x alone.

    Statistics are in float32 and x in its own type, as in batch norm itself. The gradient has the
    layout of x. zero, one: (C,), made once, since a kernel for each would cost as much as the map.

    >>> x, scale, shift = torch.ones(1, 2, 1, 1), torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0])
    >>> Affine.apply(x, scale, shift, torch.zeros(2), torch.ones(2)).flatten().tolist()
    [2.0, 4.0]
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, scale: Tensor, shift: Tensor, zero: Tensor, one: Tensor) -> Tensor:
        """Map x, (B, C, H, W)."""
        return _map(x, scale, shift, zero, one)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ANN401
        """Keep what the way back needs."""
        x, scale, _, zero, one = inputs
        ctx.save_for_backward(scale, zero, one)
        last = x.is_contiguous(memory_format=torch.channels_last)
        ctx.layout = torch.channels_last if last else torch.contiguous_format

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Map the gradient back."""
        scale, zero, one = ctx.saved_tensors
        g = grads[0].contiguous(memory_format=ctx.layout)
        return _map(g, scale, zero, zero, one), None, None, None, None


def _map(x: Tensor, scale: Tensor, shift: Tensor, zero: Tensor, one: Tensor) -> Tensor:
    """In one pass over x on a GPU, whatever the types; there is no such kernel for the CPU."""
    if not x.is_cuda:
        return (x * scale[:, None, None] + shift[:, None, None]).to(x.dtype)
    return torch.batch_norm_elemt(x, scale, shift, zero, one, 0.0)


@contextlib.contextmanager
def affine_norms(model: nn.Module) -> Iterator[None]:
    """Let batch norms of a model in eval mode keep the layout of gradients, while this lasts.

    For one gradient with respect to inputs: torch's own backward pass for fixed statistics returns
    a contiguous gradient to a channels-last network, so that every convolution copies it back (an
    H200 takes 8.3 ms in place of 5.7 for 512 images and a PreActResNet-18). A compiled model is
    left alone: it has fused these passes already. Elsewhere than on CUDA nothing changes.
    """
    modules = list(model.modules())
    norms = [m for m in modules if isinstance(m, nn.BatchNorm2d) and _fits(m)]
    # Not hasattr, which raises and catches an error for every module of every step.
    if any("_orig_mod" in m._modules or isinstance(m, nn.DataParallel) for m in modules):
        norms = []
    try:
        for m, maps in zip(norms, _maps(norms), strict=True):
            m.forward = partial(_apply, *maps)  # type: ignore[method-assign]
        yield
    finally:
        for m in norms:
            vars(m).pop("forward", None)  # an interrupt leaves some of them as they were


def _fits(m: nn.BatchNorm2d) -> bool:
    """Whether the layer is batch norm and no more, with fixed statistics and weights of its own.

    Sharded weights are put together for the pass alone.
    """
    own = type(m).forward is not nn.BatchNorm2d.forward or "forward" in vars(m)
    if own or m.training or m.running_mean is None or not _served(m.running_mean):
        return False
    return all(type(p) is nn.Parameter for p in m.parameters())


def _served(mean: Tensor) -> bool:
    """Whether the kernel is there for these statistics."""
    return mean.is_cuda and mean.dtype == torch.float32


@torch.no_grad()
def _maps(norms: Sequence[nn.BatchNorm2d]) -> list[tuple[Tensor, ...]]:
    """Each layer's (scale, shift, zero, one) for its present statistics; all in a few calls."""
    if not norms:
        return []
    means: list[Any] = [m.running_mean for m in norms]
    most = max(map(len, means))
    places = {mean.device: mean for mean in means}
    flat = {at: (mean.new_zeros(most), mean.new_ones(most)) for at, mean in places.items()}
    zeros, ones = ([flat[mean.device][k][: len(mean)] for mean in means] for k in (0, 1))
    weights: Any = [
        one if m.weight is None else m.weight for m, one in zip(norms, ones, strict=True)
    ]
    biases: Any = [zero if m.bias is None else m.bias for m, zero in zip(norms, zeros, strict=True)]
    variances: Any = [m.running_var for m in norms]
    scales: Any = torch._foreach_add(variances, [m.eps for m in norms])
    torch._foreach_sqrt_(scales)
    scales = torch._foreach_div(weights, scales)
    shifts = torch._foreach_sub(biases, torch._foreach_mul(means, scales))
    return list(zip(scales, shifts, zeros, ones, strict=True))


def _apply(scale: Tensor, shift: Tensor, zero: Tensor, one: Tensor, x: Tensor) -> Tensor:
    out: Tensor = Affine.apply(x, scale, shift, zero, one)  # type: ignore[no-untyped-call]
    return out
