"""What an operator of a network must say about itself to be bounded.

B counts samples, R rows: linear functions of an operator's output whose minimum is wanted. A
coefficient ``a`` of the output is (B, R, *out); an operator turns it into coefficients of its
inputs, (B, R, *in), so that  <a, op(x)> >= sum_i <a_i, x_i> + constant  (CROWN, 1811.00866).
"""

from collections.abc import Callable
from typing import ClassVar, NamedTuple, Protocol, TypeGuard, runtime_checkable

import torch
from torch import Tensor

from saddlepoint.verify.interval import Interval

__all__ = ["Linear", "Lines", "Operator", "Relaxed", "fold", "relaxes", "unfold"]


class Operator(Protocol):
    """A function of one or more tensors, sample by sample."""

    # Properties, because the number of inputs differs by operator.
    @property
    def forward(self) -> Callable[..., Tensor]:
        """(B, *in) of each input -> (B, *out)."""
        ...

    @property
    def ibp(self) -> Callable[..., Interval]:
        """Interval of the output when every input lies in its interval (1810.12715)."""
        ...


@runtime_checkable
class Linear(Operator, Protocol):
    """An operator that is linear in its inputs, up to a constant."""

    def transpose(self, a: Tensor, shapes: tuple[torch.Size, ...]) -> tuple[Tensor | None, ...]:
        """Coefficients (B, R, *in) of every input, None for zero; ``shapes`` are per sample."""
        ...

    def constant(self, a: Tensor) -> Tensor | None:
        """(B, R) what the operator's own offset adds, None for nothing."""
        ...


class Lines(NamedTuple):
    """low_slope z + low_offset <= f(z) <= high_slope z + high_offset, element by element."""

    low_slope: Tensor
    low_offset: Tensor | None  # None: zero
    high_slope: Tensor
    high_offset: Tensor


@runtime_checkable
class Relaxed(Operator, Protocol):
    """A function of each element, bounded by two lines over an interval.

    Every ``t`` in [0, 1] gives lines that hold; which of them is tight depends on the rest of the
    network, so t is what alpha-CROWN optimises and what a certificate stores (2011.13824).
    """

    free: ClassVar[tuple[bool, bool]]  # whether t moves the lower line, the upper line

    def frame(self, x: Interval) -> tuple[Tensor, ...]:
        """Everything about the lines over the interval x (B, *shape) that t does not change."""
        ...

    def turn(self, frame: tuple[Tensor, ...], low: Tensor | None, high: Tensor | None) -> Lines:
        """Return the lines of a frame for t as in ``lines``."""
        ...

    def tilt(self, frame: tuple[Tensor, ...], z: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """(B, R, *shape) how fast the value of either line at z rises with t, None if not free."""
        ...

    def lines(self, x: Interval, low: Tensor | None, high: Tensor | None) -> Lines:
        """Lines for the interval x (B, *shape); ``low`` and ``high`` are t, (B or 1, R or none…).

        None stands for the choice that is best for one neuron alone.
        """
        ...

    def default(self, x: Interval) -> tuple[Tensor | None, Tensor | None]:
        """(B, *shape) the t of either line that is best for one neuron alone, None if not free."""
        ...

    def bent(self, x: Interval) -> Tensor:
        """(B, *shape) bool: the two lines differ, so that tighter bounds or a split would help."""
        ...

    def knot(self, x: Interval) -> Tensor:
        """(B, *shape) the point at which a bent element is best split in two."""
        ...


_RELAXED: dict[type, bool] = {}


def relaxes(op: object) -> TypeGuard[Relaxed]:
    """Whether an operator is relaxed; asked so often that the answer is kept by type.

    >>> from saddlepoint.verify.operators.piecewise import Bend
    >>> relaxes(Bend()), relaxes(None)
    (True, False)
    """
    kind = type(op)
    if kind not in _RELAXED:
        _RELAXED[kind] = isinstance(op, Relaxed)
    return _RELAXED[kind]


def fold(a: Tensor) -> Tensor:
    """(B, R, *out) -> (B R, *out)."""
    return a.flatten(0, 1)


def unfold(a: Tensor, like: Tensor) -> Tensor:
    """(B R, *in) -> (B, R, *in), with B and R of ``like``."""
    return a.reshape(*like.shape[:2], *a.shape[1:])
