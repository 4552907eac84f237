"""Sets made of sets: what the whole adds is judged here, the rest by the check of each member."""

from itertools import pairwise
from typing import Any

import numpy as np
import torch

from saddlepoint.audit.membership.kind import Array, widen

__all__ = ["by_chain", "by_mask", "by_union"]

_SAME = 1e-5  # of values that were added in float32
_START = 1e-6  # how far from its start a block may be that was not chosen


def by_union(
    x: Array,
    u: Array | None,
    x_adv: Array,
    threat: Any,  # noqa: ANN401
    rows: Array,
) -> list[str]:
    """Say for each row what is wrong: no such set is chosen, or the chosen one says it."""
    u = np.zeros((len(x), 1)) if u is None else u
    reasons, starts = [""] * len(x), _starts(x, threat, rows)
    widths = [int(np.prod(s.shape[1:])) for s in starts]
    if u.ndim != 2 or u.shape[1] != 1 + sum(widths):
        return [f"parameters of shape {u.shape[1:]} instead of ({1 + sum(widths)},)"] * len(x)
    if not len(x):
        return []
    ends = np.cumsum([1, *widths])
    for i in range(len(x)):
        chosen, one = u[i, 0], slice(i, i + 1)
        if not (float(chosen).is_integer() and 0 <= chosen < len(starts)):
            reasons[i] = f"set {chosen:g} was chosen, of sets 0 to {len(starts) - 1}"
            continue
        k = int(chosen)
        blocks = [u[one, a:b] for a, b in pairwise(ends)]
        idle = [
            j
            for j, start in enumerate(starts)
            if j != k and not _near(blocks[j], start[one].reshape(1, -1), _START)
        ]
        v = blocks[k].reshape(1, *starts[k].shape[1:])
        reasons[i] = _part(x[one], v, x_adv[one], threat.parts[k], rows[one])[0] or (
            f"set {idle[0]} is not at its start, and was not chosen" if idle else ""
        )
    return reasons


def by_chain(
    x: Array,
    u: Array | None,
    x_adv: Array,
    threat: Any,  # noqa: ANN401
    rows: Array,
) -> list[str]:
    """Say for each row what is wrong: what some set has made of the input before it.

    A set whose parameters are the change is checked on the sum; of another one its own ``apply``
    says what comes out, and its own check has to agree.
    """
    u = np.zeros((len(x), 1)) if u is None else u
    starts = _starts(x, threat, rows)
    widths = [int(np.prod(s.shape[1:])) for s in starts]
    if u.ndim != 2 or u.shape[1] != sum(widths):
        return [f"parameters of shape {u.shape[1:]} instead of ({sum(widths)},)"] * len(x)
    reasons, now, at = [""] * len(x), x.astype(np.float64), 0
    for part, start, width in zip(threat.parts, starts, widths, strict=True):
        v = u[:, at : at + width].reshape(len(x), *start.shape[1:]).astype(np.float64)
        then = _made(now, v, part, rows)
        said = _part(now, v, then, part, rows)
        reasons = [old or new for old, new in zip(reasons, said, strict=True)]
        now, at = then, at + width
    gap = np.abs(now - widen(x_adv)).reshape(len(x), -1)
    slack = _SAME * max(1.0, float(np.abs(x).max(initial=0)))
    return [
        said or ("" if bool((off <= slack).all()) else "its parameters make another input")
        for said, off in zip(reasons, gap, strict=True)
    ]


def by_mask(
    x: Array,
    u: Array | None,
    x_adv: Array,
    threat: Any,  # noqa: ANN401
    rows: Array,
) -> list[str]:
    """Say for each row what is wrong: a change outside the mask, or what the base's check says."""
    from saddlepoint.audit.membership import inspect

    kept = _kept(threat, x.shape[1:])
    outside = np.abs(widen(x_adv) - x.astype(np.float64))[:, ~kept] > 2.0**-24
    base = inspect(x, x_adv, threat.base, rows, u)
    return [
        "a change outside the mask" if bool(out.any()) else said
        for out, said in zip(outside, base, strict=True)
    ]


def _kept(threat: Any, shape: tuple[int, ...]) -> Array:  # noqa: ANN401
    """(*F) bool, from the mask as it was given."""
    mask = threat.mask
    if isinstance(mask, str):
        with np.load(mask, allow_pickle=False) as stored:
            mask = stored["mask" if "mask" in stored.files else stored.files[0]]
    if not isinstance(mask, tuple):
        return np.broadcast_to(np.asarray(mask).astype(np.bool_), shape)
    kept = np.zeros(shape, dtype=np.bool_)
    place: tuple[Any, ...] = (..., *[slice(*pair) if pair else slice(None) for pair in mask])
    kept[place] = True
    return kept


def _starts(x: Array, threat: Any, rows: Array) -> list[Array]:  # noqa: ANN401
    """Parameters that change nothing, of each set: their shapes say where each block ends."""
    clean, number = torch.from_numpy(x.astype(np.float64)), torch.from_numpy(rows)
    return [one[number].start(clean).numpy() for one in threat.sets]


def _made(x: Array, v: Array, part: Any, rows: Array) -> Array:  # noqa: ANN401
    """What a set makes of inputs."""
    if not getattr(part, "parametric", False) and not hasattr(part, "to_type"):
        return x + v
    here = part[torch.from_numpy(rows)]
    moved: Array = here.apply(torch.from_numpy(x), torch.from_numpy(v)).numpy()
    return moved


def _part(
    x: Array,
    v: Array,
    x_adv: Array,
    part: Any,  # noqa: ANN401
    rows: Array,
) -> list[str]:
    """What the check of one member says, and whether v is the change where it should be."""
    from saddlepoint.audit.membership import inspect

    said = inspect(x, x_adv, part, rows, v)
    if getattr(part, "parametric", False) or hasattr(part, "to_type"):  # 8-bit inputs are rounded
        return said
    gap = np.abs(x.astype(np.float64) + v - widen(x_adv)).reshape(len(x), -1)
    slack = _SAME * max(1.0, float(np.abs(x).max(initial=0)))
    return [
        fault or ("" if bool((off <= slack).all()) else "its parameters make another input")
        for fault, off in zip(said, gap, strict=True)
    ]


def _near(a: Array, b: Array, tol: float) -> bool:
    return bool((np.abs(a.astype(np.float64) - b) <= tol).all())
