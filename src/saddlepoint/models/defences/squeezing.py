"""Feature squeezing: suspicious is an input whose answer changes when it is simplified."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import pieces
from saddlepoint.models.defences.body import backward_of, body
from saddlepoint.models.defences.calibrate import threshold

__all__ = ["Squeezing", "fewer_bits", "median", "squeezed"]

_GAIN = 10.0  # logits per unit of L1 distance: how fast the alarm's score rises, not where


def fewer_bits(x: Tensor, bits: int, smooth: bool = False) -> Tensor:
    """Round x in [0, 1] to 2^bits levels; smooth: with the gradient of x itself.

    >>> fewer_bits(torch.tensor([0.2, 0.6]), 1)
    tensor([0., 1.])
    """
    levels = (1 << bits) - 1
    rounded = (x * levels).round() / levels
    return backward_of(rounded, x) if smooth else rounded


def median(x: Tensor, size: int) -> Tensor:
    """Median of size x size windows of images (B, C, H, W), of the same shape; edges reflected.

    Of an even count it is the larger of the middle two. The window reaches further up and left.

    >>> median(torch.eye(3)[None, None], 3)[0, 0]
    tensor([[1., 0., 0.],
            [0., 0., 0.],
            [0., 0., 1.]])
    """
    before, after = size // 2, (size - 1) // 2
    wide = functional.pad(x, (before, after, before, after), mode="reflect")
    windows = wide.unfold(2, size, 1).unfold(3, size, 1).flatten(4)
    return windows.sort(dim=4).values[..., size * size // 2]


class Squeezing(nn.Module):
    """A classifier, and an alarm where simplified inputs get another answer.

    score(x) = max_s || p(x) - p(s(x)) ||_1 in [0, 2], p the softmax of the net and s one of the
    squeezers: ``bits`` of colour depth, a median of ``median`` x ``median`` pixels (0 leaves either
    out). Scores out are the K logits at x and one more, max z + 10 (score - threshold), which is
    the largest exactly where the alarm goes off. ``calibrate`` sets the threshold.

    smooth: the same forward pass, bit for bit, with a backward pass for an attacker who knows the
    defence: rounding passes gradients straight through, classes get the gradient of the mean logits
    at x and its squeezed copies, and the alarm that of their mean lead. An adaptive audit is that
    of this copy; its witnesses hold for the other.

    Source: Xu, Evans, Qi, 1704.01155; fallen to He et al., 1706.04701.
    """

    rejects = True
    threshold: Tensor

    def __init__(
        self, net: nn.Module, bits: int = 1, median: int = 2, smooth: bool = False
    ) -> None:
        super().__init__()
        for name, value, most in (("bits", bits, 8), ("median", median, 15)):
            if not isinstance(value, int) or not 0 <= value <= most:
                raise Invalid(name, value, f"a whole number in 0 … {most}, 0 to leave it out")
        if not bits and not median:
            raise Invalid("bits", bits, "at least 1 where there is no median")
        self.net, self.bits, self.median, self.smooth = net, bits, median, smooth
        self.register_buffer("threshold", torch.tensor(1.0))

    def squeezed(self, x: Tensor) -> list[Tensor]:
        """Return the squeezed copies of x, (B, *F) each."""
        copies = [fewer_bits(x, self.bits, self.smooth)] if self.bits else []
        return copies + ([median(x, self.median)] if self.median else [])

    def score(self, x: Tensor) -> Tensor:
        """(B,) how suspicious x is, in [0, 2]."""
        return self._look(x)[1]

    def _look(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(S, B, K) logits at x and at its squeezed copies, and (B,) the score."""
        z = torch.stack([self.net(part) for part in (x, *self.squeezed(x))])
        p = z.softmax(2)
        return z, (p[1:] - p[0]).abs().sum(2).amax(0)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (B, K + 1), the last one that of rejection."""
        z, score = self._look(x)
        alarm = _GAIN * (score - self.threshold)
        classes = z[0]
        if self.smooth:
            classes = backward_of(classes, z.mean(0))
            alarm = backward_of(alarm, -0.5 * lead(z.mean(0), z[0].argmax(1)))
        return torch.cat([classes, (classes.amax(1) + alarm)[:, None]], 1)

    def calibrate(self, x: Tensor, false_alarms: float = 0.05) -> "Squeezing":
        """Set the threshold by clean inputs; return the same model."""
        with torch.no_grad():
            scores = torch.cat([self.score(part) for part in pieces(x, 500)])
        self.threshold.fill_(threshold(scores, false_alarms))
        return self


def lead(z: Tensor, c: Tensor) -> Tensor:
    """(B,) by how much class c is ahead of the best other one in the scores (B, K)."""
    others = z.scatter(1, c[:, None], -torch.inf)
    return z.gather(1, c[:, None]).squeeze(1) - others.amax(1)


def squeezed(
    shape: Sequence[int] = (1, 28, 28),
    classes: int = 10,
    net: str = "conv-small",
    width: int = 16,
    bits: int = 1,
    median: int = 2,
    smooth: bool = False,
) -> Squeezing:
    """Return an untrained net with squeezers around it.

    >>> squeezed((1, 8, 8), 10, width=2)(torch.zeros(3, 1, 8, 8)).shape
    torch.Size([3, 11])
    """
    return Squeezing(body(net, shape, classes, width), bits, median, smooth)
