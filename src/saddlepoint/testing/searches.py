"""The laws of an attack, for attacks of your own: run on small models whose answers are known."""

import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saddlepoint.core.access import (
    ACCESS,
    Access,
    Blind,
    Gradients,
    Labels,
    Scores,
    check_fit,
    held_by,
)
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Unsupported
from saddlepoint.core.found import Found
from saddlepoint.core.ledger import Budget
from saddlepoint.core.search import search
from saddlepoint.core.shapes import dot
from saddlepoint.core.threat import MEMBER, Convex, parametric
from saddlepoint.threats import Linf

__all__ = ["check_attack"]

_B, _SHAPE = 8, (1, 6, 6)
_FEW = 300  # questions that most laws take: longer runs would only let rounding grow
_DOORS: dict[Any, Access] = {
    Blind: "none",
    Labels: "labels",
    Scores: "scores",
    Gradients: "gradients",
}


def check_attack(
    attack: Any,  # noqa: ANN401
    threat: Any = None,  # noqa: ANN401
    *,
    optimum: float = 0.99,
    most: int = 10_000,
    seed: int = 0,
) -> None:
    """Raise ``AssertionError``, in plain words, for the first law that an attack breaks.

    The laws: its signature says what it asks for, and it asks for no more; it has a repr that tells
    its settings; it ends by itself, in float32 and float64, also where the model always says the
    same; what it returns lies in the set; it makes some sample worse; a sample gets the same result
    alone, among others and in another order, and when asked again; the inputs and torch's random
    state stay as they were; on a linear model it reaches the share ``optimum`` of the best that
    the set allows, which is known there.

    threat: a set for 8 images (1, 6, 6), with its own ``box``; default ``Linf(0.1)``. optimum: 0
    for attacks that look for the nearest break or have too few questions; only sets that can
    maximise a linear function know it. most: questions a sample after which an attack is said not
    to end.

    >>> from saddlepoint import FGSM, L2
    >>> check_attack(FGSM(), L2(eps=0.5))
    """
    threat = Linf(eps=0.1) if threat is None else threat
    _signature(attack, threat)
    case = _Case(attack, threat, most, seed)
    for law in (_ends, _results, _repeats, _independence, _no_traces):
        law(case)
    if optimum and isinstance(threat, Convex) and not parametric(threat):
        _strength(case, optimum)


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(f"the attack {what}")


def _signature(attack: Any, threat: Any) -> None:  # noqa: ANN401
    ready = callable(attack) and not isinstance(attack, type)
    _demand(ready, "is not one: it must be an object with __call__(oracle, draw)")
    _demand(" at 0x" not in repr(attack), "has a repr that does not tell its settings")
    _demand(
        _access(attack) is not None,
        "does not say what it asks for: annotate oracle as Blind, Labels, Scores or Gradients",
    )
    try:
        check_fit(attack, threat, "gradients")
    except Unsupported as error:
        raise AssertionError(f"the attack does not fit {threat!r}: {error}") from error


def _access(attack: Any) -> Access | None:  # noqa: ANN401
    """Return the narrowest access that the signature asks for, and those of attacks within it."""
    hint = typing.get_type_hints(type(attack).__call__).get("oracle")
    own = _DOORS.get(typing.get_origin(hint))
    inner = [_access(a) for a in held_by(attack)]
    known = [a for a in (own, *inner) if a is not None]
    return max(known, key=ACCESS.index) if own is not None else None


@dataclass(frozen=True, eq=False)
class _Case:
    """An attack, a set, and small problems to try them on."""

    attack: Any
    threat: Any
    most: int
    seed: int

    def inputs(self, dtype: torch.dtype = torch.float64) -> Tensor:
        """(8, 1, 6, 6) images within the set's box, some of their values on it."""
        low, high = getattr(self.threat, "box", (0.0, 1.0))
        low, high = max(low, -2.0), min(high, max(low, -2.0) + 4.0)
        v = Draw.of(self.seed, torch.arange(_B)).tag("x").uniform(*_SHAPE).double() * 1.4 - 0.2
        return (low + v.clamp(0, 1) * (high - low)).to(dtype)

    def search(
        self,
        model: Callable[[Tensor], Tensor],
        x: Tensor,
        y: Tensor,
        **options: Any,  # noqa: ANN401
    ) -> Found:
        """Run the attack with no more access than it asks for."""
        given = {"seed": self.seed, "early_stop": False, "access": _access(self.attack)} | options
        threat = given.pop("threat", self.threat)
        budget = Budget(forward=given.pop("questions", _FEW))
        try:
            found = search(self.attack, model, x, y, threat, budget=budget, **given)
        except Unsupported as error:
            raise AssertionError(f"the attack is refused: {error}") from error
        said = "" if found.error is None else found.error.strip().splitlines()[-1]
        _demand(not said, f"raises {said}")
        return found


