"""Patches and wearables: anything at all within the shape of a sticker, nothing beside it."""

import copy
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.core.spec import compact
from saddlepoint.threats.mask import glasses, read_mask, trim
from saddlepoint.threats.placed import Placed
from saddlepoint.threats.roaming import Roaming

__all__ = ["Patch"]

_WHERE = "(top, left) in whole pixels >= 0, 'random' or 'anywhere'"


@dataclass(frozen=True, repr=False)
class Patch:
    """Images (B, C, H, W) with a patch on them, whose content is free (1712.09665).

    size: (h, w) of a rectangle, or h for a square. at: (top, left), a fixed place; ``random``, one
    drawn for each sample from (seed, its number), which the adversary knows and cannot change;
    ``anywhere``, the adversary's choice and the default. mask: in place of ``size`` another shape:
    ``glasses``, a frame scaled to the image (Sharif et al. 2016), or an .npz or .png file with 1
    where the patch is; without ``at`` it is as large as the image and stays where it is drawn.
    box: the model's input range, which must be finite. sha256: of the mask's file, filled in here.

    At a known place u (B, C, h, w) is the content and the set is convex; anywhere, u (B, C, H, W)
    is the change x_adv - x and it is not. Random places belong to row numbers: x must be the rows
    0, 1 … or the set must have been indexed as x was.

    Raises ``Invalid`` for a size, place or mask that cannot be, at construction or, where the image
    decides, at first use; ``BadData`` for a mask file that is unreadable or not the one named.

    >>> patch = Patch(size=1, at=(0, 1))
    >>> patch.apply(torch.zeros(1, 1, 2, 2), torch.full((1, 1, 1, 1), 0.5))
    tensor([[[[0.0000, 0.5000],
              [0.0000, 0.0000]]]])
    """

    size: int | tuple[int, int] | None = None
    at: tuple[int, int] | str | None = None
    mask: str | None = None
    box: tuple[float, float] = (0.0, 1.0)
    seed: int = 0
    sha256: str | None = None

    _rows = None  # (B,) int64 numbers of the rows, once indexed
    _drawn = None  # (H, W) bool of a mask file

    def __post_init__(self) -> None:
        low, high = self.box if len(self.box) == 2 else (0.0, 0.0)
        if not low < high or not math.isfinite(high - low):
            raise Invalid("box", self.box, "(low, high), finite, with low < high")
        if (self.size is None) == (self.mask is None):
            raise Invalid("size", self.size, "given, or else a mask, and not both")
        if self.size is not None:
            _check_size(self.size)
        _check_place(self.at)
        Draw.of(self.seed, torch.arange(0))  # refuses a bad seed
        if self.mask is not None and self.mask != "glasses":
            self._load(self.mask)
        self._offer()

    __repr__ = compact

    def _load(self, mask: str) -> None:
        drawn, found = read_mask(Path(mask))
        if self.sha256 not in (None, found):
            raise BadData(f"{mask} is not the mask of that run: sha256 {found}, not {self.sha256}")
        object.__setattr__(self, "sha256", found)
        object.__setattr__(self, "_drawn", drawn)

    def _offer(self) -> None:
        """Have ``maximise`` where the set is convex, and there only: attacks ask for it."""
        if not self.roams:
            object.__setattr__(self, "maximise", self._maximise)

    @property
    def roams(self) -> bool:
        """Whether the adversary chooses the place."""
        return self.at == "anywhere" or (self.at is None and self.mask is None)

    @property
    def parametric(self) -> bool:
        """Whether u is the content, and not the change."""
        return not self.roams

    @property
    def scattered(self) -> bool:
        """Whether one place is as good as another to gradients."""
        return self.roams

    @property
    def words(self) -> str:
        """What the adversary may do, for a report."""
        h, w = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        shape = f"{h} x {w} pixels" if self.size else f"the shape of {self.mask}"
        where = "wherever the adversary likes" if self.roams else f"at {self.at}"
        where = "where the mask lies" if self.at is None and not self.roams else where
        where = "at a random place of each image" if self.at == "random" else where
        low, high = self.box
        return f"a patch of {shape} {where} may show anything in [{low:g}, {high:g}]"

    def __getitem__(self, keep: Tensor) -> Self:
        if self.at != "random":
            return self
        view = copy.copy(self)
        rows = keep.nonzero()[:, 0] if keep.dtype == torch.bool else keep
        known = rows if self._rows is None else self._rows[rows.to(self._rows.device)]
        object.__setattr__(view, "_rows", known)
        view._offer()
        return view

    def redrawn(self, k: int) -> Self:
        """Return the same set with other random places, where it has some: draw k."""
        return replace(self, seed=(self.seed + k) % (1 << 62)) if self.at == "random" else self

    def stencil(self, height: int, width: int) -> tuple[Tensor, int, int]:
        """(h, w) bool, the shape of the patch, and the top and left where it is drawn.

        Raises ``Invalid`` where it does not fit an image of this size.
        """
        if isinstance(self.size, int | tuple):
            h, w = self.size if isinstance(self.size, tuple) else (self.size, self.size)
            mask = torch.ones(h, w, dtype=torch.bool)
        else:
            mask = glasses(height, width) if self._drawn is None else self._drawn
        image = f"an image of {height} x {width}"
        if mask.shape[0] > height or mask.shape[1] > width:
            raise Invalid(*self._shape(mask), f"no larger than {image}")
        if self.at is None and self.mask is not None and mask.shape != (height, width):
            hint = "or give at: where it lies"
            raise Invalid(*self._shape(mask), f"as large as {image}", hint)
        return trim(mask)

    def _shape(self, mask: Tensor) -> tuple[str, str]:
        name = "size" if self.mask is None else "mask"
        return name, f"<{mask.shape[0]} x {mask.shape[1]}>"

    def form(self, x: Tensor) -> Any:  # noqa: ANN401 - Placed or Roaming, which share verbs
        """Return the set around the rows x as the verbs see it."""
        if x.dim() != 4:
            raise Invalid("x", f"<shape {tuple(x.shape)}>", "images (B, C, H, W) for a patch")
        mask, top, left = self.stencil(*x.shape[2:])
        mask = mask.to(x.device)
        if self.roams:
            return Roaming(mask, self.box)
        if self.at == "random":
            return Placed(mask, *self._places(x, mask), self.box)
        if isinstance(self.at, tuple):
            top, left = self.at
            if top + mask.shape[0] > x.shape[2] or left + mask.shape[1] > x.shape[3]:
                allowed = f"a place where all of the patch is on an image of {tuple(x.shape[2:])}"
                raise Invalid("at", self.at, allowed)
        each = torch.full((len(x),), 1, device=x.device)
        return Placed(mask, each * top, each * left, self.box)

    def _places(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) top and left of each row, from the seed and its number."""
        rows = torch.arange(len(x)) if self._rows is None else self._rows
        if len(rows) != len(x):
            raise Invalid("x", f"<{len(x)} rows>", f"the {len(rows)} that the set was indexed by")
        draw = Draw.of(self.seed, rows.to(x.device))
        room = [x.shape[2 + i] - mask.shape[i] + 1 for i in (0, 1)]
        top, left = draw.tag("top").integers(room[0], 1), draw.tag("left").integers(room[1], 1)
        return top[:, 0], left[:, 0]

    def start(self, x: Tensor) -> Tensor:
        """Return what changes nothing."""
        return self.form(x).start(x)  # type: ignore[no-any-return]

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """Uniform content; anywhere, at a uniform place."""
        return self.form(x).sample(x, draw)  # type: ignore[no-any-return]

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Nearest member."""
        return self.form(x).project(x, u)  # type: ignore[no-any-return]

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """Half the input range along the sign of the gradient, under the patch."""
        return self.form(x).steepest(x, u, g)  # type: ignore[no-any-return]

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """Return the image with the patch on it."""
        return self.form(x).apply(x, u)  # type: ignore[no-any-return]

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        """(B,) bool, in float64."""
        return self.form(x).contains(x, u, tol)  # type: ignore[no-any-return]

    def printed(self, x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, h, w) what the patch shows, and (h, w) bool where it is."""
        form = self.form(x)
        return form.printed(x, u), form.mask

    def _maximise(self, x: Tensor, g: Tensor) -> Tensor:
        """Argmax <g, u>."""
        return self.form(x).maximise(x, g)  # type: ignore[no-any-return]


def _check_size(size: object) -> None:
    sides = size if isinstance(size, tuple) else (size, size)
    whole = all(isinstance(s, int) and not isinstance(s, bool) and s >= 1 for s in sides)
    if len(sides) != 2 or not whole:
        raise Invalid("size", size, "a number of pixels, or (height, width), of at least 1")


def _check_place(at: object) -> None:
    if at is None or (isinstance(at, str) and at in ("random", "anywhere")):
        return
    corner = at if isinstance(at, tuple) else ()
    whole = all(isinstance(s, int) and not isinstance(s, bool) and s >= 0 for s in corner)
    if len(corner) != 2 or not whole:
        raise Invalid("at", at, _WHERE)
