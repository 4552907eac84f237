"""Random threat-model cases: a set, inputs, points to project and gradients to climb."""

from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from saddlepoint.core.draw import Draw
from tests.table import ThreatRow

SHAPES = ((5,), (3, 4), (2, 3, 3), (1,), (64,))
B = 3


@dataclass(frozen=True)
class Case:
    row: ThreatRow
    threat: Any
    x: Tensor
    seed: int

    @property
    def reach(self) -> float:
        """A length that matters here, to scale perturbations by."""
        low, high = self.row.box
        return max(self.row.eps, 0.05 * min(high - low, 2.0))

    def tensor(self, tag: str, size: float = 1.0) -> Tensor:
        """Normal noise like x, of a given size."""
        noise = Draw.of(self.seed, torch.arange(len(self.x))).tag(tag).normal(*self.x.shape[1:])
        return noise.to(self.x.dtype) * size

    def gradient(self, tag: str = "g") -> Tensor:
        """Heavy-tailed, with exact zeros and one row of nothing else."""
        g = self.tensor(tag) * self.tensor(tag + "tail").exp()
        g = torch.where(self.tensor(tag + "zero") > 1.0, 0, g)
        return torch.cat([g[:-1], torch.zeros_like(g[-1:])]) if self.seed % 4 == 0 else g

    def draw(self, tag: str = "member") -> Draw:
        return Draw.of(self.seed, torch.arange(len(self.x)) + 7).tag(tag)

    def members(self) -> list[Tensor]:
        """Points of the set that come about in different ways."""
        t, x = self.threat, self.x
        a, b = t.sample(x, self.draw("a")), t.maximise(x, self.gradient("v"))
        far = t.project(x, self.tensor("far", 10 * self.reach))
        near = t.project(x, self.tensor("near", self.reach))
        return [t.start(x), a, b, far, near, (a + b) / 2, 0.25 * b + 0.75 * far]


@st.composite
def cases(draw: st.DrawFn, row: ThreatRow, dtypes: tuple[torch.dtype, ...] = ()) -> Case:
    dtype = draw(st.sampled_from(dtypes or (torch.float32, torch.float64)))
    shape = draw(st.sampled_from(SHAPES))
    if row.order != float("inf") and shape == (1,):
        shape = (2,)
    seed = draw(st.integers(0, 2**20))
    return Case(row, row.make(B), row.inputs(B, shape, seed, dtype), seed)
