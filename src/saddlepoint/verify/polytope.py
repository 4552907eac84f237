"""A subproblem in which nothing is bent any more: a linear program (HiGHS, by scipy)."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.verify.crown import unit_rows
from saddlepoint.verify.interval import Bounds, Interval
from saddlepoint.verify.network import Network
from saddlepoint.verify.planes import backward
from saddlepoint.verify.region import Box
from saddlepoint.verify.tree import Leaf

if TYPE_CHECKING:
    from saddlepoint.verify.batch import Batch

__all__ = ["Settled", "settle"]

Array = NDArray[np.float64]
_EMPTY = 1e-7  # by how much the splits must contradict each other to close a leaf


class Settled(NamedTuple):
    """The leaf with its exact bound and what proves it; x: the point that attains it, if any."""

    leaf: Leaf
    x: Tensor | None


def settle(network: Network, leaf: Leaf, batch: "Batch", enough: float) -> Settled:
    """Minimise the largest row of the group over the part of the box that the splits leave.

    min tau  subject to  v_r(x) <= tau  and  sign_i (z_i(x) - c_i) <= 0,  v and z linear in x. The
    duals are the weights of the rows and the multipliers of the splits; the bound that they give is
    computed again from them, so it does not rest on the solver. A part that is empty is closed by
    duals of the splits alone, large enough. Leaves of sets that are no box stay as they are.
    """
    if not isinstance(batch.region, Box):
        return Settled(leaf, None)
    rows, shift, cuts, room = _planes(network, leaf, batch)
    low, high = (t[0].flatten().double().numpy() for t in batch.region.hull())
    solved = _solve(rows, shift, cuts, room, low, high)
    if solved is None:
        solved = _contradiction(rows, shift, cuts, room, low, high, enough)
    weights, beta, x = solved
    slope = weights @ rows + beta @ cuts
    value = np.minimum(slope * low, slope * high).sum() + weights @ shift - beta @ room
    better = replace(
        leaf,
        bound=max(float(value), leaf.bound),
        beta=tuple(beta.tolist()),
        weights=tuple(weights.tolist()),
    )
    if value <= leaf.bound:
        better = leaf
    if x is None:
        return Settled(better, None)
    point = torch.from_numpy(x).to(batch.region.low).view_as(batch.region.low)
    return Settled(better, point.clamp(batch.region.low, batch.region.high))


def _planes(network: Network, leaf: Leaf, batch: "Batch") -> tuple[Array, Array, Array, Array]:
    """Rows v_r(x) = <rows_r, x> + shift_r, and splits <cuts_i, x> <= room_i, in float64."""
    wide = network.to(torch.float64)
    bounds: Bounds = {n: Interval(x.low.double(), x.high.double()) for n, x in batch.bounds.items()}
    plane = backward(wide, network.output, batch.a.double(), bounds)
    rows = plane.slope[0].flatten(1).numpy()
    shift = (plane.constant[0] + batch.offset[0].double()).numpy()
    cuts, room = [], []
    for split, sign in leaf.path:
        index = torch.tensor([[split.index]])
        unit = unit_rows(index, network.nodes[split.node].shape, plane.slope)
        z = backward(wide, split.node, sign * unit, bounds)
        cuts.append(z.slope[0, 0].flatten().numpy())
        room.append(sign * split.at - float(z.constant))
    return rows, shift, np.array(cuts).reshape(len(cuts), rows.shape[1]), np.array(room)


def _solve(
    rows: Array, shift: Array, cuts: Array, room: Array, low: Array, high: Array
) -> tuple[Array, Array, Array | None] | None:
    """Weights, multipliers and minimiser; None where the splits leave nothing."""
    k = len(rows)
    matrix = np.block([[rows, -np.ones((k, 1))], [cuts, np.zeros((len(cuts), 1))]])
    found = _program(matrix, np.concatenate([-shift, room]), low, high)
    if found.status != 0:
        return None
    dual = np.maximum(-found.ineqlin.marginals, 0)
    total = dual[:k].sum()
    if not total > 0:
        return None
    return dual[:k] / total, dual[k:] / total, found.x[:-1]


def _contradiction(
    rows: Array, shift: Array, cuts: Array, room: Array, low: Array, high: Array, enough: float
) -> tuple[Array, Array, Array | None]:
    """Multipliers of splits that cannot hold together, so large that they outweigh the rows."""
    weights, beta = np.full(len(rows), 1 / len(rows)), np.zeros(len(cuts))
    if len(cuts):
        found = _program(np.hstack([cuts, -np.ones((len(cuts), 1))]), room, low, high)
        if found.status == 0 and found.fun > _EMPTY:
            slope = weights @ rows
            least = np.minimum(slope * low, slope * high).sum() + weights @ shift
            beta = np.maximum(-found.ineqlin.marginals, 0)
            beta = beta * max(0.0, (2 * enough - least) / found.fun * 1.01)
    return weights, beta, None


def _program(matrix: Array, room: Array, low: Array, high: Array) -> Any:  # noqa: ANN401
    """Minimise the last variable, which is free, subject to matrix x <= room in the box."""
    from scipy.optimize import linprog

    cost = np.zeros(matrix.shape[1])
    cost[-1] = 1
    limits = [*zip(low, high, strict=True), (None, None)]
    return linprog(cost, A_ub=matrix, b_ub=room, bounds=limits, method="highs")
