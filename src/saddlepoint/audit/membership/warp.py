"""Images seen under an affine map or a homography: every pixel looks up where it comes from."""

from typing import Any

import numpy as np

from saddlepoint.audit.membership.kind import Array

__all__ = ["seen_from", "warped"]


def warped(x: Array, u: Array, threat: Any) -> Array:  # noqa: ANN401
    """(C, H, W) under a scale, a shear and a rotation about the centre, then a shift."""
    names = ("degrees", "shift", "shift", "scale", "scale", "shear")
    given = iter(u / 5)
    share = [next(given) if getattr(threat, name) > 0 else 0.0 for name in names]
    angle, slant = np.deg2rad(share[0] * threat.degrees), np.deg2rad(share[5] * threat.shear)
    scale = np.diag((1 + threat.scale) ** np.array(share[3:5]))
    shear = np.array([[1, np.tan(slant)], [0, 1]])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    height, width = x.shape[1:]
    there = np.eye(3)
    there[:2, :2] = turn @ shear @ scale
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = threat.shift * np.array([share[1] * width, share[2] * height])
    there[:2, 2] = middle + shift - there[:2, :2] @ middle
    return _looked_up(x, there, threat.padding)


def seen_from(x: Array, u: Array, threat: Any) -> Array:  # noqa: ANN401
    """(C, H, W) under the homography that moves the corners by u, from eight linear equations."""
    height, width = x.shape[1:]
    old = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], dtype=float)
    new = old + u.reshape(4, 2) / 5 * threat.distortion * np.array([width, height])
    known, wanted = np.zeros((8, 8)), new.reshape(-1)
    for k, ((a, b), (c, d)) in enumerate(zip(old, new, strict=True)):
        known[2 * k] = [a, b, 1, 0, 0, 0, -a * c, -b * c]
        known[2 * k + 1] = [0, 0, 0, a, b, 1, -a * d, -b * d]
    there = np.append(np.linalg.solve(known, wanted), 1.0).reshape(3, 3)
    return _looked_up(x, there, threat.padding)


def _looked_up(x: Array, there: Array, padding: str) -> Array:
    """Each pixel's value at the place that ``there`` (3, 3) takes to it, read bilinearly."""
    height, width = x.shape[1:]
    row, column = np.mgrid[:height, :width]
    back = np.linalg.inv(there) @ np.stack([column, row, np.ones_like(row)]).reshape(3, -1)
    at = back[:2] / back[2]
    if padding == "reflect":
        at = np.stack([_folded(at[0], width - 1), _folded(at[1], height - 1)])
    first = np.floor(at).astype(np.int64)
    out = np.zeros((len(x), height * width))
    for i in (0, 1):
        for j in (0, 1):
            place = first + np.array([[j], [i]])
            weight = np.prod(1 - np.abs(at - place), axis=0)
            seen = (place >= 0).all(0) & (place[0] < width) & (place[1] < height)
            value = x[:, place[1].clip(0, height - 1), place[0].clip(0, width - 1)]
            out += np.where(seen, weight, 0) * value
    return out.reshape(x.shape)


def _folded(at: Array, last: int) -> Array:
    """Mirror positions at 0 and at the last pixel."""
    if last == 0:
        return np.zeros_like(at)
    turn: Array = np.abs(at) % (2 * last)
    return np.where(turn > last, 2 * last - turn, turn)
