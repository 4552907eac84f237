"""A patch whose place the adversary chooses: a change of x that fits under it somewhere."""

from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.shapes import flat, like
from saddlepoint.threats.placed import Placed

__all__ = ["Roaming"]


@dataclass(frozen=True, eq=False)
class Roaming:
    """{u : u is zero outside one shifted copy of the mask, low <= x + u <= high}.

    u is (B, C, H, W), the change, so that its place is where it is not zero. mask: (h, w) bool. The
    union over places is not convex, but its nearest and its best member are found by trying all.
    """

    mask: Tensor
    box: tuple[float, float]

    def start(self, x: Tensor) -> Tensor:
        """No change."""
        return torch.zeros_like(x, memory_format=torch.contiguous_format)

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """x + u."""
        return x + u

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """Uniform content at a uniform place."""
        low, high = self.box
        (h, w), (height, width) = self.mask.shape, x.shape[2:]
        down = draw.tag("top").integers(height - h + 1, 1)[:, 0]
        across = draw.tag("left").integers(width - w + 1, 1)[:, 0]
        new = draw.tag("content").uniform(*x.shape[1:]).to(x.dtype) * (high - low) + low
        return self._clip(x, (new - x) * self._under(x, down, across))

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Nearest point: under the mask where it saves most of the distance, cut to the box.

        Keeping a value at c, u cut to the box, saves u^2 - (u - c)^2.
        """
        c = self._clip(x, u)
        return c * self._best(c * (2 * u - c))

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """Half the input range along the sign, where the patch is and where it would gain most.

        In the second place the step is so long that a whole one outweighs what the first holds, and
        ``project`` moves the patch; a share of one refines the patch where it is.
        """
        low, high = self.box
        width = high - low
        room = torch.where(g > 0, high - x, x - low) * (g != 0)
        best = self._best(g.abs() * room)
        c = self._clip(x, u)
        placed = self._best(c * c) & like((flat(c) != 0).any(1), c)
        there = best & ~placed
        values = float(self.mask.sum()) * x.shape[1]
        short = flat(room * there).sum(1).clamp(min=1e-12)  # what the new place has room for
        reach = like((2 * values * width / short).clamp(1.0, 1e4), g) * width
        return g.sign() * torch.where(there, reach, width / 2) * (best | placed)

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        """(B,) bool: all changes fit under one copy of the mask, within the box up to ``tol``."""
        x, u = x.double(), u.double()
        low, high = self.box
        slack = tol * max(1.0, high - low)
        moved = (x + u).flatten(1)
        inside = ((moved >= low - slack) & (moved <= high + slack)).all(1)
        changed = (u != 0).any(1).double()
        covered = self._sums(changed).flatten(1).amax(1)
        return inside & (covered > changed.sum((1, 2)) - 0.5)

    def _best(self, score: Tensor) -> Tensor:
        """(B, 1, H, W) bool: under the mask, where ``score`` (B, C, H, W) adds up to most."""
        return self._under(score, *self._place(score))

    def _place(self, score: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) top and left of that place."""
        sums = self._sums(score.sum(1).double())
        best, across = sums.flatten(1).argmax(1), sums.shape[2]
        return best.div(across, rounding_mode="floor"), best % across

    def printed(self, x: Tensor, u: Tensor) -> Tensor:
        """(B, C, h, w) what the patch shows, with zeros beside the mask."""
        placed = Placed(self.mask, *self._place(u.detach() ** 2), self.box)
        return torch.where(self.mask, placed.crop(x + u), 0)

    def _sums(self, score: Tensor) -> Tensor:
        """(B, H - h + 1, W - w + 1) float64 sums of ``score`` (B, H, W) under the shifted mask.

        Differences of running sums, one for each end of a run of set pixels: rows never mix, so a
        sample's sums are the same bits in any batch.
        """
        h, w = self.mask.shape
        down, across = score.shape[1] - h + 1, score.shape[2] - w + 1
        running = torch.nn.functional.pad(score.cumsum(2), (1, 0))
        total = score.new_zeros(len(score), down, across)
        ends = torch.nn.functional.pad(self.mask.int(), (1, 1)).diff(dim=1)  # (h, w + 1)
        for row, column in ends.nonzero().tolist():
            part = running[:, row : row + down, column : column + across]
            total.sub_(part, alpha=int(ends[row, column]))
        return total

    def _under(self, x: Tensor, top: Tensor, left: Tensor) -> Tensor:
        """(B, 1, H, W) bool: the mask with its corner at (top, left), (B,) each."""
        h, w = self.mask.shape
        found = torch.zeros(len(x), *x.shape[2:], dtype=torch.bool, device=x.device)
        rows = torch.arange(len(x), device=x.device)[:, None, None]
        down = top[:, None, None] + torch.arange(h, device=x.device)[:, None]
        across = left[:, None, None] + torch.arange(w, device=x.device)
        found[rows, down, across] = self.mask.expand(len(x), -1, -1)
        return found[:, None]

    def _clip(self, x: Tensor, u: Tensor) -> Tensor:
        low, high = self.box
        with torch.no_grad():
            return torch.maximum(torch.minimum(u, high - x), low - x)
