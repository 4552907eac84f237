"""Changes in environment: other views, light, focus and weather, by their severity."""

from saddlepoint.threats.environment.affine import Affine
from saddlepoint.threats.environment.blur import Blur
from saddlepoint.threats.environment.colour import Colour
from saddlepoint.threats.environment.corruption import Corruption
from saddlepoint.threats.environment.corruptions import CORRUPTIONS
from saddlepoint.threats.environment.perspective import Perspective

__all__ = ["CORRUPTIONS", "Affine", "Blur", "Colour", "Corruption", "Perspective"]
