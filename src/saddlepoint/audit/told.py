"""What the parameters of a witness do, in words."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from saddlepoint.core.shapes import flat
from saddlepoint.core.threat import Described, Parted, parametric

__all__ = ["told"]


def told(threat: Any, x: Tensor, u: Tensor) -> list[str]:  # noqa: ANN401 - a threat model
    """One text for each row of u (B, *P) around x; empty texts where the set has no words.

    Of a union the chosen set speaks, of a chain all of them in turn.

    >>> from saddlepoint.threats import Linf, RotateTranslate
    >>> x = torch.zeros(1, 1, 2, 2)
    >>> both = Linf(0.1) | RotateTranslate(degrees=30, pixels=0)
    >>> told(both, x, torch.tensor([[1.0, 0, 0, 0, 0, 0.5, 0, 0]]))
    ['turned clockwise by 15.0°']
    >>> told(both, x, both.start(x))
    ['changed within Linf(eps=0.1)']
    """
    if isinstance(threat, Parted):
        return _parted(threat, x, u)
    if not parametric(threat):
        return [""] * len(u)
    if isinstance(threat, Described):
        return threat.tell(u)
    if hasattr(threat, "base"):
        return [said and f"{said}, seen within the mask" for said in told(threat.base, x, u)]
    return [""] * len(u)


def _parted(threat: Parted, x: Tensor, u: Tensor) -> list[str]:
    blocks = u if threat.in_turn else u[:, 1:]
    starts = [part.start(x) for part in threat.parts]
    split = torch.split(blocks, [flat(s).shape[1] for s in starts], dim=1)
    said = [
        [text or f"changed within {part!r}" for text in told(part, x, v.reshape(s.shape))]
        for part, s, v in zip(threat.parts, starts, split, strict=True)
    ]
    if threat.in_turn:
        return [", then ".join(texts) for texts in zip(*said, strict=True)]
    return [_chosen(said, k, row) for row, k in enumerate(u[:, 0].round().int().tolist())]


def _chosen(said: Sequence[Sequence[str]], k: int, row: int) -> str:
    return said[min(max(k, 0), len(said) - 1)][row]
