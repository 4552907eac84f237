"""Attacks by name: the cascade's arms for each access, and the standard suite."""

from saddlepoint.attacks import APGD, PGD, Momentum, RandomSearch, Sequence, Square, Targets
from saddlepoint.audit.cascade import Cascade
from saddlepoint.audit.ladder import Ladder
from saddlepoint.core.access import Access, Attack

__all__ = ["cascade"]


def climb(start="random", **k):
    return PGD(steps=20, start=start, loss="probability-margin", **k)


def leap(q):
    return Sequence((Square(q), PGD(steps=20, start="worst", reach=0.3, transform=Momentum(.75),loss="probability-margin")))

G = Ladder((
    Sequence((PGD(steps=20,loss="cross-entropy",start="diverse"), APGD(steps=20,loss="cross-entropy"))),
    APGD(steps=75,loss="cross-entropy"),
    Targets(APGD(steps=50, loss="dlr"), n=3),
    Targets(APGD(steps=50, loss="dlr"), n=9)), (84, 150, 303, 910))
S = Ladder(tuple(leap(q) for q in (250,500,1000,2000)), tuple(q+41 for q in (250,500,1000,2000)))

def cascade(access="gradients", max_passes=300, **k):
    return Cascade(climb("clean",reach=1.0), (G,S), (), max_passes, **k)
