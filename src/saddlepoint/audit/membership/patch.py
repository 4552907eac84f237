"""Patches: nothing changes beside the shape, and under it lies what the parameters say."""

from pathlib import Path
from typing import Any

import numpy as np

from saddlepoint.audit.membership.kind import Array
from saddlepoint.audit.membership.places import place_of

__all__ = ["by_patch"]

_SAME = 2.0**-24  # of the input range: a value that was read in two ways
_EXACT = 1e-6


def by_patch(
    x: Array,
    u: Array | None,
    x_adv: Array,
    threat: Any,  # noqa: ANN401
    rows: Array,
) -> list[str]:
    """Say for each row what is wrong, or "" where all that changed is the patch.

    At a known place u is its content, and x_adv must show it; anywhere, some copy of the shape must
    cover every changed pixel.
    """
    threat = getattr(threat, "threat", threat)  # one with a price has the same members
    x, x_adv = x.astype(np.float64), x_adv.astype(np.float64)
    if x.ndim != 4:
        return [f"shape {x.shape[1:]} is no image"] * len(x)
    shape = _trimmed(_shape(threat, *x.shape[2:]))
    roams = threat.at == "anywhere" or (threat.at is None and threat.mask is None)
    said = []
    for i in range(len(x)):
        fault = _outside(x_adv[i], threat.box)
        changed = (np.abs(x_adv[i] - x[i]) > _slack(threat, _SAME)).any(axis=0)
        if not fault and roams:
            fault = _covered(changed, shape[0])
        elif not fault and u is not None:
            corner = _corner(threat, shape, x.shape[2:], int(rows[i]))
            fault = _pasted(x_adv[i], u[i].astype(np.float64), changed, shape[0], corner, threat)
        said.append(fault)
    return said


def _slack(threat: Any, share: float) -> float:  # noqa: ANN401
    return share * max(1.0, float(threat.box[1] - threat.box[0]))


def _outside(b: Array, box: tuple[float, float]) -> str:
    if not np.isfinite(b).all():
        return "values that are not finite"
    slack = _EXACT * max(1.0, box[1] - box[0])
    low, high = float(b.min()), float(b.max())
    inside = low >= box[0] - slack and high <= box[1] + slack
    return "" if inside else f"values from {low:g} to {high:g} leave [{box[0]:g}, {box[1]:g}]"


def _shape(threat: Any, height: int, width: int) -> Array:  # noqa: ANN401
    """(h, w) bool, read or drawn anew."""
    if threat.mask is None:
        size = threat.size if isinstance(threat.size, tuple) else (threat.size, threat.size)
        return np.ones(size, dtype=np.bool_)
    if threat.mask == "glasses":
        return np.array(
            [[_frame(r, c, height, width) for c in range(width)] for r in range(height)]
        )
    path = Path(threat.mask)
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as stored:
            only = stored.files[0] if len(stored.files) == 1 else "mask"
            mask: Array = stored[only] != 0
        return mask
    from PIL import Image  # needed for masks that are images only

    with Image.open(path, formats=("PNG",)) as image:
        return np.asarray(image.convert("L")) > 127


def _frame(row: int, column: int, height: int, width: int) -> bool:
    """Whether a pixel belongs to the frame of glasses: a rim, the bridge or a temple."""
    y, x = (row + 0.5) / height, (column + 0.5) / width
    line = max(0.03, 1.01 / min(height, width))
    if abs(y - 0.40) <= line / 2 and (abs(x - 0.5) <= 0.06 or abs(x - 0.5) >= 0.38):
        return True
    a, b = abs(x - 0.5) - 0.22, y - 0.42
    rim = (a / 0.17) ** 2 + (b / 0.12) ** 2 <= 1
    return rim and not (a / (0.17 - line)) ** 2 + (b / (0.12 - line)) ** 2 < 1


def _trimmed(mask: Array) -> tuple[Array, int, int]:
    """The part of a mask that is used, and where it begins."""
    r, c = np.nonzero(mask)
    return mask[r.min() : r.max() + 1, c.min() : c.max() + 1], int(r.min()), int(c.min())


def _corner(
    threat: Any,  # noqa: ANN401
    shape: tuple[Array, int, int],
    image: tuple[int, ...],
    row: int,
) -> tuple[int, int]:
    if threat.at == "random":
        room = tuple(image[k] - shape[0].shape[k] + 1 for k in (0, 1))
        return place_of(threat.seed, row, (room[0], room[1]))
    return shape[1:] if threat.at is None else tuple(threat.at)


def _pasted(
    b: Array,
    u: Array,
    changed: Array,
    mask: Array,
    corner: tuple[int, int],
    threat: Any,  # noqa: ANN401
) -> str:
    (top, left), (h, w) = corner, mask.shape
    if u.shape != (len(b), h, w):
        return f"content of shape {u.shape} instead of {(len(b), h, w)}"
    beside = changed.copy()
    beside[top : top + h, left : left + w] &= ~mask
    if beside.any():
        return f"{int(beside.sum())} pixels beside the patch changed"
    if not np.isfinite(u).all() or (u[:, ~mask] != 0).any():
        return "content beside the mask"
    shown = b[:, top : top + h, left : left + w][:, mask]
    off = float(np.abs(shown - u[:, mask]).max())
    return f"the patch differs from its content by {off:g}" if off > _slack(threat, _EXACT) else ""


def _covered(changed: Array, mask: Array) -> str:
    """Look for a place where the mask covers every changed pixel."""
    r, c = np.nonzero(changed)
    if not len(r):
        return ""
    for top in range(max(0, r.max() - mask.shape[0] + 1), r.min() + 1):
        for left in range(max(0, c.max() - mask.shape[1] + 1), c.min() + 1):
            inside = r.max() - top < mask.shape[0] and c.max() - left < mask.shape[1]
            fits = top + mask.shape[0] <= len(changed) and left + mask.shape[1] <= len(changed[0])
            if inside and fits and mask[r - top, c - left].all():
                return ""
    return f"no place of the patch covers the {len(r)} pixels that changed"
