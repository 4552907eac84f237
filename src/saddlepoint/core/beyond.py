"""The closest break beyond the set that a search by labels has come upon."""

from typing import Any

import torch
from torch import Tensor

from saddlepoint.core.access import ACCESS
from saddlepoint.core.ledger import Ledger, of_rows
from saddlepoint.core.shapes import INF, like
from saddlepoint.core.threat import Graded, radii

__all__ = ["Beyond", "Roamer", "remembers"]


class Beyond:
    """u: (N, *P) breaks that are no members. size: (N,) theirs, infinite where none is known.

    eps: (N,) the sizes of the sets.
    """

    def __init__(self, u: Tensor, eps: Tensor) -> None:
        self.u, self.eps = u, eps.double()
        self.size = torch.full((len(u),), INF, dtype=torch.float64, device=u.device)

    def see(self, index: Tensor | None, u: Tensor, size: Tensor, broken: Tensor) -> None:
        """Remember breaks that are closer than those before; index: the rows that u is about."""
        closer = (broken & (size < of_rows(self.size, index))).nonzero().squeeze(1)
        if len(closer):
            rows = closer if index is None else index[closer]
            place = like(torch.zeros_like(self.size, dtype=torch.bool).index_fill(0, rows, 1), u)
            moved = torch.zeros_like(self.u).index_copy(0, rows, u[closer])
            self.u = torch.where(place, moved, self.u)
            self.size = self.size.index_copy(0, rows, size[closer].double())


class Roamer:
    """What an oracle that grants labels alone remembers of questions beyond the set.

    Where scores are to be seen, the margin says how near a sample is to a break, and the worst
    point where to go on. Labels say neither; the closest break outside the set says both: an attack
    starts from what another has found, and samples can be ranked by ``nearness``.
    """

    x: Tensor
    threat: Any
    ledger: Ledger
    _access: int
    _index: Tensor | None
    _inside: Any
    _beyond: Beyond | None = None

    def closest(self) -> tuple[Tensor, Tensor]:
        """(B, *P) the closest break known beyond the set, and (B,) its size, else infinite."""
        if self._beyond is None or self._inside is not None:
            start: Tensor = self.threat.start(self.x)
            return start, torch.full_like(self.x.flatten(1)[:, 0], INF)
        size = of_rows(self._beyond.size, self._index)
        return of_rows(self._beyond.u, self._index), size.to(self.x.dtype)

    def nearness(self) -> Tensor:
        """(N,) what the ledger's rows are ranked by: the margin, or what stands for it.

        Without scores it is eps / size - 1 of the closest break beyond the set: from -1, where none
        is known, to 0. That is the scale of one-hot scores, by which an unbroken sample has -1.
        What broke keeps its margin, and so does what is not a number.
        """
        margin, beyond = self.ledger.margin, self._beyond
        if self._access >= ACCESS.index("scores"):
            return margin
        share = torch.zeros_like(margin) if beyond is None else beyond.eps / beyond.size
        return torch.where(self.ledger.broken | margin.isnan(), margin, (share - 1).clamp(max=0))

    def _note(self, u: Tensor, broken: Tensor) -> None:
        """Remember where breaks beyond the set are."""
        if self._beyond is not None and self._inside is None and bool(broken.any()):
            self._beyond.see(self._index, u, self.threat.size(self.x, u).double(), broken)


def remembers(access: str, threat: Any, x: Tensor, u: Tensor) -> Beyond | None:  # noqa: ANN401
    """A memory where labels alone are granted, in sets that have sizes."""
    wanted = access == "labels" and isinstance(threat, Graded)
    return Beyond(u, radii(threat, x)) if wanted else None
