"""The value of the game: robust accuracy with evidence that anyone can replay."""

from saddlepoint.audit.compare import compare
from saddlepoint.audit.comparison import Comparison
from saddlepoint.audit.result import About, Audit
from saddlepoint.audit.run import audit
from saddlepoint.audit.team import Team, gathered

__all__ = ["About", "Audit", "Comparison", "Team", "audit", "compare", "gathered"]
