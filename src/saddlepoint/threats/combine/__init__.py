"""Sets made of sets: either of several, one after another, on some of the values only."""

from saddlepoint.threats.combine.chain import Chain
from saddlepoint.threats.combine.masked import Masked
from saddlepoint.threats.combine.union import Union

__all__ = ["Chain", "Masked", "Union"]
