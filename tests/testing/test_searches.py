"""``check_attack`` passes attacks of the library, and names the law that a wrong one breaks."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch

import saddlepoint as sp
from saddlepoint.core.access import Gradients, Scores
from saddlepoint.core.draw import Draw
from saddlepoint.core.threat import Graded, ThreatModel
from saddlepoint.testing import check_attack
from tests.laws.toy import Shade
from tests.table import ATTACKS, AttackRow

QUICK = ("fgsm", "pgd", "frank-wolfe", "square", "restarts", "fab", "transfer")


def listed() -> list[Any]:
    slow = [pytest.mark.slow]
    return [pytest.param(r, id=r.name, marks=[] if r.name in QUICK else slow) for r in ATTACKS]


@pytest.mark.parametrize("row", listed())
def test_attacks_of_the_library_pass(row: AttackRow) -> None:
    check_attack(row.small, optimum=0)


@pytest.mark.parametrize("threat", [sp.Linf(0.1), sp.L2(0.5), sp.L1(1.5)], ids=repr)
def test_fgsm_reaches_the_optimum(threat: Any) -> None:  # noqa: ANN401
    check_attack(sp.FGSM(), threat)


def test_a_set_of_somebody_else_will_do() -> None:
    check_attack(sp.PGD(steps=5), Shade(0.4))


@dataclass(frozen=True)
class Climb:
    """Some steps uphill; a variant does one thing wrong."""

    steps: int = 10

    def __call__(self, oracle: Gradients[ThreatModel], draw: Draw) -> None:
        u = oracle.threat.sample(oracle.x, draw)
        for k in range(self.steps):
            oracle, u = oracle.shrink(u)
            _, g = oracle.value_and_grad(u)
            step = oracle.threat.steepest(oracle.x, u, g) * 2 / (k + 1)
            u = oracle.threat.project(oracle.x, u + step)
        oracle.value(u)


def test_the_attack_that_is_spoilt_below_is_right() -> None:
    check_attack(Climb())


class Wordless(Climb):
    def __call__(self, oracle, draw) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        super().__call__(oracle, draw)


class Nameless(Climb):
    __repr__ = object.__repr__


class Greedy(Climb):
    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        super().__call__(oracle, draw)  # type: ignore[arg-type]


class Sized(Climb):
    def __call__(self, oracle: Gradients[Graded], draw: Draw) -> None:
        super().__call__(oracle, draw)  # type: ignore[arg-type]


class Raises(Climb):
    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        oracle.value(oracle.threat.start(oracle.x))
        raise ZeroDivisionError("midway")


class Double(Climb):
    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        oracle.value(oracle.threat.start(oracle.x) @ torch.eye(6))


class Endless(Climb):
    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        while True:
            oracle.value(oracle.threat.sample(oracle.x, draw))


class Leaves(Climb):
    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        for k in range(5):
            oracle.value(draw.tag(k).normal(*oracle.x.shape[1:]).to(oracle.x.dtype))


class Idle(Climb):
    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        oracle.value(oracle.threat.start(oracle.x))


class Writes(Climb):
    def __call__(self, oracle: Gradients[ThreatModel], draw: Draw) -> None:
        _, g = oracle.value_and_grad(oracle.threat.start(oracle.x))
        u = oracle.threat.project(oracle.x, oracle.threat.steepest(oracle.x, g, g) / 2)
        oracle.value(u)
        u *= 0.9


class Moves(Climb):
    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        oracle.x.mul_(0.5)
        oracle.value(oracle.threat.sample(oracle.x, draw))


class Global(Climb):
    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        noise = torch.rand(oracle.x.shape).to(oracle.x.dtype) - 0.5
        oracle.value(oracle.threat.project(oracle.x, noise))


class Averages(Climb):
    def __call__(self, oracle: Gradients[ThreatModel], draw: Draw) -> None:
        u = oracle.threat.start(oracle.x)
        _, g = oracle.value_and_grad(u)
        mean = g.mean(0, keepdim=True).expand_as(g)
        oracle.value(oracle.threat.project(oracle.x, oracle.threat.steepest(oracle.x, u, mean)))


class Forgets(Climb):
    def __call__(self, oracle: Gradients[ThreatModel], draw: Draw) -> None:
        u = oracle.threat.sample(oracle.x, draw)
        for _ in range(self.steps):
            (oracle,) = oracle.shrink()
            _, g = oracle.value_and_grad(u)
            u = oracle.threat.project(oracle.x, u + oracle.threat.steepest(oracle.x, u, g))


CALLS: list[int] = []


class Remembers(Climb):
    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        CALLS.append(1)
        oracle.value(oracle.threat.sample(oracle.x, draw.tag(len(CALLS))))


class Weak(Climb):
    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        for k in range(20):
            oracle.value(oracle.threat.sample(oracle.x, draw.tag(k)))


WRONG = [
    (Wordless(), "does not say what it asks for"),
    (Nameless(), "repr that does not tell"),
    (Greedy(), "asked for gradients; granted: scores"),
    (Raises(), "raises ZeroDivisionError: midway"),
    (Double(), "raises RuntimeError"),
    (Endless(), "does not end: 500 questions"),
    (Leaves(), "leaves the set"),
    (Idle(), "finds nothing worse"),
    (Writes(), "changed u in place"),
    (Moves(), "writes into oracle.x"),
    (Global(), "another result alone"),
    (Averages(), "another result alone"),
    (Forgets(), "raises "),
    (Remembers(), "remembers an earlier run"),
    (Weak(), "of the best that .* allows on a linear model, less than 99%"),
    (Climb, "is not one"),
]


@pytest.mark.parametrize(("attack", "said"), WRONG, ids=[w[1] for w in WRONG])
def test_a_wrong_attack_is_told_its_law(attack: Any, said: str) -> None:  # noqa: ANN401
    CALLS.clear()
    with pytest.raises(AssertionError, match=said):
        check_attack(attack, most=500)


def test_a_set_that_does_not_fit_is_named() -> None:
    with pytest.raises(AssertionError, match="needs a Graded threat model"):
        check_attack(Sized(), sp.Patch(size=2))


def test_weak_attacks_pass_where_strength_is_not_asked_for() -> None:
    check_attack(Weak(), optimum=0)