def _net(x: Tensor) -> Tensor:
    """(B, 4) scores of a small smooth net with fixed weights, for images of any size."""
    v = x.flatten(1)
    rows = torch.arange(v.shape[1], dtype=v.dtype)[:, None]
    inner = (v @ torch.sin(3 * rows + 2 * torch.arange(12, dtype=v.dtype)) / 2).tanh()
    columns = torch.arange(12, dtype=v.dtype)[:, None]
    return inner @ torch.cos(5 * columns + torch.arange(4, dtype=v.dtype))


def _labels(x: Tensor) -> Tensor:
    """(B,) what the net says, but for one."""
    y = _net(x).argmax(1)
    y[_B // 2] = (y[_B // 2] + 1) % 4
    return y


def _ends(c: _Case) -> None:
    x, y = c.inputs(torch.float32), torch.zeros(_B, dtype=torch.int64)
    found = c.search(lambda v: v.flatten(1)[:, :4] * 0, x, y, questions=c.most)
    spent = int(found.cost.forward.max())
    _demand(spent < c.most, f"does not end: {spent} questions about one sample")
    c.search(_net, x, _labels(x))


def _results(c: _Case) -> None:
    x = c.inputs()
    found = c.search(_net, x, _labels(x))
    same = torch.equal(found.x_adv, c.threat.apply(x, found.u))
    _demand(same, "writes into oracle.x")
    inside = bool(c.threat.contains(x, found.u, MEMBER).all())
    _demand(inside, "leaves the set: project what you ask about, or ask through oracle.roam()")
    blind = _access(c.attack) in ("none", "labels")
    better = bool((found.margin > found.clean_margin + 1e-12).any())
    _demand(better or blind, "finds nothing worse than the clean input on any of 8 samples")


def _independence(c: _Case) -> None:
    x, ids = c.inputs(), torch.arange(100, 100 + _B)
    y = _labels(x)
    for early_stop in (False, True):
        whole = c.search(_net, x, y, ids=ids, early_stop=early_stop)
        for rows in (torch.tensor([5]), torch.tensor([3, 7, 0, 5, 1, 6, 2, 4])):
            given = {"ids": ids[rows], "early_stop": early_stop, "threat": c.threat[rows]}
            part = c.search(_net, x[rows], y[rows], **given)
            same = torch.allclose(whole.margin[rows], part.margin, rtol=1e-6, atol=1e-6)
            cost = torch.equal(whole.cost.forward[rows], part.cost.forward)
            _demand(
                same and cost,
                "gives a sample another result alone, or in another order, than among others: "
                "draw random numbers from draw, keep state per sample, and pass all of it through "
                "oracle.shrink",
            )


def _repeats(c: _Case) -> None:
    x = c.inputs()
    first, again = (c.search(_net, x, _labels(x)) for _ in range(2))
    same = torch.equal(first.u, again.u) and torch.equal(first.cost.forward, again.cost.forward)
    _demand(same, "remembers an earlier run: keep nothing in the attack itself")


def _no_traces(c: _Case) -> None:
    x = c.inputs()
    kept, random = x.clone(), torch.get_rng_state()
    c.search(_net, x, _labels(x))
    _demand(torch.equal(kept, x), "writes into the inputs")
    _demand(torch.equal(random, torch.get_rng_state()), "changes torch's random state")


def _strength(c: _Case, optimum: float) -> None:
    """Two classes, z = (1, <w, x - x0>): the best member is maximise(w), exactly."""
    x = c.inputs()
    noise = Draw.of(c.seed, torch.zeros(1, dtype=torch.int64))
    w = noise.tag("w").normal(*_SHAPE) * noise.tag("tail").normal(*_SHAPE).exp()
    w = w.double().expand(x.shape)
    clean = dot(w, x)

    def linear(v: Tensor) -> Tensor:
        score = dot(v, w[: len(v)])
        return torch.stack([torch.full_like(score, float(clean.mean()) + 1e3), score], 1)

    y = torch.zeros(_B, dtype=torch.int64)
    found = c.search(linear, x, y, loss="margin", questions=c.most)
    best = dot(w, c.threat.maximise(x, w))
    gain = dot(w, found.u.double())
    share = float((gain[best > 0] / best[best > 0]).min()) if bool((best > 0).any()) else 1.0
    _demand(
        share >= optimum,
        f"reaches {share:.1%} of the best that {c.threat!r} allows on a linear model, less than "
        f"{optimum:.0%}",
    )
