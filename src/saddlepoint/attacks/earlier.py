"""Warm starts: points that broke the same samples in an earlier search, on a similar model."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from saddlepoint.core.access import Blind
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.shapes import put
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import ThreatModel, parametric

__all__ = ["Earlier", "Points"]


@dataclass(frozen=True, repr=False)
class Points:
    """One perturbed input for each of some samples, by their identities.

    ids: (M,) int64 in ascending order. x_adv: (M, *F) the inputs, in the input range. sha256: of
    where they come from, by which a plan knows them. u: (M, *P) the parameters that make them, and
    kind: the set's class, where a set has parameters.

    >>> Points(torch.tensor([3]), torch.zeros(1, 2), "c0ffee")
    run@c0ffee
    """

    ids: Tensor = field(compare=False)
    x_adv: Tensor = field(compare=False)
    sha256: str
    u: Tensor | None = field(default=None, compare=False)
    kind: str = ""

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.x_adv) or bool((self.ids.diff() <= 0).any()):
            raise Invalid("ids", f"<{len(self.ids)} ids>", "one for each point, ascending")

    def __repr__(self) -> str:
        return f"run@{self.sha256[:8]}"

    def __len__(self) -> int:
        return len(self.ids)

    def places(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) rows of these samples in ``x_adv``, and whether there is a point for each."""
        if not len(self):
            return torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
        own = self.ids.to(ids.device)
        place = torch.searchsorted(own, ids).clamp(max=len(self) - 1)
        return place, own[place] == ids


@dataclass(frozen=True, repr=False)
class Earlier:
    """Hand in, for each sample, what broke it in an earlier run, taken back into the present set.

    One question a sample, and none about samples without a point. Where u is the change itself the
    run's inputs are projected, whatever set they come from; a set with other parameters takes those
    of a run in the same kind of set. points: of that run, which ``saddlepoint.audit`` reads.

    Raises ``Unsupported`` for points of another kind of set, ``Invalid`` for inputs of other shape.

    >>> Earlier(Points(torch.tensor([3]), torch.zeros(1, 2), "c0ffee"))
    Earlier(points=run@c0ffee)
    """

    points: Points | None = None

    __repr__ = compact

    def inside(self, threat: object) -> list[tuple[object, object]]:
        """Say that nothing inside asks the model; raises ``Unsupported`` where the set is wrong."""
        if self.points is None:
            raise Unsupported("Earlier has no points: give the folder of an earlier run (--warm)")
        kind = type(threat).__name__
        if parametric(threat) and self.points.kind != kind:
            said = f"of {self.points.kind}" if self.points.kind else "inputs alone"
            raise Unsupported(
                f"the earlier run's points are {said}, but a search in {kind} needs the parameters "
                "of its members: give a run with the same kind of set"
            )
        return []

    def __call__(self, oracle: Blind[ThreatModel], draw: Draw) -> None:
        """Ask about the points."""
        u, known = self.suggest(oracle, draw)
        if bool(known.any()):
            oracle.rest(~known).propose(u)

    def suggest(self, oracle: Blind[ThreatModel], draw: Draw) -> tuple[Tensor, Tensor]:
        """(B, *P) members near the run's points, and (B,) for which samples there is one."""
        self.inside(oracle.threat)
        points, u = self.points, oracle.threat.start(oracle.x)
        if points is None:
            return u, torch.zeros(len(u), dtype=torch.bool, device=u.device)
        place, known = points.places(draw.ids)
        rows = points.u if parametric(oracle.threat) else points.x_adv
        like = u if parametric(oracle.threat) else oracle.x
        if rows is None or rows.shape[1:] != like.shape[1:]:
            given = None if rows is None else tuple(rows.shape[1:])
            raise Invalid("points", f"<{given}>", f"of shape {tuple(like.shape[1:])}")
        if not len(points):
            return u, known
        new = rows[place.to(rows.device)].to(like)
        new = new if parametric(oracle.threat) else new - oracle.x
        return oracle.threat.project(oracle.x, put(known, new, u)), known
