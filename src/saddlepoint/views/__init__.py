"""Distributions of transformations that lie between an input and the model: how it is seen.

Every part is called as ``part(x, draw)``; ``a >> b`` does a first. Ranges are uniform: a number r
stands for (-r, r), a pair for itself.
"""

from saddlepoint.views.affine import Rotate, Scale, Shift
from saddlepoint.views.chain import Chain
from saddlepoint.views.noise import Noise
from saddlepoint.views.perspective import Perspective
from saddlepoint.views.render import Render
from saddlepoint.views.tone import Brightness, Contrast

__all__ = [
    "Brightness",
    "Chain",
    "Contrast",
    "Noise",
    "Perspective",
    "Render",
    "Rotate",
    "Scale",
    "Shift",
]
