"""Randomised models: answers averaged over draws, and verdicts by majority.

A defence may draw noise anew for each question. Its gradient at one draw is a guess, so an attack
follows the mean over several (expectation over transformation, 1707.07397 and 1802.00420, section
4.2); and one lucky draw is no break, so a verdict takes the majority of fresh draws.
"""

from typing import TypeVar

import torch
from torch import Tensor

from saddlepoint.core.errors import Unsupported

__all__ = ["ballot", "majority", "mean"]

A = TypeVar("A")


def mean(draws: list[A]) -> A:
    """Average answers of one shape; a single one is returned as it is.

    >>> mean([torch.tensor([1.0, 2.0]), torch.tensor([3.0, 2.0])])
    tensor([2., 2.])
    """
    if len(draws) == 1:
        return draws[0]
    if not all(isinstance(d, Tensor) for d in draws):
        raise Unsupported("only answers that are tensors can be averaged over draws: use eot=1")
    return torch.stack(draws).mean(0)  # type: ignore[arg-type,return-value]


def ballot(margins: list[Tensor], quorum: int) -> Tensor:
    """(B,) the margin that ``quorum`` of the draws reach: > 0 where as many are.

    NaN in any draw gives NaN, which is no break.

    >>> ballot([torch.tensor([1.0, 1.0]), torch.tensor([2.0, -1.0])], quorum=1)
    tensor([2., 1.])
    """
    if len(margins) == 1 and quorum == 1:
        return margins[0]
    said = torch.stack(margins)
    reached = said.sort(0).values[len(margins) - quorum]
    return torch.where(said.isnan().any(0), torch.nan, reached)


def majority(margins: list[Tensor]) -> Tensor:
    """(B,) median margin over draws, the lower one of two: > 0 where more than half are.

    >>> majority([torch.tensor([1.0, 1.0]), torch.tensor([2.0, -1.0])])
    tensor([ 1., -1.])
    """
    return ballot(margins, len(margins) // 2 + 1)
