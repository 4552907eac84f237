"""Colours that a printer can make, and how far a picture is from them and from smooth."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saddlepoint.core.errors import BadData, Invalid

__all__ = ["DEFAULT", "off_palette", "palette", "score", "variation"]

Colours = tuple[tuple[float, ...], ...]
_PAPER, _INK, _BLACK = 0.95, 0.85, (0.2, 0.4, 0.7)
_MOST = 4096  # colours

# Thirty colours by a crude model of subtractive printing, made up for this project: paper that
# reflects 0.95, on which cyan, magenta and yellow, each at 0, 50 and 100 %, take up to 0.85 of
# their own band; and three greys of black ink. A printer's own palette, measured, is better.
DEFAULT: Colours = (
    *(
        tuple(round(_PAPER * (1 - _INK * ink / 2), 3) for ink in (cyan, magenta, yellow))
        for cyan in range(3)
        for magenta in range(3)
        for yellow in range(3)
    ),
    *((round(_PAPER * (1 - _INK * k), 3),) * 3 for k in _BLACK),
)


def palette(given: Colours | str | None, box: tuple[float, float]) -> Colours:
    """Return the colours: given, from a file of numbers with one colour a line, or the default.

    Raises ``Invalid`` for values outside the box, ``BadData`` for a file that cannot be read.

    >>> len(palette(None, (0.0, 1.0)))
    30
    """
    if given is None and box != (0.0, 1.0):
        raise Invalid("palette", None, f"given for inputs in {box}: the default lies in [0, 1]")
    found: Any = _read(Path(given)) if isinstance(given, str) else given or DEFAULT
    rows = tuple(tuple(c) if isinstance(c, list | tuple) else (c,) for c in found)
    if not rows or len(rows) > _MOST or len({len(c) for c in rows}) != 1 or not rows[0]:
        raise Invalid("palette", f"<{len(rows)} colours>", "colours of as many values each")
    for value in (v for c in rows for v in c):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not box[0] <= value <= box[1]:
            allowed = f"colours with values in [{box[0]:g}, {box[1]:g}]"
            raise Invalid("palette", value, allowed, "divide 8-bit values by 255")
    return rows


def _read(path: Path) -> list[list[float]]:
    try:
        if path.stat().st_size > 1 << 20:
            raise BadData(f"{path}: too large for a palette")
        lines = path.read_text().splitlines()
        return [
            [float(v) for v in line.replace(",", " ").split()] for line in lines if line.strip()
        ]
    except (OSError, ValueError) as error:
        if isinstance(error, BadData):
            raise
        said = f"{path}: not a palette, a file with one colour a line such as 0.9, 0.1, 0.1"
        raise BadData(f"{said} ({error})") from error


def _apart(u: Tensor, colours: Tensor, mask: Tensor) -> Tensor:
    """(B, N, K) distance of each pixel under the mask from each colour."""
    pixels = u.permute(0, 2, 3, 1)[:, mask]
    gap = pixels[:, :, None] - colours
    return (gap.square().sum(3) + 1e-12).sqrt()  # a slope at the colour itself too


def off_palette(u: Tensor, colours: Colours, mask: Tensor) -> Tensor:
    """(B,) mean distance of the pixels from the nearest printable colour; u is (B, C, h, w).

    >>> grey, mask = torch.full((1, 1, 2, 2), 0.75), torch.ones(2, 2, dtype=torch.bool)
    >>> off_palette(grey, ((0.5,), (1.0,)), mask)
    tensor([0.2500])
    """
    return _apart(u, u.new_tensor(colours), mask).amin(2).mean(1)


def score(u: Tensor, colours: Colours, mask: Tensor) -> Tensor:
    """(B,) non-printability, sum over pixels of prod over colours of |p - c|.

    The score of Sharif et al. (CCS 2016). With thirty colours the products are tiny; they vanish
    where ``off_palette`` does.

    >>> grey, mask = torch.full((1, 1, 1, 2), 0.75), torch.ones(1, 2, dtype=torch.bool)
    >>> score(grey, ((0.5,), (1.0,)), mask)
    tensor([0.1250])
    """
    return _apart(u, u.new_tensor(colours), mask).prod(2).sum(1)


def variation(u: Tensor, mask: Tensor) -> Tensor:
    """(B,) total variation per pixel, mean over pixels of |(right - p, below - p)|_2.

    u is (B, C, h, w); differences across the edge of the mask do not count.

    >>> ramp, mask = torch.tensor([[[[0.0, 0.5, 1.0]]]]), torch.ones(1, 3, dtype=torch.bool)
    >>> variation(ramp, mask)
    tensor([0.3333])
    """
    squared = torch.zeros_like(u)
    across = (u[..., :, 1:] - u[..., :, :-1]) * (mask[:, 1:] & mask[:, :-1])
    down = (u[..., 1:, :] - u[..., :-1, :]) * (mask[1:, :] & mask[:-1, :])
    squared[..., :, :-1] += across.square()
    squared[..., :-1, :] += down.square()
    # sqrt has no slope at 0: a flat place contributes none.
    length = torch.where(squared > 0, squared, 1.0).sqrt() * (squared > 0)
    return (length * mask).flatten(1).sum(1) / (mask.sum() * u.shape[1])
