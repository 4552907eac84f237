"""A piecewise linear network as linear constraints with indicators (Tjeng et al., 1711.07356)."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.core.errors import Unsupported
from saddlepoint.core.shapes import pieces
from saddlepoint.verify.interval import Bounds, Interval
from saddlepoint.verify.network import Network, Node
from saddlepoint.verify.operators.operator import Linear, Relaxed
from saddlepoint.verify.operators.piecewise import Bend, Clip

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Encoding", "Rows", "encode"]

Vector = NDArray[np.float64]
_ROOM = 1 << 24  # numbers that the matrix of one operator may have at a time
_SLACK = 1e-9  # bounds are widened by this, more than float64 loses in a small network


class Rows(NamedTuple):
    """low <= matrix v <= high."""

    matrix: "csr_array"
    low: Vector
    high: Vector


@dataclass(frozen=True, eq=False)
class Encoding:
    """Variables v = (input, then per bent corner the ReLU r and its indicator a), constraints on v.

    rows: what ties r and a to the input; low, high: (V,) bounds; whole: (V,) 1 where v must be a
    whole number; output = matrix v + offset, of the flattened last node.
    """

    rows: tuple[Rows, ...]
    low: Vector
    high: Vector
    whole: NDArray[np.int64]
    matrix: "csr_array"
    offset: Vector


class Corner(NamedTuple):
    """jump relu(z - at): where a function of one element changes its slope, and by how much."""

    at: float
    jump: float


class Pieces(NamedTuple):
    """slope z + offset + the sum over corners of jump relu(z - at)."""

    slope: float
    offset: float
    corners: tuple[Corner, ...]


class _Affine(NamedTuple):
    """Matrix v + offset, the value of a node."""

    matrix: Any
    offset: Vector


def pieces_of(op: object) -> Pieces:
    """Return a function of one element as a sum of ReLUs.

    Raises ``Unsupported`` for one that is not piecewise linear.

    >>> pieces_of(Clip(0.0, 6.0)).corners
    (Corner(at=0.0, jump=1.0), Corner(at=6.0, jump=-1.0))
    """
    if isinstance(op, Bend):
        return Pieces(op.left, 0.0, (Corner(0.0, op.right - op.left),))
    if isinstance(op, Clip):
        top = (Corner(op.most, -1.0),) if op.most < math.inf else ()
        if op.least == -math.inf:
            return Pieces(1.0, 0.0, top)
        return Pieces(0.0, op.least, (Corner(op.least, 1.0), *top))
    name = getattr(op, "name", type(op).__name__)
    raise Unsupported(
        f"{name} is not piecewise linear: a mixed-integer program needs ReLU, leaky ReLU, "
        "absolute values, clipping and maxima only; branch and bound takes the others"
    )


def encode(network: Network, box: Interval, bounds: Bounds) -> Encoding:
    """Encode ``network`` over ``box``, one sample, in float64.

    With l <= s <= u of ``bounds`` around 0, r = relu(s) is r >= 0, r >= s, r <= u a and
    r <= s - l (1 - a), a in {0, 1} (1711.07356, section 4.1). Elements that keep to one side of
    their corner need no variable. Raises ``Unsupported`` for operators without linear pieces.

    >>> from saddlepoint.verify.tracing import trace
    >>> net = trace(torch.nn.Sequential(torch.nn.ReLU()), (2,)).to(torch.float64)
    >>> box = Interval(torch.tensor([[-1.0, 1.0]]).double(), torch.tensor([[1.0, 2.0]]).double())
    >>> encode(net, box, {0: box}).whole
    array([0, 0, 0, 1])
    """
    return _Encoder(network, box, bounds).run()


class _Encoder:
    """Variables and rows so far."""

    def __init__(self, network: Network, box: Interval, bounds: Bounds) -> None:
        self.network, self.bounds = network, bounds
        self.low, self.high = _vector(box.low), _vector(box.high)
        self.whole = np.zeros(len(self.low), np.int64)
        self.rows: list[Rows] = []
        self.width = len(self.low) + 2 * sum(self._bent(n) for n in network.relaxed)

    def _bent(self, n: int) -> int:
        """Count the corners of node n that lie inside."""
        node = self.network.nodes[n]
        low, high = self._ends(node)
        return sum(int(_inside(low, high, c.at).sum()) for c in pieces_of(node.op).corners)

    def _ends(self, node: Node) -> tuple[Vector, Vector]:
        low, high = (_vector(end) for end in self.bounds[node.inputs[0]])
        return low - _SLACK * (1 + abs(low)), high + _SLACK * (1 + abs(high))

    def run(self) -> Encoding:
        """Go through the nodes in order."""
        size = len(self.low)
        values = [_Affine(_diagonal(np.ones(size), self.width), np.zeros(size))]
        for node in self.network.nodes[1:]:
            inputs = [values[i] for i in node.inputs]
            if isinstance(node.op, Relaxed):
                values.append(self._relaxed(node, inputs[0]))
            else:
                shapes = tuple(self.network.nodes[i].shape for i in node.inputs)
                values.append(_linear(node, inputs, shapes))
        out = values[-1]
        return Encoding(tuple(self.rows), self.low, self.high, self.whole, out.matrix, out.offset)

    def _relaxed(self, node: Node, z: _Affine) -> _Affine:
        form = pieces_of(node.op)
        out = _Affine(z.matrix * form.slope, z.offset * form.slope + form.offset)
        low, high = self._ends(node)
        for corner in form.corners:
            r = self._relu(
                _Affine(z.matrix, z.offset - corner.at), low - corner.at, high - corner.at
            )
            out = _Affine(out.matrix + r.matrix * corner.jump, out.offset + r.offset * corner.jump)
        return out

    def _relu(self, s: _Affine, low: Vector, high: Vector) -> _Affine:
        """relu(s): s itself where it is positive, 0 where negative, a variable elsewhere."""
        from scipy.sparse import csr_array

        on = (low >= 0).astype(float)
        k = np.flatnonzero(_inside(low, high, 0.0))
        first, count = len(self.low), len(k)
        r = np.arange(first, first + count)
        self.low = np.concatenate([self.low, np.zeros(2 * count)])
        self.high = np.concatenate([self.high, high[k], np.ones(count)])
        self.whole = np.concatenate([self.whole, np.repeat([0, 1], count)])
        ones, at = np.ones(count), np.arange(count)
        shape = (count, self.width)
        relu, indicator = (csr_array((ones, (at, i)), shape=shape) for i in (r, r + count))
        part, offset = s.matrix[k], s.offset[k]
        below, most = np.full(count, -np.inf), np.full(count, np.inf)
        scaled_high, scaled_low = (_diagonal(end[k]) @ indicator for end in (high, low))
        self.rows += [
            Rows(relu - part, offset, most),
            Rows(relu - scaled_high, below, np.zeros(count)),
            Rows(relu - part - scaled_low, below, offset - low[k]),
        ]
        put = csr_array((ones, (k, r)), shape=(len(low), self.width))
        return _Affine(_diagonal(on) @ s.matrix + put, on * s.offset)


def _linear(node: Node, inputs: list[_Affine], shapes: tuple[torch.Size, ...]) -> _Affine:
    """Value of a linear operator, its matrix read off the transpose of unit rows."""
    from scipy.sparse import csr_array, vstack

    op, size = node.op, node.shape.numel()
    if not isinstance(op, Linear):
        raise Unsupported(f"{type(op).__name__} is neither linear nor a function of each element")
    matrices, offsets = [], []
    widest = max(size, *(shape.numel() for shape in shapes))
    for part in pieces(torch.arange(size), max(1, _ROOM // widest)):
        unit = torch.zeros(len(part), size, dtype=torch.float64)
        unit[torch.arange(len(part)), part] = 1
        rows = unit.view(1, -1, *node.shape)
        constant = op.constant(rows)
        offset = np.zeros(len(part)) if constant is None else _vector(constant)
        matrix: Any = 0
        for weight, x in zip(op.transpose(rows, shapes), inputs, strict=True):
            if weight is not None:
                w = csr_array(weight[0].flatten(1).detach().numpy())
                matrix, offset = w @ x.matrix + matrix, w @ x.offset + offset
        matrices.append(matrix)
        offsets.append(offset)
    return _Affine(csr_array(vstack(matrices)), np.concatenate(offsets))


def _diagonal(values: Vector, width: int | None = None) -> "csr_array":
    from scipy.sparse import csr_array

    at = np.arange(len(values))
    return csr_array((values, (at, at)), shape=(len(values), width or len(values)))


def _inside(low: Vector, high: Vector, corner: float) -> NDArray[np.bool_]:
    return (low < corner) & (high > corner)


def _vector(t: Tensor) -> Vector:
    """All numbers of a tensor, in a row."""
    return t.detach().flatten().double().numpy()
