"""Where a gradient attack begins: by chance, at the input, or where something was learnt."""

from typing import Any, Literal, get_args

from torch import Tensor

from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.goal import Goal
from saddlepoint.core.threat import ThreatModel

__all__ = ["Start", "begin", "check_start"]

Start = Literal["random", "clean", "worst", "diverse"]
_DIVERSE_STEPS = 2


def check_start(start: object) -> None:
    """Raise ``Invalid`` unless ``start`` names a start."""
    if start not in get_args(Start):
        raise Invalid("start", start, "one of " + ", ".join(map(repr, get_args(Start))))


def begin(start: Start, oracle: Gradients[ThreatModel], draw: Draw) -> Tensor:
    """(B, *P) the first iterate, a member of the set."""
    if start == "clean":
        return oracle.threat.start(oracle.x)
    if start == "worst":
        return oracle.worst
    u = oracle.threat.sample(oracle.x, draw)
    return _diverse(oracle, u, draw) if start == "diverse" else u


def _diverse(oracle: Gradients[ThreatModel], u: Tensor, draw: Draw) -> Tensor:
    """Two steps along <w, scores> with w uniform in [-1, 1]^K (2003.06878, §3): far in output."""
    weights: Tensor | None = None

    def along(out: Any, _goal: Goal) -> Tensor:  # noqa: ANN401 - whatever the model returns
        nonlocal weights
        if weights is None:
            weights = draw.tag("direction").uniform(out.shape[1], low=-1.0).to(out.dtype)
        score: Tensor = (out * weights).sum(1)
        return score

    towards = oracle.aim(along)
    for _ in range(_DIVERSE_STEPS):
        _, g = towards.value_and_grad(u)
        u = oracle.threat.project(oracle.x, u + oracle.threat.steepest(oracle.x, u, g))
    return u
