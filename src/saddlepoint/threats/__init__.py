"""The adversary's set: which inputs may replace x."""

from saddlepoint.threats.ball import L1, L2, Linf
from saddlepoint.threats.quantize import Quantize

__all__ = ["L1", "L2", "Linf", "Quantize"]
