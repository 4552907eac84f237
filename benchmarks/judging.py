"""Whether an input counts as a break: judged here, by nothing of any library's attack."""

import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint import L2, Linf
from saddlepoint.presets import parse_threat

__all__ = ["Ball", "ball", "wrong"]

TOLERANCE = {"Linf": 1e-6, "L2": 1e-5}  # what float32 may round; L2 adds it up over the pixels


@dataclass(frozen=True)
class Ball:
    """Inputs in [0, 1] within ``eps``; judged here, by nothing of either library."""

    norm: str
    eps: float

    def contains(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """(B,) bool; an image with NaN is not in it."""
        moved = (x_adv.double() - x.double()).flatten(1)
        size = moved.abs().amax(1) if self.norm == "Linf" else moved.norm(dim=1)
        pixels = x_adv.flatten(1)
        in_range = ((pixels >= 0) & (pixels <= 1)).all(1)
        return (size <= self.eps + TOLERANCE[self.norm]) & in_range


def ball(text: str) -> Ball:
    """Read ``Linf(eps=8/255)`` or ``L2(eps=0.5)``."""
    threat: Any = parse_threat(text)
    if not isinstance(threat, Linf | L2) or tuple(threat.box or ()) != (0.0, 1.0):
        sys.exit(f"--threat {text}: must be Linf(eps=...) or L2(eps=...) in the box [0, 1]")
    return Ball(type(threat).__name__, float(threat.eps))


def wrong(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """(B,) bool: whether the model errs; an answer that is not finite is an error, too."""
    with torch.no_grad():
        out = model(x)
    return (out.argmax(1) != y) | ~out.isfinite().all(1)
