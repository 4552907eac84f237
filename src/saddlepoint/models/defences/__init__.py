"""Defences that fell: each with its claim, and open to an audit that knows it.

A model that may reject says so by ``rejects = True``: its last score is then that of rejection, and
a break is an answer that is wrong and accepted (``core/detected.py``).
"""

from saddlepoint.models.defences.detector import Guarded, guarded
from saddlepoint.models.defences.distillation import distill
from saddlepoint.models.defences.fitting import Fitting
from saddlepoint.models.defences.outlier import OutlierClass, outlier_class
from saddlepoint.models.defences.specialists import Specialists, confused, specialists
from saddlepoint.models.defences.squeezing import Squeezing, squeezed

__all__ = [
    "Fitting",
    "Guarded",
    "OutlierClass",
    "Specialists",
    "Squeezing",
    "confused",
    "distill",
    "guarded",
    "outlier_class",
    "specialists",
    "squeezed",
]
