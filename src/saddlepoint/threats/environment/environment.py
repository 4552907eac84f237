"""Changes in environment: what all families share, a few parameters with ranges of their own."""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid, Missing
from saddlepoint.core.spec import compact
from saddlepoint.threats.environment.axis import Axis

__all__ = ["WORST", "Environment"]

WORST = 5.0  # the largest severity
_POINTS = 1000  # of a grid, about


@dataclass(frozen=True, repr=False, kw_only=True)
class Environment:
    """{render(x, u) : each parameter within its range}, where ranges grow with the severity.

    u: (B, P), one column per ``Axis``. Those that grow are counted in severities: a parameter at
    its severity s has s / 5 of the effect that its bound names. severity: in [0, 5], a number or
    (B,); sets are nested by it, and 0 leaves x as it is. box: the model's input range, which the
    result is cut to. ``render`` sees values in [0, 1] and works in float64: what is on one side of
    a threshold in a search is there in a replay.

    Raises ``Invalid``, and ``Missing`` without kornia.
    """

    parametric: ClassVar[bool] = True
    smallest: ClassVar[int] = 2  # pixels on the shorter side
    severity: float | Tensor = WORST
    box: tuple[float, float] = (0.0, 1.0)

    __repr__ = compact

    def __post_init__(self) -> None:
        if len(self.box) != 2 or not self.box[0] < self.box[1]:
            raise Invalid("box", self.box, "(low, high) with low < high")
        if not math.isfinite(self.box[1] - self.box[0]):
            raise Invalid("box", self.box, "finite: darkest and brightest have to be known")
        if not isinstance(self.severity, Tensor | int | float) or isinstance(self.severity, bool):
            raise Invalid("severity", self.severity, "a number, or a (B,) tensor of numbers")
        given = torch.as_tensor(self.severity, dtype=torch.float64)
        if isinstance(self.severity, Tensor) and given.dim() != 1:
            raise Invalid("severity", f"<shape {tuple(given.shape)}>", "a number or (B,) numbers")
        if not bool(((given >= 0) & (given <= WORST)).all()):
            hint = "5 is the most severe, 0 changes nothing"
            raise Invalid("severity", self.severity, "in [0, 5]", hint)

    def axes(self) -> tuple[Axis, ...]:
        """Return one axis for each column of u."""
        raise NotImplementedError

    @property
    def words(self) -> str:
        """The set in plain words."""
        raise NotImplementedError

    @property
    def at_most(self) -> str:
        """The severity in plain words."""
        given = self.severity
        return "a severity of its own" if isinstance(given, Tensor) else f"severity {given:g}"

    def tell(self, u: Tensor) -> list[str]:
        """What each row of u (B, P) does, in plain words."""
        raise NotImplementedError

    def render(self, x: Tensor, u: Tensor) -> Tensor:
        """Return images (B, C, H, W) in [0, 1] changed by u (B, P); float64 in, float64 out."""
        raise NotImplementedError

    @property
    def eps(self) -> float | Tensor:
        """The severity, under the name that every set with sizes has for it."""
        return self.severity

    def __getitem__(self, keep: Tensor) -> Self:
        if not isinstance(self.severity, Tensor):
            return self
        return replace(self, severity=self.severity[keep])

    def to(self, device: torch.device) -> Self:
        """Move per-sample severities to a device."""
        if not isinstance(self.severity, Tensor):
            return self
        return replace(self, severity=self.severity.to(device))

    def at(self, eps: float | Tensor) -> Self:
        """Return the same changes up to another severity, 5 at most."""
        cut = eps.clamp(max=WORST) if isinstance(eps, Tensor) else min(eps, WORST)
        return replace(self, severity=cut)

    def size(self, x: Tensor, u: Tensor) -> Tensor:
        """(B,) the largest of the parameters that grow with the severity."""
        graded = [a.graded for a in self.axes()]
        return u[:, graded].abs().amax(1)

    def start(self, x: Tensor) -> Tensor:
        """(B, P) zeros, which change nothing. Refuses inputs that are no images for this set."""
        library()
        self.check(tuple(x.shape[1:]))
        return x.new_zeros(len(x), len(self.axes()))

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ``Invalid`` for inputs of a shape (C, H, W) that this set cannot change."""
        if len(shape) != 3:
            raise Invalid("x", f"<inputs of shape {shape}>", "images (C, H, W)")
        if min(shape[1:]) < self.smallest:
            allowed = f"of at least {self.smallest} pixels on each side"
            hint = f"{type(self).__name__} moves pixels among their neighbours"
            raise Invalid("x", f"<images of shape {shape}>", allowed, hint)

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """Return the changed images, cut to the box; x itself, bit for bit, where u is at size 0.

        Its gradient is that of ``render`` there as well.
        """
        low, high = self.box
        if not len(x):
            return x
        with torch.autocast(x.device.type, enabled=False):
            unit, way = (x.double() - low) / (high - low), u.double()
            moved = low + self.render(unit, way).clamp(0, 1) * (high - low)
        moved = moved.to(x.dtype).clamp(low, high)
        same = (self.size(x, u.detach()) == 0).view(-1, 1, 1, 1)
        return torch.where(same, x + (moved - moved.detach()), moved)

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """Every parameter uniform in its range."""
        return self.place(x, draw.uniform(len(self.axes())))

    @property
    def counts(self) -> tuple[int, ...]:
        """Points of a grid along each axis, about a thousand in all."""
        kinds = self.axes()
        each = min(31, max(2, math.floor(_POINTS ** (1 / len(kinds)) + 1e-9)))
        return (each - 1 + each % 2 if each > 2 else each,) * len(kinds)

    def place(self, x: Tensor, t: Tensor) -> Tensor:
        """(B, P) the member at t (B, P) in [0, 1], from one end of each range to the other."""
        low, high = self.edges(x)
        return self.project(x, (low + t.to(low) * (high - low)).to(x.dtype))

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Cut each parameter to its range, which is nearest in any norm; round whole ones."""
        low, high = self.edges(u)
        cut = torch.maximum(torch.minimum(u, high), low)
        whole = [a.whole for a in self.axes()]
        return torch.where(torch.tensor(whole, device=u.device), cut.round(), cut)

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """Half of each range, along the sign of the gradient: parameters do not compare in size."""
        low, high = self.edges(g)
        return g.sign() * ((high - low) / 2)

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        """(B,) bool: each parameter in its range up to ``tol``, in float64; seeds are whole."""
        v = u.double()
        low, high = self.edges(v)
        slack = tol * (high - low).clamp(min=1.0)
        whole = torch.tensor([a.whole for a in self.axes()], device=u.device)
        right = (v >= low - slack) & (v <= high + slack) & (~whole | (v == v.round()))
        return right.all(1)

    def edges(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """(B or 1, P) ends of the ranges, like a tensor in type and place."""
        kinds = self.axes()
        kind: Any = {"dtype": like.dtype, "device": like.device}
        grows = torch.tensor([a.graded for a in kinds], device=like.device)
        reach = torch.as_tensor(self.severity, **kind).reshape(-1, 1)
        scale = torch.where(grows, reach, torch.ones_like(reach))
        ends = [torch.tensor([getattr(a, e) for a in kinds], **kind) for e in ("low", "high")]
        return ends[0] * scale, ends[1] * scale


def library() -> None:
    """Raise ``Missing`` with the install line where kornia is not installed."""
    try:
        import kornia  # noqa: F401
    except ImportError as error:
        raise Missing("kornia", "environment") from error
