"""A patch at a known place: its content is free, its place is not."""

from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.core.draw import Draw

__all__ = ["Placed"]


@dataclass(frozen=True, eq=False)
class Placed:
    """{u : low <= u <= high where the mask is set, u = 0 elsewhere}, x with u pasted over it.

    u is (B, C, h, w), the content. mask: (h, w) bool. top, left: (B,) where its corner lies.
    """

    mask: Tensor
    top: Tensor
    left: Tensor
    box: tuple[float, float]

    def _at(self, x: Tensor) -> Tensor:
        """(B, C, h w) where each value of the patch lies in an image of H W values."""
        h, w = self.mask.shape
        down = self.top[:, None] + torch.arange(h, device=x.device)
        across = self.left[:, None] + torch.arange(w, device=x.device)
        place = down[:, :, None] * x.shape[3] + across[:, None, :]
        return place.flatten(1)[:, None].expand(-1, x.shape[1], -1)

    def crop(self, x: Tensor) -> Tensor:
        """(B, C, h, w) what the patch would cover."""
        found = x.flatten(2).gather(2, self._at(x))
        return found.view(len(x), x.shape[1], *self.mask.shape)

    def start(self, x: Tensor) -> Tensor:
        """What is there already."""
        return torch.where(self.mask, self.crop(x), 0)

    def printed(self, x: Tensor, u: Tensor) -> Tensor:
        """(B, C, h, w) what the patch shows: its content."""
        return u

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """Paste u over x where the mask is set."""
        new = torch.where(self.mask, u, self.crop(x)).flatten(2)
        return x.flatten(2).scatter(2, self._at(x), new).view(x.shape)

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """Uniform content."""
        low, high = self.box
        u = draw.uniform(x.shape[1], *self.mask.shape).to(x.dtype) * (high - low) + low
        return torch.where(self.mask, u.clamp_(low, high), 0)

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Clip every value to the input range."""
        return torch.where(self.mask, u.clamp(*self.box), 0)

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """Half the input range along the sign: a radius of the box, seen from its middle."""
        return torch.where(self.mask, g.sign() * ((self.box[1] - self.box[0]) / 2), 0)

    def maximise(self, x: Tensor, g: Tensor) -> Tensor:
        """An end of the range where the gradient has a sign, what is there already elsewhere."""
        low, high = self.box
        ends = torch.where(g > 0, high, torch.where(g < 0, low, self.crop(x)))
        return torch.where(self.mask, ends, 0).to(x.dtype)

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        """(B,) bool: the patched input lies within the box, and u is zero beside the mask."""
        x, u = x.double(), u.double()
        low, high = self.box
        slack = tol * max(1.0, high - low)
        moved = self.apply(x, u).flatten(1)
        inside = ((moved >= low - slack) & (moved <= high + slack)).all(1)
        return inside & (u.masked_fill(self.mask, 0).flatten(1) == 0).all(1)
