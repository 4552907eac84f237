"""What branch and bound decides: one sample, its bounds, and groups of rows."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from saddlepoint.verify.alpha import Slopes
from saddlepoint.verify.interval import Bounds
from saddlepoint.verify.network import Network
from saddlepoint.verify.operators.operator import relaxes
from saddlepoint.verify.planes import lower_rows
from saddlepoint.verify.refine import Raised
from saddlepoint.verify.region import Region
from saddlepoint.verify.roof import Cover, Roofs
from saddlepoint.verify.spec import Spec
from saddlepoint.verify.tree import Leaf, Tree

__all__ = [
    "Problem",
    "bent",
    "covered",
    "problem_of",
    "put",
    "root",
    "side_by_side",
    "single",
    "slack",
    "take",
]


@dataclass(frozen=True, eq=False)
class Problem:
    """One sample: is some <a_r, output> + offset_r below zero for every row r of a group?

    region: of one sample; a: (G, R, *out) with G groups of R rows; offset: (G, R); bounds: of one
    sample, shared by all subproblems; slopes: t of every group, (G, R, *shape); low: (G, R) the
    lower bounds that these gave. ``enough`` is the bound above which a subproblem counts as
    closed, the slack of float32. raised: what gave the bounds of a node, where it was not CROWN's
    own rule. roofs: planes for each group, shared by all its subproblems, or none at all.
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
    roofs: tuple[Roofs, ...] = ()


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


def side_by_side(spec: Spec) -> Tensor:
    """(G, R) the rows of every group; a group of fewer rows repeats its first."""
    members = [(spec.group == g).nonzero().squeeze(1) for g in range(spec.groups)]
    most = max(len(m) for m in members)
    return torch.stack([torch.cat([m, m[:1].expand(most - len(m))]) for m in members])


def problem_of(
    network: Network,
    region: Region,
    spec: Spec,
    bounds: Bounds,
    slopes: Slopes,
    low: Tensor,
    enough: float,
) -> Problem:
    """Groups of one sample, side by side: a group of fewer rows repeats its first."""
    index = side_by_side(spec)
    a = lower_rows(network, spec.weight)[0][index]
    picked: Slopes = {
        n: tuple(None if t is None else t[0][index] for t in pair)  # type: ignore[misc]
        for n, pair in slopes.items()
    }
    return Problem(
        network, region, a, -spec.offset[0][index], bounds, picked, low[0][index], enough
    )


def covered(problem: Problem, roofs: Roofs, rows: Tensor) -> Problem:
    """Return the problem with the planes of each group's best row, of ``rows`` (G, R)."""
    best = rows.gather(1, problem.low.argmax(1)[:, None])[:, 0]
    made = tuple(
        {n: Cover(c.roof, c.whole_bytes()[:, k : k + 1]) for n, c in roofs.items()}
        for k in best.tolist()
    )
    return replace(problem, roofs=made if roofs else ())


def single(problem: Problem) -> Tree:
    """Return a tree of one leaf for each group: bounds that needed no split."""
    tree, inside = Tree(), bent(problem)
    for group in range(len(problem.a)):
        tree.close(root(problem, tree, group, inside))
    return tree


def slack(network: Network, region: Region, spec: Spec, share: float) -> Tensor:
    """(B,) ``share`` of the largest sum of terms that a row has in the middle of the region."""
    low, high = region.hull()
    with torch.no_grad():
        out = network.forward((low + high) / 2).flatten(1)
    terms = torch.einsum("brk,bk->br", spec.weight.abs(), out.abs()) + spec.offset.abs()
    return share * terms.amax(1).clamp(min=1.0)


def take(slopes: Slopes, rows: Tensor) -> Slopes:
    """Slopes of some samples, copied."""
    return {
        n: tuple(None if t is None else t[rows].clone() for t in pair)  # type: ignore[misc]
        for n, pair in slopes.items()
    }


def put(slopes: Slopes, rows: Tensor, new: Slopes) -> None:
    """Overwrite the slopes of some samples."""
    for n, pair in new.items():
        for t, value in zip(slopes[n], pair, strict=True):
            if t is not None and value is not None:
                t[rows] = value
