"""Perturbed inputs on the 8-bit grid: what survives being saved as an image."""

from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import flat
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import Convex, parametric
from saddlepoint.threats.combine.operators import Combinable

__all__ = ["Quantize"]

LEVELS = {"uint8": 255}
_FUZZ = 3e-5  # in grid steps: float32 multiples of 1/255 come within 2e-5 of the whole number


class _Grid(torch.autograd.Function):
    """x + u cut to the grid towards x; the gradient passes straight through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, u: Tensor, levels: int) -> Tensor:  # noqa: ANN401
        """Return the grid point between x and x + u that is nearest to x + u."""
        steps = u * levels
        near = steps.round()
        whole = torch.where((steps - near).abs() <= _FUZZ, near, steps.trunc())
        return ((x * levels).round() + whole) / levels

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[None, Tensor, None]:  # noqa: ANN401
        """Pretend that nothing was rounded."""
        return None, g, None


@dataclass(frozen=True, repr=False)
class Quantize(Combinable):
    """A convex set around images, restricted to inputs that an 8-bit image can hold.

    u stays continuous and ``apply`` rounds it towards x, so that small gradient steps add up and
    every applied input is inside the set. Gradients pass straight through the rounding.

    threat: the set; to_type: ``uint8``, the grid of v / 255.

    Raises ``Invalid`` when the inputs themselves are not on the grid.

    >>> from saddlepoint.threats.ball import Linf
    >>> x = torch.tensor([[100.0]]) / 255
    >>> Quantize(Linf(eps=8 / 255)).apply(x, torch.tensor([[0.03]])) * 255
    tensor([[107.]])
    """

    threat: Convex
    to_type: str = "uint8"

    def __post_init__(self) -> None:
        if not isinstance(self.threat, Convex) or isinstance(self.threat, Quantize):
            raise Invalid("threat", self.threat, "a convex set such as Linf(eps=8/255)")
        if parametric(self.threat):
            allowed = "a set whose u is the change itself: the grid is one of changes"
            raise Invalid("threat", self.threat, allowed)
        if self.to_type not in LEVELS:
            raise Invalid("quantize", self.to_type, "'uint8'")
        box = getattr(self.threat, "box", (0.0, 1.0))
        if tuple(box) != (0.0, 1.0):
            raise Invalid("box", box, "(0.0, 1.0) for 8-bit inputs")

    __repr__ = compact

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - box and the like
        if name.startswith("__") or name in ("threat", "undoes"):
            raise AttributeError(name)
        return getattr(self.threat, name)

    def __getitem__(self, keep: Tensor) -> Self:
        return replace(self, threat=self.threat[keep])

    @property
    def eps(self) -> float | Tensor:
        """Size of the continuous set."""
        inner: Any = self.threat
        eps: float | Tensor = inner.eps
        return eps

    def at(self, eps: float | Tensor) -> Self:
        """Return the same restriction of a set of another size."""
        inner: Any = self.threat
        return replace(self, threat=inner.at(eps))

    def size(self, x: Tensor, u: Tensor) -> Tensor:
        """(B,) size of u in the continuous set, which rounding towards x never exceeds."""
        inner: Any = self.threat
        length: Tensor = inner.size(x, u)
        return length

    def to(self, device: torch.device) -> Self:
        """Move per-sample radii to a device."""
        inner: Any = self.threat
        return replace(self, threat=inner.to(device))

    def start(self, x: Tensor) -> Tensor:
        """Parameters that change nothing; checks that x is on the grid."""
        steps = x * LEVELS[self.to_type]
        if bool(((steps - steps.round()).abs() > _FUZZ).any()):
            raise Invalid(
                "x", "<values between grid points>", "multiples of 1/255", "load 8-bit images"
            )
        return self.threat.start(x)

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """x + u cut to the grid, towards x."""
        moved: Tensor = _Grid.apply(x, u, LEVELS[self.to_type])  # type: ignore[no-untyped-call]
        return moved

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """Return a random member."""
        return self.threat.sample(x, draw)

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Nearest member of the continuous set."""
        return self.threat.project(x, u)

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """Ascent direction of the continuous set."""
        return self.threat.steepest(x, u, g)

    def maximise(self, x: Tensor, g: Tensor) -> Tensor:
        """Return argmax <g, u> over the continuous set."""
        return self.threat.maximise(x, g)

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        """(B,) bool: the applied input is on the grid, and its perturbation is in the set."""
        levels = LEVELS[self.to_type]
        moved = self.apply(x, u).double()
        steps = flat(moved) * levels
        on_grid = ((steps - steps.round()).abs() <= 1e-4).all(1)
        # In whole steps: what has not moved is at x, not beside it by the rounding of a quotient.
        change = (moved * levels).round() - (x.double() * levels).round()
        return on_grid & self.threat.contains(x, change / levels, tol)
