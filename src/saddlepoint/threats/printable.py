"""A patch whose look has a price: smooth, and in colours that a printer can make."""

import copy
import math
from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.spec import compact
from saddlepoint.threats.palette import Colours, off_palette, palette, variation
from saddlepoint.threats.patch import Patch

__all__ = ["Printable"]


@dataclass(frozen=True, repr=False)
class Printable:
    """The set of a patch, with a price on how it would print (Sharif et al., CCS 2016).

    Whatever climbs a loss in this set climbs loss - smooth TV(u) - colour D(u), where TV is the
    total variation per pixel and D the mean distance of its pixels from the nearest colour of the
    palette. The paper adds up products of all distances, its non-printability score, which vanishes
    at the same contents; with thirty colours the nearest distance has the better slope. Members
    are those of the patch, and a break is one at any price: the penalty steers, it forbids nothing.

    palette: colours with values in the box, or a file with one a line; None is a crude printer's
    thirty (``threats.palette.DEFAULT``). Raises ``Invalid`` for weights below 0, for a palette
    outside the box or, at first use, of another number of channels than the images.

    >>> Printable(Patch(size=2, at=(0, 0)), smooth=0.5)
    Printable(Patch(size=2, at=(0, 0)), smooth=0.5)
    """

    threat: Patch
    smooth: float = 1.0
    colour: float = 1.0
    palette: Colours | str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.threat, Patch):
            raise Invalid("threat", self.threat, "a patch such as Patch(size=5)")
        for name in ("smooth", "colour"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise Invalid(name, value, "a finite weight >= 0")
        object.__setattr__(self, "_colours", palette(self.palette, self.threat.box))
        self._offer()

    __repr__ = compact
    _colours: ClassVar[Colours] = ()  # of the palette, read once

    def _offer(self) -> None:
        """Have ``maximise`` where the patch has it."""
        if hasattr(self.threat, "maximise"):
            object.__setattr__(self, "maximise", self.threat.maximise)

    def _around(self, threat: Patch) -> Self:
        view = copy.copy(self)
        object.__setattr__(view, "threat", threat)
        view._offer()
        return view

    @property
    def box(self) -> tuple[float, float]:
        """The model's input range."""
        return self.threat.box

    @property
    def parametric(self) -> bool:
        """Whether u is the content, and not the change."""
        return self.threat.parametric

    @property
    def scattered(self) -> bool:
        """Whether one place is as good as another to gradients."""
        return self.threat.scattered

    @property
    def colours(self) -> Colours:
        """The palette's colours."""
        return self._colours

    @property
    def words(self) -> str:
        """What the adversary may do, for a report."""
        looks = {"smooth": self.smooth, "in printable colours": self.colour}
        dear = " and ".join(look for look, price in looks.items() if price)
        return self.threat.words + (f"; the search prefers what is {dear}" if dear else "")

    def __getitem__(self, keep: Tensor) -> Self:
        return self._around(self.threat[keep])

    def redrawn(self, k: int) -> Self:
        """Return the same set with other random places, where it has some: draw k."""
        return self._around(self.threat.redrawn(k))

    def penalty(self, x: Tensor, u: Tensor) -> Tensor:
        """(B,) what the content of u costs, to be taken from the loss."""
        content, mask = self.printed(x, u)
        price = self.smooth * variation(content, mask)
        if self.colour:
            price = price + self.colour * off_palette(content, self._colours, mask)
        return price

    def printed(self, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h, w) what would be printed, and (h, w) where."""
        return self.threat.printed(x, u)

    def start(self, x: Tensor) -> Tensor:
        """Return what changes nothing."""
        if self.colour and x.shape[1] != len(self._colours[0]):
            raise Invalid(
                "palette",
                f"<colours of {len(self._colours[0])} values>",
                f"colours of {x.shape[1]}, as many as the images have channels",
                "give grey levels such as ((0.1,), (0.9,)), or colour=0" if x.shape[1] == 1 else "",
            )
        return self.threat.start(x)

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """Return a random member."""
        return self.threat.sample(x, draw)

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Nearest member."""
        return self.threat.project(x, u)

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """Ascent direction of the patch."""
        return self.threat.steepest(x, u, g)

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """Return the image with the patch on it."""
        return self.threat.apply(x, u)

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        """(B,) bool, in float64."""
        return self.threat.contains(x, u, tol)
