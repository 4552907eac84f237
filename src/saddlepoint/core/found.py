"""What a search of the sets of samples returns."""

from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.core.ledger import Cost, Status

__all__ = ["Found"]


@dataclass(frozen=True, eq=False)
class Found:
    """The worst input found for each of B samples, and what it cost.

    x_adv: (B, *F) worst inputs; a survivor holds the best attempt. u: (B, *P) their parameters.
    margin: (B,) the goal's margin there, > 0 exactly where broken; clean_margin: (B,) before.
    status: one of ``broken | survived | error | not_run`` per sample. cost: passes per sample.
    nonfinite, zero_gradient: (B,) how often an answer or gradient was not finite, or all zero.
    error: the traceback of an attack that raised, else None. hits: under an ``Expectation``, (B,)
    at how many of its ``trials`` further draws the input reaches the goal, by which a break is
    judged; else None.

    >>> from saddlepoint import FGSM, Linf, search
    >>> search(FGSM(), torch.nn.Identity(), torch.eye(2), torch.tensor([0, 0]), Linf(eps=0.1))
    Found(survived=1, broken=1, robust_accuracy<=0.5000)
    """

    x_adv: Tensor
    u: Tensor
    margin: Tensor
    clean_margin: Tensor
    status: tuple[Status, ...]
    cost: Cost
    nonfinite: Tensor
    zero_gradient: Tensor
    error: str | None = None
    hits: Tensor | None = None

    @property
    def broken(self) -> Tensor:
        """(B,) bool."""
        return torch.tensor([s is Status.BROKEN for s in self.status], dtype=torch.bool)

    @property
    def robust_accuracy(self) -> float:
        """Share of *all* samples that were not broken: an upper bound on robust accuracy."""
        return 1.0 - self.broken.double().mean().item()

    def __repr__(self) -> str:
        counts = {s.value: self.status.count(s) for s in Status if s in self.status}
        said = ", ".join(f"{k}={v}" for k, v in counts.items())
        return f"Found({said}, robust_accuracy<={self.robust_accuracy:.4f})"
