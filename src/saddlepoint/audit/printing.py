"""How patches would print: measured on witnesses, whatever a search was told to care for."""

from typing import Any

import numpy as np
import torch

from saddlepoint.core.threat import parametric
from saddlepoint.threats.palette import DEFAULT, off_palette, score, variation

__all__ = ["printing"]

Array = np.ndarray[Any, Any]


def printing(threat: Any, x: Array, x_adv: Array) -> dict[str, Array]:  # noqa: ANN401
    """Measure each patch: ``tv``, ``off_palette`` and ``nps`` (B,); nothing for other sets.

    threat: of these rows. tv: total variation per pixel. off_palette: mean distance of its pixels
    from the nearest printable colour; nps: the score of Sharif et al. (CCS 2016), a sum of products
    of distances. Colours are the set's own, else the default ones; grey images have no default.

    >>> from saddlepoint import Patch
    >>> x = np.zeros((1, 1, 2, 2))
    >>> {k: v.tolist() for k, v in printing(Patch(size=1, at=(0, 0)), x, x + 0.5).items()}
    {'tv': [0.0]}
    """
    if not hasattr(threat, "printed"):
        return {}
    clean, moved = torch.from_numpy(x).double(), torch.from_numpy(x_adv).double()
    u = threat.start(moved) if parametric(threat) else moved - clean
    content, mask = threat.printed(clean, u)
    found = {"tv": variation(content, mask)}
    colours = getattr(threat, "colours", None)
    if colours is None and x.shape[1] == 3 and tuple(threat.box) == (0.0, 1.0):
        colours = DEFAULT
    if colours is not None and len(colours[0]) == x.shape[1]:
        found["off_palette"] = off_palette(content, colours, mask)
        found["nps"] = score(content, colours, mask)
    return {k: v.numpy() for k, v in found.items()}
