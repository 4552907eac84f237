"""Square: random search over blocks of neighbouring coordinates, in any set that has the verbs."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.attacks.differences import uniform
from saddlepoint.attacks.exchange import bump, exchange, tiles
from saddlepoint.core.access import Blind, Scores
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.shapes import put
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import require_whole

__all__ = ["Square"]

# Shares of the run after which the block's area halves: the published run is 10,000 queries long,
# and its schedule is stretched or squeezed to the number of queries there are.
_AHEAD = 64  # queries whose random numbers are drawn at once
_LEAST = 3  # side of a block with two hills
_HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True, repr=False)
class Square:
    """u' = project(u + 2 steepest(one sign per channel on a block)); keep gains (1912.00049, §3).

    Blocks are squares over the last two axes of u, intervals where it has one; the other axes count
    as channels. In the L_inf ball a move sets the block to plus or minus eps, as published. Where a
    radius is one Euclidean length in all directions, as in the L2 ball, a second block is undone,
    and the first takes the length that it gives up on two hills of opposite sign, as published. In
    other sets ``steepest`` and ``project`` say what a block may take from the rest. The first point
    has stripes along the last but one axis, or a grid of such hills. n_queries: evaluations per
    sample. p: share of the coordinates in the first block, halved nine times over
    the run. loss: what to climb.

    >>> Square(n_queries=200)
    Square(n_queries=200)
    """

    n_queries: int = 5000
    p: float = 0.8
    loss: Loss | str | None = "margin"

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("n_queries", self.n_queries)
        check_loss(self.loss)
        if not 0 < self.p <= 1:
            raise Invalid("p", self.p, "a share of the coordinates in (0, 1]")

    def share(self, k: int) -> float:
        """Share of the coordinates that query k changes.

        >>> Square(n_queries=1000).share(1), Square(n_queries=1000).share(900)
        (0.8, 0.0015625)
        """
        halved = sum(k / self.n_queries > at for at in _HALVINGS)
        return float(self.p / 2**halved)

    def move(self, oracle: Blind[ThreatModel], u: Tensor, k: int, draw: Draw) -> Tensor:
        """(B, *P) where query k could lead from u: another look at the same chance draws anew."""
        place, sign = _chances(u, 1, draw)
        inside = [side[:, 0] for side in _insides(u, [self.share(k)], place)]
        return _jump(oracle, u, _block(u, inside, sign[:, 0]))

    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        """Climb from one start of stripes."""
        oracle = oracle.aim(self.loss)
        start = oracle.threat.start(oracle.x)
        shared = uniform(oracle, start, draw.tag("shared").normal(*start.shape[1:]).to(start.dtype))
        first_signs = _stripes(oracle, draw.tag("stripes"))
        first_signs = put(shared, tiles(start, draw.tag("tiles")), first_signs)
        u = _jump(oracle, start, first_signs)
        best = oracle.value(u)
        for first in range(1, self.n_queries, _AHEAD):
            last = min(first + _AHEAD, self.n_queries)
            place, sign = _chances(u, last - first, draw.tag(first))
            elsewhere = draw.tag(first, "other").uniform(*place.shape[1:])
            turn = draw.tag(first, "turn").integers(max(1, place.shape[2]), last - first)
            insides = _insides(u, [self.share(k) for k in range(first, last)], place)
            for k in range(first, last):
                oracle, u, best, shared, draw, place, elsewhere, turn, sign, *insides = (
                    oracle.shrink(u, best, shared, draw, place, elsewhere, turn, sign, *insides)
                )
                at = k - first
                inside = [side[:, at] for side in insides]
                chances = place[:, at], sign[:, at], elsewhere[:, at], turn[:, at]
                new = _moved(oracle, u, shared, self.share(k), inside, *chances)
                value = oracle.value(new)
                better = (value > best) | ~shared & (value == best)
                u, best = put(better, new, u), torch.where(better, value, best)


def _jump(oracle: Blind[ThreatModel], u: Tensor, pattern: Tensor) -> Tensor:
    """Move by two radii, which crosses the set from anywhere in it."""
    step = oracle.threat.steepest(oracle.x, u, pattern)
    return oracle.threat.project(oracle.x, step.mul_(2).add_(u))


def _moved(
    oracle: Scores[ThreatModel],
    u: Tensor,
    shared: Tensor,
    share: float,
    inside: list[Tensor],
    place: Tensor,
    sign: Tensor,
    elsewhere: Tensor,
    turn: Tensor,
) -> Tensor:
    """An exchange between two blocks in the rows marked ``shared`` (B,), a jump in the others."""
    if not bool(shared.any()):
        return _jump(oracle, u, _block(u, inside, sign))
    side = max(round(_side(u, share)), _LEAST) | 1  # odd: every hill has a top
    signs = sign.reshape(*sign.shape, *[1] * len(_axes(u)[1]))
    source = bump(u, side, elsewhere, turn) != 0
    new = exchange(oracle, u, signs * bump(u, side, place, turn), source)
    if bool(shared.all()):
        return new
    return put(shared, new, _jump(oracle, u, _block(u, inside, sign)))


def _stripes(oracle: Scores[ThreatModel], draw: Draw) -> Tensor:
    """(B, *P) one sign per channel and column."""
    u = oracle.threat.start(oracle.x)
    shape = list(u.shape[1:])
    shape[-2:-1] = [1] * len(shape[-2:-1])
    return draw.sign(*shape).to(u.dtype).expand_as(u)


def _axes(u: Tensor) -> tuple[list[int], list[int]]:
    """Lengths of the axes that count as channels, and of those that a block spans."""
    shape = list(u.shape[1:])
    return shape[:-2], shape[-2:]


def _chances(u: Tensor, count: int, draw: Draw) -> tuple[Tensor, Tensor]:
    """(B, count, axes) places in [0, 1) and (B, count, *channels) signs, drawn ahead at once."""
    channels, axes = _axes(u)
    place = draw.tag("place").uniform(count, len(axes))
    return place, draw.tag("sign").sign(count, *channels).to(u.dtype)


def _side(u: Tensor, share: float) -> float:
    """Length of a block with that share of the coordinates of a channel."""
    _, axes = _axes(u)
    return float((share * math.prod(axes)) ** (1 / len(axes)))


def _insides(u: Tensor, shares: list[float], place: Tensor) -> list[Tensor]:
    """Per axis, (B, count, length): 1 inside each query's block, 0 elsewhere, for many at once.

    shares: of the coordinates, one for each query. place: (B, count, axes) in [0, 1).
    """
    _, axes = _axes(u)
    sides = [round(_side(u, share)) for share in shares]
    insides = []
    for i, length in enumerate(axes):
        size = place.new_tensor([min(max(side, 1), length) for side in sides])
        first = (place[..., i] * (length - size + 1)).floor().unsqueeze(-1)
        at = torch.arange(length, device=u.device)
        insides.append(((at >= first) & (at < first + size.unsqueeze(-1))).to(u.dtype))
    return insides


def _block(u: Tensor, inside: list[Tensor], sign: Tensor) -> Tensor:
    """(B, *P) one sign per channel on a block, zero elsewhere.

    inside: (B, length) for each axis. sign: (B, *channels).
    """
    channels, axes = _axes(u)
    pattern = sign.reshape(len(u), *channels, *[1] * len(axes))
    for i, side in enumerate(inside):
        behind = [1] * (len(axes) - 1 - i)
        pattern = pattern * side.reshape(len(u), *[1] * (len(channels) + i), -1, *behind)
    return pattern
