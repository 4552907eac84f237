"""The value of the game: robust accuracy with evidence that anyone can replay."""

from saddlepoint.audit.curve import Curve
from saddlepoint.audit.result import About, Audit
from saddlepoint.audit.run import audit, default_attacks
from saddlepoint.audit.sweep import default_nearest
from saddlepoint.audit.trace import curve

__all__ = ["About", "Audit", "Curve", "audit", "curve", "default_attacks", "default_nearest"]
