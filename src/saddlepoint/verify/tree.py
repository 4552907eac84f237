"""The tree of splits that a search leaves: which element was cut where, and what closed it."""

from dataclasses import dataclass, field

from torch import Tensor

__all__ = ["Leaf", "Split", "Tree"]


@dataclass(frozen=True)
class Split:
    """Element ``index`` of node ``node`` lies below ``at`` in one child and above in the other."""

    node: int
    index: int
    at: float


@dataclass(eq=False)
class Leaf:
    """A subproblem: where it sits in the tree, its splits, and its warm start.

    path: (split, sign) from the root, sign +1 below and -1 above. t: per relaxed node and side the
    slopes of the elements that are bent at the root, (1, N). beta: one multiplier per split of the
    path. weights: (R,) >= 0, of the rows of the group; a weighted sum above zero leaves no input
    where all rows are below.
    """

    row: int
    place: int
    bound: float
    path: tuple[tuple[Split, int], ...] = ()
    t: dict[tuple[int, int], Tensor] = field(default_factory=dict)
    beta: tuple[float, ...] = ()
    weights: tuple[float, ...] = (1.0,)


@dataclass(eq=False)
class Tree:
    """Nodes by number: a split with two children (below, above), or a leaf.

    ``roots`` holds a node for each row that was searched.
    """

    splits: dict[int, tuple[Split, int, int]] = field(default_factory=dict)
    leaves: dict[int, Leaf] = field(default_factory=dict)
    roots: dict[int, int] = field(default_factory=dict)
    size: int = 0

    def root(self, row: int) -> int:
        """Return the number of a new tree for ``row``."""
        self.roots[row] = self._new()
        return self.roots[row]

    def cut(self, place: int, split: Split) -> tuple[int, int]:
        """Split a node; return the numbers of its children."""
        children = self._new(), self._new()
        self.splits[place] = (split, *children)
        return children

    def close(self, leaf: Leaf) -> None:
        """Note what closed a subproblem."""
        self.leaves[leaf.place] = leaf

    def _new(self) -> int:
        self.size += 1
        return self.size - 1
