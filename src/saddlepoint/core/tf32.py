"""float32 that is float32 on a GPU, whose convolutions round to 10 bits unless told otherwise."""

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import backends

__all__ = ["without_tf32"]


@contextlib.contextmanager
def without_tf32() -> Iterator[None]:
    """Keep NVIDIA's TensorFloat-32 out of convolutions, and then put it back.

    torch lets cuDNN use it by default: answers then differ from a CPU's in the fourth digit, and a
    break that was found near the boundary is none where somebody replays it. Matrix products do
    without it already, unless their owner has decided otherwise. A flag that followed
    ``torch.backends.cudnn.fp32_precision`` has the same value of its own afterwards.

    >>> with without_tf32():
    ...     backends.cudnn.allow_tf32
    False
    """
    before = list(_flags())
    try:
        for part, name, was in before:
            setattr(part, name, False if isinstance(was, bool) else "ieee")
        yield
    finally:
        for part, name, was in before:
            setattr(part, name, was)


def _flags() -> Iterator[tuple[Any, str, Any]]:
    """Every flag that says it, as (owner, name, value), in an order that torch can be told them.

    Since torch 2.9 each operator has one, and asking by the old name is an error where these and
    the old one disagree: where the old one is in use it is set as well, and first, so that who asks
    inside is answered.
    """
    cudnn: Any = backends.cudnn
    with contextlib.suppress(RuntimeError):
        yield cudnn, "allow_tf32", cudnn.allow_tf32
    for part in (cudnn.conv, cudnn.rnn) if hasattr(cudnn, "conv") else ():
        yield part, "fp32_precision", part.fp32_precision
