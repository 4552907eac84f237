"""What proves that no input of a set breaks a sample: intervals, slopes, splits, multipliers."""

from dataclasses import dataclass, field, fields
from functools import partial

import torch
from torch import Tensor

from saddlepoint.core.errors import BadData

__all__ = ["IBP", "PLANES", "Certificate", "shares"]

IBP, PLANES = "ibp", "planes"
_TYPES = {
    "stored": torch.bool,
    "low": torch.float32,
    "high": torch.float32,
    "claim": torch.int32,
    "lean": torch.int32,
    "root": torch.int32,
    "split": torch.int32,
    "at": torch.float32,
    "crest": torch.int32,
    "leaf": torch.int32,
    "weights": torch.float32,
    "beta": torch.float64,
    "t": torch.uint8,
    "roof": torch.uint8,
}
_WIDTHS = {"claim": 2, "lean": 2, "split": 4}
_TABLES = ("weights", "t", "roof")  # of any width


def _empty(name: str) -> Tensor:
    width = _WIDTHS.get(name)
    shape = (0,) if width is None else (0, width)
    return torch.zeros((0, 0) if name in _TABLES else shape, dtype=_TYPES[name])


@dataclass(frozen=True, eq=False)
class Certificate:
    """A claim about one sample that can be checked without a search.

    Method "ibp" needs nothing but itself: the checker propagates intervals. Method "planes":

    stored: (P,) which elements of the nodes that a function reads have an interval here, nodes in
    order; the others have the one that intervals propagate to. low, high: (S,) those intervals.
    claim: (S, 2) the rows of ``t`` that show low and high, -1 for CROWN's own rule; of such a row
    the functions before that node count. lean: (S, 2) rows of ``roof`` likewise, or -1.
    root: (G,) for each group of rows where its tree begins: a split k >= 0, or leaf ~k < 0.
    crest: (G,) the row of ``roof`` for all leaves of a group, -1 for none.
    split: (N, 4) node, element, and the children where it is below and above ``at`` (N,).
    leaf: (L,) which row of ``t`` it takes. weights: (L, R) >= 0, not all 0, of the sum of its
    group's rows that leaf k bounds; smaller groups repeat their first row.
    beta: a multiplier >= 0 for each split above a leaf, from the root down, leaf after leaf.
    t: (K, T) in units of 1/255, for every function and every line of it that is free, one after
    the other, of its elements that are stored and bent. Floating t is taken as it is.
    roof: (M, W) in units of 1/255, s of the planes above ReLUs of one layer over the inputs: for
    every such function the K inputs of each element that is stored and bent, as ``proof.roofs``
    lists them; of a row of ``lean`` what lies before the node counts.

    Raises ``BadData`` where types or shapes do not fit each other.
    """

    method: str = IBP
    stored: Tensor = field(default_factory=partial(_empty, "stored"))
    low: Tensor = field(default_factory=partial(_empty, "low"))
    high: Tensor = field(default_factory=partial(_empty, "high"))
    claim: Tensor = field(default_factory=partial(_empty, "claim"))
    lean: Tensor = field(default_factory=partial(_empty, "lean"))
    root: Tensor = field(default_factory=partial(_empty, "root"))
    crest: Tensor = field(default_factory=partial(_empty, "crest"))
    split: Tensor = field(default_factory=partial(_empty, "split"))
    at: Tensor = field(default_factory=partial(_empty, "at"))
    leaf: Tensor = field(default_factory=partial(_empty, "leaf"))
    weights: Tensor = field(default_factory=partial(_empty, "weights"))
    beta: Tensor = field(default_factory=partial(_empty, "beta"))
    t: Tensor = field(default_factory=partial(_empty, "t"))
    roof: Tensor = field(default_factory=partial(_empty, "roof"))

    def __post_init__(self) -> None:
        if self.method not in (IBP, PLANES):
            raise BadData(f"a certificate by {self.method!r}: known are {IBP} and {PLANES}")
        for name, dtype in _TYPES.items():
            t = getattr(self, name)
            rank = 2 if name in _WIDTHS or name in _TABLES else 1
            typed = t.dtype == dtype or (name == "t" and t.is_floating_point())
            if not typed or t.dim() != rank or t.shape[-1] != _WIDTHS.get(name, t.shape[-1]):
                raise BadData(f"a certificate whose {name} is {t.dtype} of {tuple(t.shape)}")
        ends, leaves = (self.low, self.claim), (self.leaf, self.weights)
        planes = (self.low, self.lean), (self.root, self.crest)
        pairs = ((self.low, self.high), (self.split, self.at), ends, leaves, *planes)
        if any(len(a) != len(b) for a, b in pairs) or int(self.stored.sum()) != len(self.low):
            raise BadData("a certificate whose parts do not fit each other")

    @property
    def nbytes(self) -> int:
        """Bytes of all parts, ``stored`` as bits."""
        sizes = (getattr(self, f.name) for f in fields(self) if f.name not in ("method", "stored"))
        return sum(int(t.nbytes) for t in sizes) + -(-len(self.stored) // 8)


def shares(t: Tensor) -> Tensor:
    """T as numbers in [0, 1], float64."""
    return t.double() / 255 if t.dtype == torch.uint8 else t.double()
