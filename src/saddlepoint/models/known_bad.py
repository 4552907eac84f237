"""Models that fool an audit, each in one known way: fixtures for tests of tools such as ours.

Each wraps a working model of images and looks more robust than it is, or is not what an audit takes
it for. A health check that does not flag it is no check. ``KNOWN_BAD`` names all of them.

>>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
>>> Loud(model)(torch.zeros(2, 1, 2, 2)).shape
torch.Size([2, 3])
"""

from collections.abc import Callable
from typing import Final, Self

import torch
from torch import Tensor, nn

__all__ = [
    "KNOWN_BAD",
    "Clipped",
    "FirstQuery",
    "Loud",
    "Noisy",
    "Quantized",
    "Remembering",
    "Softmax",
    "Training",
]


class _Wrapped(nn.Module):
    """A model around a model."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (B, K) for images (B, C, H, W)."""
        return self._scores(x)

    def _scores(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(x)
        return out


class Loud(_Wrapped):
    """Logits times 1000: cross-entropy underflows, and its gradient with it (1608.04644, 2.4)."""

    def _scores(self, x: Tensor) -> Tensor:
        return super()._scores(x) * 1000


class Quantized(_Wrapped):
    """Activations cut to 16 levels: the gradient is zero wherever it exists (1802.00420, 4.1)."""

    levels: Final = 15

    def _scores(self, x: Tensor) -> Tensor:
        return super()._scores((x * self.levels).round() / self.levels)


class Noisy(_Wrapped):
    """Gaussian noise on the input, drawn anew for each question (1802.00420, section 4.2)."""

    width: Final = 0.1

    def _scores(self, x: Tensor) -> Tensor:
        return super()._scores(x + self.width * torch.randn_like(x))


class Training(_Wrapped):
    """Batch norm before the model that ignores ``eval()``: answers depend on the rest of a batch.

    channels: of the input images.
    """

    def __init__(self, inner: nn.Module, channels: int = 1) -> None:
        super().__init__(inner)
        self.norm = nn.BatchNorm2d(channels, affine=False)

    def train(self, mode: bool = True) -> Self:
        """Stay in training mode, whatever was asked for."""
        super().train(mode)
        self.norm.train()
        return self

    def _scores(self, x: Tensor) -> Tensor:
        # Back to the usual spread, so that the model within works as well as it did.
        return super()._scores(self.norm(x) * 0.38 + 0.31)


class Softmax(_Wrapped):
    """Probabilities in place of logits: no gradient where the model is sure."""

    def _scores(self, x: Tensor) -> Tensor:
        return super()._scores(x).softmax(1)


class Clipped(_Wrapped):
    """The true clip phi(x) = clip((x - eps) / (1 - 2 eps), 0, 1), whose gradient vanishes.

    A pixel within ``eps`` of 0 or 1 has no gradient, though an adversary may move it to where it
    counts: plain PGD overstates robustness (1802.00420, section 4.1). ``ThresholdStem`` is the same
    function with a gradient that its attackers can use.
    """

    def __init__(self, inner: nn.Module, eps: float = 0.3) -> None:
        super().__init__(inner)
        self.eps = eps

    def _scores(self, x: Tensor) -> Tensor:
        return super()._scores(((x - self.eps) / (1 - 2 * self.eps)).clamp(0, 1))


class FirstQuery(_Wrapped):
    """A defence that is honest the first time it sees an input, and muddles every later answer."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__(inner)
        self.seen: set[bytes] = set()

    def _scores(self, x: Tensor) -> Tensor:
        out = super()._scores(x)
        known = torch.tensor([self._known(row) for row in x], device=out.device)
        return torch.where(known[:, None], 0.5 * out + 0.1, out)

    def _known(self, row: Tensor) -> bool:
        key = (row.detach().cpu() * 255).round().to(torch.int16).numpy().tobytes()
        known = key in self.seen
        self.seen.add(key)
        return known


class Remembering(_Wrapped):
    """A defence that recognises the neighbours of what it was asked, and repeats its first answer.

    radius: largest distance, in any pixel, at which two questions count as one. The whole ball
    looks as robust as its centre, while a model without memory would fall.
    """

    def __init__(self, inner: nn.Module, radius: float = 0.5) -> None:
        super().__init__(inner)
        self.radius, self.asked, self.said = radius, Tensor(), Tensor()

    def _scores(self, x: Tensor) -> Tensor:
        out = super()._scores(x)
        return torch.stack([self._answer(*pair) for pair in zip(x, out, strict=True)])

    def _answer(self, row: Tensor, out: Tensor) -> Tensor:
        point = row.detach().reshape(1, -1)
        if len(self.asked):
            far, nearest = (self.asked - point).abs().amax(1).min(0)
            if float(far) <= self.radius:
                return self.said[nearest] + 0 * out
        self.asked = torch.cat([self.asked.to(point), point])
        self.said = torch.cat([self.said.to(point), out.detach()[None]])
        return out


KNOWN_BAD: Final[dict[str, Callable[[nn.Module], nn.Module]]] = {
    kind.__name__: kind
    for kind in (
        Loud,
        Quantized,
        Noisy,
        Training,
        Softmax,
        Clipped,
        FirstQuery,
        Remembering,
    )
}
