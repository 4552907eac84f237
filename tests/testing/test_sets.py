"""``check_threat`` passes every set of the library, and names the law that a wrong one breaks."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.core.errors import Invalid
from saddlepoint.testing import check_threat
from tests.laws.toy import Shade
from tests.table import COUNTS, SETS, THREATS, SetRow, ThreatRow

QUICK = ("linf", "l1-each", "l2-8bit", "l0", "union", "rotate", "patch-random", "fog")
Row = ThreatRow | SetRow


def listed() -> list[Any]:
    slow = [pytest.mark.slow]
    rows: tuple[Row, ...] = (*THREATS, *COUNTS, *SETS)
    return [pytest.param(r, id=r.name, marks=[] if r.name in QUICK else slow) for r in rows]


@pytest.mark.parametrize("row", listed())
def test_every_set_of_the_library_passes(row: Row) -> None:
    if isinstance(row, ThreatRow):
        check_threat(row.make(4), row.inputs(4, (1, 4, 4), 1, torch.float64))
    else:
        check_threat(row.make(4), row.inputs(4, 1, torch.float64))


def test_a_set_of_somebody_else_passes() -> None:
    check_threat(Shade(0.3))
    check_threat(Shade(torch.tensor([0.1, 0.5, 0.0, 1.0])))


@dataclass(frozen=True)
class Ball:
    """A Euclidean ball without a box, right in every verb; a variant replaces one of them."""

    eps: float = 0.5
    seen: str = ""

    def __getitem__(self, keep: Tensor) -> Self:
        return self

    def start(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)

    def sample(self, x: Tensor, draw: Any) -> Tensor:  # noqa: ANN401
        return Ball.project(self, x, draw.normal(*x.shape[1:]).to(x.dtype))

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        return u * (self.eps / _length(u).clamp(min=self.eps))

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        return self.eps * g / _length(g).clamp(min=1e-30)

    def maximise(self, x: Tensor, g: Tensor) -> Tensor:
        return self.steepest(x, x, g)

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        return x + u

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        return u.double().flatten(1).norm(dim=1) <= self.eps + tol

    def size(self, x: Tensor, u: Tensor) -> Tensor:
        return u.flatten(1).norm(dim=1)

    def at(self, eps: float | Tensor) -> Self:
        largest = float(eps.max()) if isinstance(eps, Tensor) else eps
        return replace(self, eps=largest)


def _length(u: Tensor) -> Tensor:
    return u.flatten(1).norm(dim=1).view(-1, *[1] * (u.dim() - 1))


def _loose(s: Ball, x: Tensor, u: Tensor) -> Tensor:
    return u if float(_length(u).max()) < 3 * s.eps else u * (s.eps / _length(u))


def _wide(times: float) -> Callable[..., Tensor]:
    return lambda s, x, u, tol: u.double().flatten(1).norm(dim=1) <= times * s.eps + tol


def _corner(s: Ball, x: Tensor, u: Tensor) -> Tensor:
    inside = _length(u) <= s.eps * (1 + 1e-6)
    return torch.where(inside, u, s.eps * u.sign() / u[0].numel() ** 0.5)


def _together(s: Ball, x: Tensor, u: Tensor) -> Tensor:
    return u * min(1.0, s.eps / max(float(_length(u).max()), 1e-9))


def _writes(s: Ball, x: Tensor, u: Tensor) -> Tensor:
    return u.mul_(s.eps / _length(u).clamp(min=s.eps))


def _projecting(s: Ball, x: Tensor, u: Tensor, tol: float) -> Tensor:
    near = s.project(x, u).double() - u.double()
    return near.flatten(1).norm(dim=1) <= tol


class _Hole(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor) -> Tensor:  # noqa: ANN401
        return u.clone()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:  # noqa: ANN401
        return g * float("nan")


WRONG: list[tuple[str, Callable[..., Any], str]] = [
    ("__repr__", lambda s: object.__repr__(s), "repr"),
    ("apply", lambda s, x, u: x + u + 1e-4, "changes x by 0.0001 at its start"),
    ("apply", lambda s, x, u: (x + u).float(), "changes shape or type"),
    ("apply", lambda s, x, u: x + u.detach(), "cuts the gradient"),
    ("apply", lambda s, x, u: x + _Hole.apply(u), "no numbers"),
    ("start", lambda s, x: torch.zeros(x.shape), "gives torch.float32 for inputs of torch.float64"),
    ("sample", lambda s, x, draw: torch.ones_like(x), "does not contain what sample returns"),
    ("sample", lambda s, x, draw: torch.rand_like(x) / 100, "two members for one draw"),
    ("project", _loose, "does not contain what project"),
    ("project", lambda s, x, u: u * (0.9 * s.eps / _length(u).clamp(min=s.eps)), "moves a member"),
    ("project", _corner, "nearer than what project returns"),
    ("project", _together, "another project alone"),
    ("project", _writes, "writes into what it is given"),
    ("contains", _wide(3.0), "project moves: it is too wide"),
    ("contains", _wide(1.15), "project moves: it is too wide"),
    ("contains", lambda s, x, u, tol: torch.ones(len(x)) > 0, "contains points that are far out"),
    ("contains", lambda s, x, u, tol: ~(_length(u).flatten() > s.eps + tol), "not a number"),
    ("contains", lambda s, x, u, tol: _length(u).flatten().max() <= s.eps + tol, "one bool per"),
    ("contains", _projecting, "calls project in contains"),
    ("steepest", lambda s, x, u, g: -s.eps * g / _length(g).clamp(min=1e-30), "descends"),
    ("steepest", lambda s, x, u, g: torch.zeros_like(g), "leads nowhere"),
    ("steepest", lambda s, x, u, g: s.eps * g / _length(g), "no number where the gradient is zero"),
    ("maximise", lambda s, x, g: 0 * g, "beat its maximise"),
    ("maximise", lambda s, x, g: g.sign() * s.eps, "does not contain what maximise returns"),
    ("size", lambda s, x, u: 2 * u.flatten(1).norm(dim=1), "size is above its eps"),
    ("size", lambda s, x, u: 0.9 * u.flatten(1).norm(dim=1), "does not nest"),
    ("size", lambda s, x, u: u.flatten(1).norm(dim=1).clamp(min=0.1), "start a size other than 0"),
]


def test_the_ball_that_is_spoilt_below_is_right() -> None:
    check_threat(Ball())


@pytest.mark.parametrize(("verb", "wrong", "said"), WRONG, ids=[w[2] for w in WRONG])
def test_a_wrong_set_is_told_its_law(verb: str, wrong: Callable[..., Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_threat(type("Spoilt", (Ball,), {verb: wrong})())


def test_a_set_that_leaves_its_box_is_told() -> None:
    boxed = type("Boxed", (Ball,), {"box": (0.0, 1.0)})
    with pytest.raises(AssertionError, match="leaves the input range"):
        check_threat(boxed())


def test_missing_verbs_and_useless_inputs_are_named() -> None:
    with pytest.raises(AssertionError, match="has no start, sample, project"):
        check_threat(3)
    with pytest.raises(Invalid, match="B >= 2"):
        check_threat(sp.Linf(0.1), torch.zeros(1, 3))
