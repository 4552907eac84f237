"""What held-out accuracy counts."""

import torch
from torch import Tensor, nn

from saddlepoint.train.measure import measure
from saddlepoint.train.samples import Samples
from tests.train.kit import Digits, MakePlan


class Brittle(nn.Module):
    """Right on every clean input; NaN as soon as an input is moved."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(()))
        self.rows = {row.numpy().tobytes(): int(label) for row, label in zip(x, y, strict=True)}

    def forward(self, x: Tensor) -> Tensor:
        known = [self.rows.get(row.detach().numpy().tobytes(), -1) for row in x]
        label = torch.tensor(known)
        out = (
            nn.functional.one_hot(label.clamp(min=0), 10) * self.one
            + 0 * x.flatten(1).sum(1)[:, None]
        )
        return torch.where(label[:, None] >= 0, out, torch.nan)


def test_an_answer_that_is_not_finite_is_not_robust(plan: MakePlan, digits: Digits) -> None:
    x, y, *_ = digits
    samples = Samples.of(plan(), x, y)
    held = samples.measured()
    clean, robust, own = measure(Brittle(held.x, held.y), samples, None)
    assert (clean, robust, own) == (1.0, 0.0, None)
