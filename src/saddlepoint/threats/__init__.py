"""The adversary's set: which inputs may replace x."""

from saddlepoint.threats.ball import L1, L2, Linf
from saddlepoint.threats.combine import Chain, Masked, Union
from saddlepoint.threats.environment import Affine, Blur, Colour, Corruption, Perspective
from saddlepoint.threats.feature import Features
from saddlepoint.threats.l0 import L0
from saddlepoint.threats.patch import Patch
from saddlepoint.threats.printable import Printable
from saddlepoint.threats.quantize import Quantize
from saddlepoint.threats.spatial import RotateTranslate

__all__ = [
    "L0",
    "L1",
    "L2",
    "Affine",
    "Blur",
    "Chain",
    "Colour",
    "Corruption",
    "Features",
    "Linf",
    "Masked",
    "Patch",
    "Perspective",
    "Printable",
    "Quantize",
    "RotateTranslate",
    "Union",
]
