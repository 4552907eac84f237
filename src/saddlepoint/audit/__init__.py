"""The value of the game: robust accuracy with evidence that anyone can replay."""

from saddlepoint.audit.compare import compare
from saddlepoint.audit.comparison import Comparison
from saddlepoint.audit.curve import Curve
from saddlepoint.audit.proving import Verification
from saddlepoint.audit.radius import Radii, Radius, RadiusSearch, certified_radii
from saddlepoint.audit.result import About, Audit
from saddlepoint.audit.run import audit
from saddlepoint.audit.shared import Shared
from saddlepoint.audit.smooth import smooth
from saddlepoint.audit.smoothed import Smoothed
from saddlepoint.audit.sweep import default_nearest
from saddlepoint.audit.team import Team, gathered
from saddlepoint.audit.trace import curve
from saddlepoint.audit.universal import universal

__all__ = [
    "About",
    "Audit",
    "Comparison",
    "Curve",
    "Radii",
    "Radius",
    "RadiusSearch",
    "Shared",
    "Smoothed",
    "Team",
    "Verification",
    "audit",
    "certified_radii",
    "compare",
    "curve",
    "default_nearest",
    "gathered",
    "smooth",
    "universal",
]
