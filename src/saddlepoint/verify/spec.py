"""What must not happen at the output, as linear rows."""

from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.core.errors import Unsupported
from saddlepoint.core.goal import Goal, Targeted, Untargeted

__all__ = ["Spec", "margins"]


@dataclass(frozen=True, eq=False)
class Spec:
    """Rows m_r(z) = <C_r, z> + d_r for B samples: broken where some group has all its rows > 0.

    weight: C, (B, R, K); offset: d, (B, R); group: (R,) int64, which rows belong together. A sample
    is certified when every group has a row whose upper bound is <= 0.

    >>> spec = Spec(torch.tensor([[[1.0, -1.0]]]), torch.zeros(1, 1), torch.zeros(1).long())
    >>> spec.margin(torch.tensor([[2.0, 5.0]]))
    tensor([-3.])
    """

    weight: Tensor
    offset: Tensor
    group: Tensor

    @property
    def groups(self) -> int:
        """Number of ways to break a sample."""
        return int(self.group.max()) + 1 if self.group.numel() else 0

    def rows(self, out: Tensor) -> Tensor:
        """(B, R) the rows at the output (B, K)."""
        return torch.einsum("brk,bk->br", self.weight, out) + self.offset

    def worst(self, rows: Tensor) -> Tensor:
        """(B,) largest over groups of the least row of each, from values or bounds (B, R)."""
        found = rows.new_full((len(rows), self.groups), torch.inf)
        index = self.group.to(rows.device).expand_as(rows)
        return found.scatter_reduce(1, index, rows, "amin").amax(1)

    def margin(self, out: Tensor) -> Tensor:
        """(B,) > 0 exactly where the sample is broken."""
        return self.worst(self.rows(out))

    def __getitem__(self, rows: Tensor) -> "Spec":
        return Spec(self.weight[rows], self.offset[rows], self.group)

    def to(self, dtype: torch.dtype) -> "Spec":
        """Return the spec in another floating type."""
        return Spec(self.weight.to(dtype), self.offset.to(dtype), self.group)


def margins(goal: Goal, classes: int, like: Tensor) -> Spec:
    """Return the margins of ``goal`` for scores (B, classes), in the type of ``like``.

    Leaving y: one group for each other class k, z_k - z_y. Reaching t: one group, z_t - z_k for
    every other k. Raises ``Unsupported`` for another goal.

    >>> margins(Untargeted(torch.tensor([1])), 3, torch.zeros(1)).weight
    tensor([[[ 1., -1.,  0.],
             [ 0., -1.,  1.]]])
    """
    if not isinstance(goal, Untargeted | Targeted):
        raise Unsupported(
            f"{type(goal).__name__}: bounds know the goals to leave a class and to reach one"
        )
    label = goal.label.to(like.device)
    eye = torch.eye(classes, dtype=like.dtype, device=like.device)
    others = torch.arange(classes - 1, device=like.device).expand(len(label), -1)
    others = others + (others >= label[:, None])  # every class but the label
    weight = (eye[others] - eye[label][:, None]) * goal.sign
    rows = torch.arange(classes - 1, device=like.device)
    group = rows if goal.sign > 0 else torch.zeros_like(rows)
    return Spec(weight, weight.new_zeros(weight.shape[:2]), group)
