"""The adversary's set: which inputs may replace x."""

from saddlepoint.threats.ball import L1, L2, Linf
from saddlepoint.threats.combine import Chain, Masked, Union
from saddlepoint.threats.l0 import L0
from saddlepoint.threats.quantize import Quantize
from saddlepoint.threats.spatial import RotateTranslate

__all__ = ["L0", "L1", "L2", "Chain", "Linf", "Masked", "Quantize", "RotateTranslate", "Union"]
