"""N-FGSM: one step from noise that is larger than the set, for training only."""

from dataclasses import dataclass

from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import Graded

__all__ = ["NFGSM"]


@dataclass(frozen=True, repr=False)
class NFGSM:
    """u = n + step_size · steepest(g(n)), n uniform in the set of radius noise · eps (2202.01181).

    The result is kept within the input range but not within the radius: without clipping, the step
    keeps its length, which is what spares single-step training most collapses. Larger than the set,
    it is no attack of an audit. step_size: in radii of the set.

    >>> NFGSM(noise=1.0)
    NFGSM(noise=1.0)
    """

    noise: float = 2.0
    step_size: float = 1.0

    __repr__ = compact

    def __post_init__(self) -> None:
        for name in ("noise", "step_size"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise Invalid(name, value, "a positive number of radii")

    def __call__(self, oracle: Gradients[Graded], draw: Draw) -> None:
        """Ask for one gradient, away from x."""
        threat, x = oracle.threat, oracle.x
        eps = getattr(threat, "eps", None)
        if not isinstance(eps, int | float):
            raise Unsupported("NFGSM needs a set with one radius, such as Linf(eps=8/255)")
        reach = _largest(threat, (self.noise + self.step_size) * eps)
        u = _largest(threat, self.noise * eps).sample(x, draw)
        _, g = oracle.value_and_grad(u)
        step = threat.steepest(x, u, g)
        if self.step_size != 1:
            step = step * self.step_size
        oracle.value(reach.project(x, u + step))


def _largest(threat: Graded, eps: float) -> Graded:
    """The set of radius eps, or of the input range where that is smaller."""
    try:
        return threat.at(eps)
    except Invalid:
        low, high = threat.box  # type: ignore[attr-defined]
        return threat.at(high - low)
