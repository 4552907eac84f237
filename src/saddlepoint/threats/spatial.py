"""Images rotated and shifted by a little: three parameters in place of a change for each pixel."""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Self, get_args

import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.spec import compact
from saddlepoint.threats.bilinear import Padding, bilinear
from saddlepoint.threats.combine.operators import Combinable
from saddlepoint.threats.toward import toward

__all__ = ["RotateTranslate"]


@dataclass(frozen=True, repr=False)
class RotateTranslate(Combinable):
    """{x turned about its centre by up to ±degrees, then shifted by ±pixels} (1712.02779, §2).

    A pixel at p from the centre moves to R(a) p + (dx, dy), clockwise for a > 0. u = (a / degrees,
    dx / pixels, dy / pixels), (B, 3), each in [-eps, eps], so that a step of one radius crosses the
    same share of every range. Values are read bilinearly at the place that they come from; u = 0
    gives x bit for bit. degrees: in (0, 180]. pixels: as many as the shorter side at most; 0 only
    rotates. padding: what comes into view is ``zero``, or the image mirrored (``reflect``). eps:
    share of both ranges, a number or (B,), by which the sets are nested; 1 is the set itself. box:
    the model's input range.

    Takes images (B, C, H, W) of any size but a single pixel. Raises ``Invalid``.

    >>> threat = RotateTranslate(degrees=90, pixels=1)
    >>> x = torch.tensor([[[[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]])
    >>> threat.apply(x, torch.tensor([[0.0, 0.0, 1.0]])).round().int()[0, 0].tolist()
    [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    """

    parametric: ClassVar[bool] = True
    degrees: float
    pixels: float
    padding: Padding = "zero"
    eps: float | Tensor = 1.0
    box: tuple[float, float] = (0.0, 1.0)

    __repr__ = compact

    def __post_init__(self) -> None:
        if len(self.box) != 2 or not self.box[0] < self.box[1]:
            raise Invalid("box", self.box, "(low, high) with low < high")
        if not _real(self.degrees) or not 0 < self.degrees <= 180:
            raise Invalid("degrees", self.degrees, "a number in (0, 180]", "30 turns by ±30")
        if not _real(self.pixels) or not 0 <= self.pixels < math.inf:
            raise Invalid("pixels", self.pixels, "a finite number >= 0", "3 shifts by ±3")
        if self.padding not in get_args(Padding):
            raise Invalid("padding", self.padding, "'zero' or 'reflect'")
        if self.padding == "zero" and not self.box[0] <= 0 <= self.box[1]:
            hint = "zeros would leave the input range: use padding='reflect'"
            raise Invalid("padding", self.padding, f"'reflect' for box={self.box}", hint)
        self._check_eps()

    def _check_eps(self) -> None:
        if not isinstance(self.eps, Tensor | int | float) or isinstance(self.eps, bool):
            raise Invalid("eps", self.eps, "a number, or a (B,) tensor of numbers")
        if isinstance(self.eps, Tensor) and self.eps.dim() != 1:
            raise Invalid("eps", f"<shape {tuple(self.eps.shape)}>", "a number or a (B,) tensor")
        eps = self.eps if isinstance(self.eps, Tensor) else torch.tensor(float(self.eps))
        if not bool((eps.isfinite() & (eps >= 0)).all()):
            raise Invalid("eps", self.eps, "a finite share >= 0 of degrees and pixels")

    @property
    def words(self) -> str:
        """The set in plain words."""
        said = f"the image may be turned by at most {self.degrees:g} degrees"
        if self.pixels:
            unit = "pixel" if self.pixels == 1 else "pixels"
            said += f" and shifted by at most {self.pixels:g} {unit}"
        fill = "zeros fill" if self.padding == "zero" else "its mirror image fills"
        return f"{said}; {fill} the rest"

    def tell(self, u: Tensor) -> list[str]:
        """Angle and shifts of each row."""
        ways = u.double() * u.new_tensor([self.degrees, self.pixels, self.pixels]).double()
        return [
            "turned "
            + toward(angle, "clockwise", "anticlockwise", "{:.1f}°")
            + (
                f", shifted {toward(right, 'right', 'left')} and {toward(down, 'down', 'up')}"
                if self.pixels
                else ""
            )
            for angle, right, down in ways.tolist()
        ]

    def __getitem__(self, keep: Tensor) -> Self:
        return replace(self, eps=self.eps[keep]) if isinstance(self.eps, Tensor) else self

    def to(self, device: torch.device) -> Self:
        """Move per-sample sizes to a device."""
        return replace(self, eps=self.eps.to(device)) if isinstance(self.eps, Tensor) else self

    def at(self, eps: float | Tensor) -> Self:
        """Return the set with another share of both ranges; half a turn is the largest angle."""
        most = 180 / self.degrees
        return replace(self, eps=eps.clamp(max=most) if isinstance(eps, Tensor) else min(eps, most))

    def size(self, x: Tensor, u: Tensor) -> Tensor:
        """(B,) the larger share of the two ranges."""
        return u.abs().amax(1)

    @property
    def counts(self) -> tuple[int, ...]:
        """The published grid: 31 angles, 5 shifts along each axis."""
        return (31, 5, 5) if self.pixels else (31, 1, 1)

    def place(self, x: Tensor, t: Tensor) -> Tensor:
        """(B, 3) the member at t (B, 3) in [0, 1], from one end of each range to the other."""
        return self.project(x, (2 * t.to(x.dtype) - 1) * self._eps(x))

    def start(self, x: Tensor) -> Tensor:
        """(B, 3) zeros: no turn, no shift. Refuses what is no image."""
        shape = tuple(x.shape[1:])
        if len(shape) != 3:
            raise Invalid("x", f"<inputs of shape {shape}>", "images (C, H, W), which can turn")
        if shape[1] * shape[2] < 2:
            raise Invalid("x", f"<images of shape {shape}>", "of more than one pixel")
        if self.pixels > min(shape[1:]):
            allowed = f"at most {min(shape[1:])}, the shorter side of images {shape}"
            raise Invalid("pixels", self.pixels, allowed, "10 % of the side is usual")
        return x.new_zeros(len(x), 3)

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """Turn, then shift. In float64 up to the weights: angles of large images need it."""
        v = u.double()
        angle = v[:, 0, None, None] * math.radians(self.degrees)
        shift = v[:, 1:, None, None] * self.pixels
        sine, cosine = angle.sin(), angle.cos()
        height, width = x.shape[-2:]
        middle = ((height - 1) / 2, (width - 1) / 2)
        down, across = (
            torch.arange(n, dtype=v.dtype, device=x.device) - m
            for n, m in zip((height, width), middle, strict=True)
        )
        # What is at p has come from R(-a) (p - d).
        h, w = across - shift[:, 0], down[:, None] - shift[:, 1]
        column, row = cosine * h + sine * w, cosine * w - sine * h
        return bilinear(x, column + middle[1], row + middle[0], self.padding)

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """Angle and shifts uniform in their ranges."""
        return self.project(x, draw.uniform(3, low=-1.0).to(x) * self._eps(x))

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Cut each parameter to its range."""
        eps = self._eps(u) * self._free(u)
        return torch.maximum(torch.minimum(u, eps), -eps)

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """Eps times the sign of the gradient: the sizes of an angle and a shift do not compare."""
        return g.sign() * self._eps(g)

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        """(B,) bool: each parameter in its range, and x in the box, up to ``tol``, in float64."""
        eps, (low, high) = self._eps(u.double()), self.box
        slack = tol * (max(1.0, high - low) if math.isfinite(high - low) else 1.0)
        values = x.double().flatten(1)
        fits = ((values >= low - slack) & (values <= high + slack)).all(1)
        most = (eps * (1 + tol) + tol) * self._free(eps)
        return fits & (u.double().abs() <= most).all(1)

    def _free(self, t: Tensor) -> Tensor:
        """(3,) 1 for the parameters that may change, 0 for the others, like t in type and place."""
        return t.new_tensor([1.0, *[float(self.pixels > 0)] * 2])

    def _eps(self, t: Tensor) -> Tensor:
        """(B or 1, 1) sizes, like t in type and place."""
        eps = torch.as_tensor(self.eps, dtype=t.dtype, device=t.device)
        return eps.reshape(-1, 1)


def _real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
