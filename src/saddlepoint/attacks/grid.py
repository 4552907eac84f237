"""All points of a grid: for sets of few parameters, where gradients are caught in small hills."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from saddlepoint.core.access import Blind
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.loss import Loss, check_loss
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import Gridded
from saddlepoint.core.whole import require_whole

__all__ = ["Grid", "check_counts", "lattice", "of_axes"]

_GOLDEN = (math.sqrt(5) - 1) / 2


def check_counts(counts: object) -> None:
    """Raise ``Invalid`` unless ``counts`` is None or whole numbers of at least 1."""
    if counts is None:
        return
    if not isinstance(counts, tuple) or not counts:
        raise Invalid("counts", counts, "one number of points for each parameter of the set")
    for n in counts:
        require_whole("counts", n)


def of_axes(counts: tuple[int, ...], threat: Gridded) -> tuple[int, ...]:
    """Return one count for each parameter, of which one may stand for all.

    Raises ``Unsupported`` for another number of counts.
    """
    if len(counts) == 1:
        return counts * len(threat.counts)
    if len(counts) != len(threat.counts):
        said = f"counts = {counts}: {type(threat).__name__} has {len(threat.counts)} parameters"
        raise Unsupported(said)
    return counts


def lattice(counts: tuple[int, ...]) -> Tensor:
    """(G, k) points of [0, 1]^k, both ends of each axis among them; one alone is in the middle.

    Neighbours do not follow one another: steps of a golden section of the whole see every region
    early, so that a sample that breaks anywhere breaks soon.

    >>> lattice((3, 1)).tolist()
    [[0.0, 0.5], [1.0, 0.5], [0.5, 0.5]]
    """
    total = math.prod(counts)
    stride = max(1, round(total * _GOLDEN))
    while math.gcd(stride, total) > 1:
        stride += 1
    code = torch.arange(total) * stride % total
    axes = []
    for n in counts:
        axes.append(code % n / (n - 1) if n > 1 else torch.full((total,), 0.5))
        code = code // n
    return torch.stack(axes, 1)


@dataclass(frozen=True, repr=False)
class Grid:
    """Try every point of a grid over the set's parameters; the worst is kept (1712.02779, §3).

    counts: points along each parameter, or one number for all; None takes the set's own, which for
    rotations and shifts are the published 31 x 5 x 5. loss: what is compared; None takes the
    search's.

    >>> Grid(counts=(11, 3, 3))
    Grid(counts=(11, 3, 3))
    """

    counts: tuple[int, ...] | None = None
    loss: Loss | str | None = None

    __repr__ = compact

    def __post_init__(self) -> None:
        check_counts(self.counts)
        check_loss(self.loss)

    def passes(self, threat: Gridded) -> int:
        """Return how many questions a sample that survives them meets."""
        return math.prod(self._counts(threat))

    def _counts(self, threat: Gridded) -> tuple[int, ...]:
        return of_axes(threat.counts if self.counts is None else self.counts, threat)

    def __call__(self, oracle: Blind[Gridded], draw: Draw) -> None:
        """Ask about all points, on the rows that are still open."""
        oracle = oracle.aim(self.loss)
        for t in lattice(self._counts(oracle.threat)).to(oracle.x):
            (oracle,) = oracle.shrink(at=1.0)
            oracle.propose(oracle.threat.place(oracle.x, t.expand(len(oracle.x), -1)))
