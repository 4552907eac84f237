"""Mixed-integer programs over an encoded network, solved by HiGHS."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.verify.crown import crown
from saddlepoint.verify.encode import Encoding, Rows, Vector, encode
from saddlepoint.verify.network import Network
from saddlepoint.verify.planes import least, lower_rows
from saddlepoint.verify.region import Box
from saddlepoint.verify.spec import Spec

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["TOLERANCE", "Program", "Solved", "State"]

State = Literal["optimal", "limit", "infeasible"]
TOLERANCE = 1e-6  # of HiGHS: rows and whole numbers hold up to about this much
_STATES: dict[int, State] = {0: "optimal", 1: "limit", 2: "infeasible"}


class Solved(NamedTuple):
    """bound: what the objective cannot pass; v: variables of the best solution, or None."""

    state: State
    bound: float
    v: Vector | None


@dataclass(frozen=True, eq=False)
class Program:
    """A network over a box with the rows of a specification, and one more variable t, the last.

    rows: (R, V) and (R,), the specification as <matrix, v> + offset; group: (R,); ceiling: (G,)
    linear bounds of the groups from above; inputs: how many of the variables are the input.
    """

    coded: Encoding
    rows: "csr_array"
    offset: Vector
    group: NDArray[np.int64]
    ceiling: Vector
    inputs: int

    @staticmethod
    def over(network: Network, box: Box, spec: Spec) -> "Program":
        """Bound the network over the box by CROWN, then encode it."""
        from scipy.sparse import csr_array

        with torch.no_grad():
            bounds = crown(network, box)
            below = lower_rows(network, spec.weight)
            top = spec.offset - least(network, box, network.output, below, bounds)
            coded = encode(network, box.hull(), bounds)
        weight, group = spec.weight[0].numpy(), spec.group.numpy()
        offset = weight @ coded.offset + spec.offset[0].numpy()
        rows = csr_array(weight) @ coded.matrix
        ceiling = np.array([float(top[0, group == g].min()) for g in range(spec.groups)])
        return Program(coded, rows, offset, group, ceiling, box.low.numel())

    def maximise(self, group: int, seconds: float, floor: float = -np.inf) -> Solved:
        """max t, t at most every row of the group; ``infeasible`` where t stays below the floor."""
        picked = self.group == group
        above = Rows(_beside(self.rows[picked], -1.0), -self.offset[picked], _like(picked, np.inf))
        top = float(self.ceiling[group])
        if top < floor:
            return Solved("infeasible", top, None)
        found = self._solve([above], -1.0, (floor, top), seconds, self.coded.low, self.coded.high)
        bound = floor if found.state == "infeasible" else min(-found.bound, top)
        return found._replace(bound=bound)

    def approach(self, group: int, x: Tensor, most: float, v: Vector) -> Solved:
        """min t, |x' - x| at most t <= most in every element, all rows of the group >= 0.

        The side of every corner is that of the solution v, which leaves a linear program.
        """
        from scipy.sparse import eye_array

        picked = self.group == group
        above = Rows(_beside(self.rows[picked], 0.0), -self.offset[picked], _like(picked, np.inf))
        centre = x.flatten().numpy()
        inputs = eye_array(self.inputs, self.rows.shape[1], format="csr")
        less = Rows(_beside(inputs, -1.0), np.full_like(centre, -np.inf), centre)
        more = Rows(_beside(inputs, 1.0), centre, np.full_like(centre, np.inf))
        side = np.round(v[:-1])
        fixed = self.coded.whole == 1
        low, high = (np.where(fixed, side, end) for end in (self.coded.low, self.coded.high))
        return self._solve([above, less, more], 1.0, (0.0, most), np.inf, low, high)

    def input(self, v: Vector, like: Tensor) -> Tensor:
        """The input among the variables of a solution, in the shape of another."""
        return torch.from_numpy(v[: self.inputs]).view_as(like)

    def _solve(
        self,
        rows: Sequence[Rows],
        cost: float,
        ends: tuple[float, float],
        seconds: float,
        low: Vector,
        high: Vector,
    ) -> Solved:
        """Minimise cost times t."""
        if seconds <= 0:
            return Solved("limit", -np.inf, None)
        from scipy.optimize import Bounds, LinearConstraint, milp

        rows = [*(Rows(_beside(r.matrix, 0.0), r.low, r.high) for r in self.coded.rows), *rows]
        limit = {"time_limit": seconds} if np.isfinite(seconds) else {}
        found = milp(
            np.append(np.zeros(len(low)), cost),
            integrality=np.append(self.coded.whole, 0),
            bounds=Bounds(np.append(low, ends[0]), np.append(high, ends[1])),
            constraints=[LinearConstraint(*r) for r in rows],
            options={"mip_rel_gap": 1e-6, **limit},
        )
        if found.status not in _STATES:
            raise RuntimeError(f"HiGHS: {found.message}")
        bound = -np.inf if found.mip_dual_bound is None else float(found.mip_dual_bound)
        return Solved(_STATES[found.status], bound, found.x)


def _beside(matrix: "csr_array", t: float) -> "csr_array":
    """Return the matrix with a column of t on the right."""
    from scipy.sparse import csr_array, hstack

    return csr_array(hstack([matrix, np.full((matrix.shape[0], 1), t)]))


def _like(picked: NDArray[np.bool_], value: float) -> Vector:
    """The value once for every row that is picked."""
    return np.full(int(picked.sum()), value)
