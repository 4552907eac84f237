"""Certified radii: how large a set of each sample can be proved, and where a break is known."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from saddlepoint.audit.proving.prover import network_of
from saddlepoint.audit.sweep import default_nearest
from saddlepoint.core.access import Attack
from saddlepoint.core.detected import refuse_rejecting
from saddlepoint.core.door import Door, Model
from saddlepoint.core.errors import Unsupported
from saddlepoint.core.goal import Untargeted
from saddlepoint.core.nearest import nearest
from saddlepoint.core.threat import Convex, Graded, graded
from saddlepoint.verify.distance import Distance
from saddlepoint.verify.ladder import Ladder, Rung
from saddlepoint.verify.network import Network
from saddlepoint.verify.spec import Spec, margins

__all__ = ["Radii", "Radius", "RadiusSearch", "certified_radii", "check_sizes"]

SLACK = 1e-9  # of float64
_SHARE = 0.25  # of a sample's time that the ladder may spend on one size
_CHUNK = 16  # samples that are attacked at a time
_STRETCH = (1.0, 1.002)  # a break on the boundary of float32 may be none in float64

Progress = Callable[[Sequence["Radius"], int], None]  # radii so far, samples to do


@dataclass(frozen=True)
class Radius:
    """What is known of one sample.

    radius: the largest size that is proved, 0 where the clean prediction is wrong. breaks_at: the
    smallest size at which a break is known, None where none is. state: ``closed`` where they are as
    close as was asked, ``limit`` where the budget ended first, ``whole`` where the largest size is
    proved, ``wrong``.

    >>> Radius(0.2, 0.3, "limit").breaks_at
    0.3
    """

    radius: float
    breaks_at: float | None
    state: Literal["closed", "limit", "whole", "wrong"]


@dataclass(frozen=True, repr=False)
class Radii:
    """The ``samples`` of ``certified_radii``: one entry each, wrong ones included.

    >>> found = Radii((Radius(0.0, 0.0, "wrong"), Radius(0.2, 0.3, "limit")))
    >>> found.certified_accuracy(0.1), found.robust_accuracy(0.1), found.mean
    (0.5, 0.5, 0.1)
    """

    samples: tuple[Radius, ...]

    def certified_accuracy(self, eps: float) -> float:
        """Share of samples that are proved right at this size: a lower bound."""
        good = sum(s.state != "wrong" and s.radius >= eps for s in self.samples)
        return good / len(self.samples)

    def robust_accuracy(self, eps: float) -> float:
        """Share of samples without a known break within this size: an upper bound."""
        good = sum(s.breaks_at is None or s.breaks_at > eps for s in self.samples)
        return good / len(self.samples)

    @property
    def median(self) -> float:
        """Median radius over all samples, a proved one: the lower of the middle two."""
        return sorted(s.radius for s in self.samples)[(len(self.samples) - 1) // 2]

    @property
    def mean(self) -> float:
        """Mean radius over all samples."""
        return math.fsum(s.radius for s in self.samples) / len(self.samples)

    def __repr__(self) -> str:
        return f"Radii(n={len(self.samples)}, median={self.median:.4g}, mean={self.mean:.4g})"


def check_sizes(threat: object) -> Graded:
    """Return a threat whose sizes can be certified; raises ``Unsupported`` for any other."""
    sizes = graded(threat)
    if hasattr(threat, "to_type"):
        raise Unsupported(
            f"{threat!r}: a closer break off the grid is none, so ask for the radius of the set "
            "around it"
        )
    if not isinstance(threat, Convex):
        raise Unsupported(f"{threat!r} is not convex: its sizes cannot be certified by bounds")
    if isinstance(sizes.eps, Tensor):
        raise Unsupported(f"{threat!r} has a size per sample: the radius starts from one for all")
    return sizes


@dataclass(frozen=True)
class RadiusSearch:
    """How the radius of one sample is looked for.

    tolerance: relative width of the bracket at which the search ends. seconds: CPU time for each
    sample, after the attack. subproblems: how many branch and bound may bound for one size. attack:
    what looks for the nearest break first; ``default_nearest`` where it is None.

    Raises ``Invalid``.

    >>> RadiusSearch(seconds=2.0).tolerance
    0.01
    """

    tolerance: float = 0.01
    seconds: float = 10.0
    subproblems: int | None = None
    attack: Attack[Any] | None = None

    def __post_init__(self) -> None:
        self.rough()

    def rough(self) -> Distance:
        """Bisect by intervals and CROWN alone."""
        ladder = Ladder(rungs=(Rung.IBP, Rung.CROWN), slack=SLACK)
        return Distance(self.tolerance, self.seconds, ladder)

    def fine(self, seconds: float) -> Distance:
        """Bisect by the whole ladder."""
        ladder = Ladder(seconds=_SHARE * self.seconds, slack=SLACK)
        if self.subproblems is not None:
            ladder = replace(ladder, subproblems=self.subproblems)
        return Distance(self.tolerance, seconds, ladder)

    def __call__(
        self,
        network: Network,
        threat: Graded,
        x: Tensor,
        spec: Spec,
        known: Tensor | None = None,
        certified: float = 0.0,
    ) -> Radius:
        """Return the radius of one sample that is right when clean, as ``Distance`` takes it.

        CROWN alone finds a size from which the whole ladder goes on. A known break that float64
        does not confirm is left out.
        """
        began = time.process_time()
        if known is not None:
            known = _confirmed(network, threat, x, spec, known)
        low = self.rough()(network, threat, x, spec, known, certified)
        left = self.seconds - (time.process_time() - began)
        if low.state != "limit" or left <= 0:
            found = low
        else:
            break_ = known if low.x is None else low.x
            found = self.fine(left)(network, threat, x, spec, break_, low.lower)
        upper = found.upper if math.isfinite(found.upper) else None
        return Radius(found.lower, upper, "whole" if found.state == "none" else found.state)


def _confirmed(
    network: Network,
    threat: Graded,
    x: Tensor,
    spec: Spec,
    known: Tensor,
) -> Tensor | None:
    """Return the break, or one a little farther, that is one in float64 too."""
    x, known = x.double(), known.double()
    network, spec = network.to(torch.float64), spec.to(torch.float64)
    for stretch in _STRETCH:
        u = threat.project(x, stretch * (known - x))
        at = threat.apply(x, u)
        with torch.no_grad():
            broken = spec.margin(network.forward(at).flatten(1)) > 0
        if bool(broken) and bool(threat.contains(x, u, 1e-7)):
            return at.detach()
    return None


def certified_radii(
    model: Model,
    x: Tensor,
    y: Tensor,
    threat: Graded,
    how: RadiusSearch | None = None,
    *,
    seed: int = 0,
    certified: Tensor | None = None,
    done: Sequence[Radius] = (),
    progress: Progress | None = None,
) -> Radii:
    """Bracket the radius of each sample: what is proved from below, what breaks it from above.

    radius_i = max eps with argmax f(x') = y_i for all x' in threat.at(eps)(x_i), from both sides.
    An attack looks for the nearest break; bisection decides sizes below it by bounds and by branch
    and bound, in float64 on the CPU (slack 1e-9, no certificate). Sizes reach to the whole input
    range or, where that is infinite, to the threat's own.

    x: (B, *F); y: (B,) labels; certified: (B,) sizes that are proved already; done: radii of the
    first samples, of an earlier call; progress: gets the radii so far and how many there will be.

    Raises ``Unsupported`` for sets without sizes, that are not convex or that are restricted to a
    grid, and for models that bounds cannot read; ``Unsound`` where a break contradicts a proof.

    >>> from saddlepoint.threats import L2
    >>> layer = torch.nn.Linear(2, 2)
    >>> _ = layer.load_state_dict({"weight": torch.eye(2), "bias": torch.zeros(2)})
    >>> found = certified_radii(layer, torch.tensor([[0.75, 0.25]]), torch.tensor([0]), L2(eps=0.1))
    >>> found.mean <= 0.125**0.5 <= 1.011 * found.mean
    True
    """
    refuse_rejecting(model, "a certified radius")
    how, threat = how or RadiusSearch(), _whole(check_sizes(threat), x)
    proved = torch.zeros(len(x)) if certified is None else certified
    with Door(model) as door:
        if door.dtype in (torch.float16, torch.bfloat16):
            raise Unsupported(f"the parameters are {door.dtype}: bounds need float32 or float64")
        network, _ = network_of(door, tuple(x.shape[1:]))
    attack, found = how.attack or default_nearest(threat), list(done)
    for first in range(len(done), len(x), _CHUNK):
        rows = torch.arange(first, min(first + _CHUNK, len(x)))
        near = nearest(attack, model, x[rows], y[rows], threat, seed=seed, ids=rows)
        for i, row in enumerate(rows.tolist()):
            where = x[row : row + 1].cpu(), y[row : row + 1].cpu()
            known = near.x_adv[i : i + 1].cpu() if bool(near.size[i].isfinite()) else None
            if float(near.size[i]) == 0:
                found.append(Radius(0.0, 0.0, "wrong"))
            else:
                found.append(_one(how, network, threat, *where, known, float(proved[row])))
            if progress is not None:
                progress(found, len(x))
    return Radii(tuple(found))


def _one(
    how: RadiusSearch,
    network: Network,
    threat: Graded,
    x: Tensor,
    y: Tensor,
    known: Tensor | None,
    certified: float,
) -> Radius:
    with torch.enable_grad():
        classes = math.prod(network.nodes[network.output].shape)
        return how(network, threat, x, margins(Untargeted(y), classes, x), known, certified)


def _whole(threat: Graded, x: Tensor) -> Graded:
    """Return the set that reaches the farthest corner of the input range from any sample."""
    low, high = getattr(threat, "box", (-math.inf, math.inf))
    if math.isinf(low) or math.isinf(high) or not len(x):
        return threat
    far = torch.where(x - low > high - x, low - x, high - x)
    return threat.at(float(threat.size(x, far).max()))
