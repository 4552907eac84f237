"""What branch and bound decides: one sample, its bounds, and groups of rows."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from saddlepoint.verify.alpha import Slopes
from saddlepoint.verify.interval import Bounds
from saddlepoint.verify.network import Network
from saddlepoint.verify.operators.operator import relaxes
from saddlepoint.verify.refine import Raised
from saddlepoint.verify.region import Region
from saddlepoint.verify.tree import Leaf, Tree

__all__ = ["Problem", "bent", "root"]


@dataclass(frozen=True, eq=False)
class Problem:
    """One sample: is some <a_r, output> + offset_r below zero for every row r of a group?

    region: of one sample; a: (G, R, *out) with G groups of R rows; offset: (G, R); bounds: of one
    sample, shared by all subproblems; slopes: t of every group, (G, R, *shape); low: (G, R) the
    lower bounds that these gave. ``enough`` is the bound above which a subproblem counts as
    closed, the slack of float32. raised: what gave the bounds of a node, where it was not CROWN's
    own rule.
    """

    network: Network
    region: Region
    a: Tensor
    offset: Tensor
    bounds: Bounds
    slopes: Slopes
    low: Tensor
    enough: float = 1e-5
    raised: dict[int, Raised] = field(default_factory=dict)


def bent(problem: Problem) -> dict[int, Tensor]:
    """Flat numbers of the elements that lines bend, by relaxed node: those whose slopes matter."""
    found = {}
    for n in problem.slopes:
        node = problem.network.nodes[n]
        if not relaxes(node.op):
            raise AssertionError("slopes belong to relaxed nodes")
        inside = node.op.bent(problem.bounds[node.inputs[0]])
        found[n] = inside.flatten().nonzero().squeeze(1)
    return found


def root(problem: Problem, tree: Tree, group: int, bent: dict[int, Tensor]) -> Leaf:
    """Return the whole of a group as one subproblem, the root of a new tree.

    It begins with the row that bounds prefer, all weight on it. Slopes are kept in half precision,
    and only where they matter: any number in [0, 1] is sound.
    """
    best = int(problem.low[group].argmax())
    t = {
        (n, side): t[group, best : best + 1].flatten(1)[:, bent[n]].to(torch.float16)
        for n, pair in problem.slopes.items()
        for side, t in enumerate(pair)
        if t is not None
    }
    rows = problem.a.shape[1]
    weights = tuple(float(r == best) for r in range(rows))
    return Leaf(group, tree.root(group), -torch.inf, (), t, (), weights)
