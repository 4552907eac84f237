"""Queries where others point: score search from suggested points, by blocks that surrogates like.

A gradient of another model is a poor guide once its own boundary is far behind; as a judge of a few
random moves it stays a good one.
"""

import contextlib
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from saddlepoint.attacks.pgd import PGD
from saddlepoint.attacks.square import Square
from saddlepoint.attacks.transfer import Transfer, understood
from saddlepoint.attacks.transform import Momentum, Smooth
from saddlepoint.core.access import Blind, Scores
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.loss import Loss, as_loss, check_loss
from saddlepoint.core.oracle import Oracle
from saddlepoint.core.shapes import INF, put
from saddlepoint.core.spec import compact
from saddlepoint.core.surrogate import Surrogate, check_surrogates, opened
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import require_whole

__all__ = ["MADE", "PriorGuided", "Suggestion"]


class Suggestion(Protocol):
    """Knows of points to try before a search, such as ``Transfer`` and ``Earlier``."""

    def suggest(self, oracle: Blind[Any], draw: Draw) -> tuple[Tensor, Tensor]:
        """(B, *P) members of the set, and (B,) for which samples there is one."""
        ...


# Smoothed gradients fool nets that were trained naturally, plain ones those that were not.
MADE: tuple[Transfer, ...] = (
    Transfer(
        PGD(steps=20, start="clean", loss="margin", transform=Smooth(0.7, then=Momentum(1.0)))
    ),
    Transfer(PGD(steps=20, loss="margin", transform=Momentum(1.0))),
)


@dataclass(frozen=True, repr=False)
class PriorGuided:
    """Try suggested points, then go on from the best by the random blocks of ``Square``.

    Every ``every``-th question is about the best of ``candidates`` moves, as the surrogates judge
    them; the others are chance, which also leads where no surrogate does. starts: who suggests
    points (``Transfer``, whose surrogates are those given here unless it has its own; ``Earlier``);
    one question each. n_queries: evaluations per sample, these included. loss: what to climb.
    Questions to surrogates cost nothing. Another use of such a prior is a direction for finite
    differences (1906.06919); on small nets the blocks need fewer questions.

    Raises ``Unsupported`` without surrogates and without a start that does without them.

    >>> PriorGuided(n_queries=500, surrogates=(Surrogate(lambda x: x, "mine", "a" * 64),))
    PriorGuided(n_queries=500, surrogates=(mine@aaaaaaaa,))
    """

    n_queries: int = 5000
    surrogates: tuple[Surrogate, ...] = ()
    starts: tuple[Suggestion, ...] = MADE
    candidates: int = 8
    every: int = 4
    loss: Loss | str | None = "margin"

    __repr__ = compact

    def __post_init__(self) -> None:
        for name in ("n_queries", "candidates", "every"):
            require_whole(name, getattr(self, name))
        check_loss(self.loss)
        object.__setattr__(self, "surrogates", check_surrogates(self.surrogates))
        object.__setattr__(self, "starts", tuple(self.starts))
        strange: list[Any] = [s for s in self.starts if not hasattr(s, "suggest")]
        if strange:
            raise Invalid("starts", strange[0], "Transfer(…) or Earlier(…)")

    def inside(self, threat: object) -> list[tuple[object, object]]:
        """Return the starts with the set that they meet; raises ``Unsupported`` without a prior."""
        if not self.ready:
            said = "PriorGuided has neither surrogates nor a start from an earlier run: give models"
            raise Unsupported(f"{said} (--surrogate) or a run's folder (--warm)")
        return [(s, threat) for s in self.ready]

    @property
    def ready(self) -> tuple[Suggestion, ...]:
        """The starts that have what they need."""
        filled = [
            replace(s, surrogates=self.surrogates)
            if isinstance(s, Transfer) and not s.surrogates
            else s
            for s in self.starts
        ]
        return tuple(s for s in filled if not isinstance(s, Transfer) or s.surrogates)

    def __call__(self, oracle: Scores[ThreatModel], draw: Draw) -> None:
        """Ask about the suggestions, then climb from the best of them."""
        self.inside(oracle.threat)
        oracle, search = oracle.aim(self.loss), Square(self.n_queries)
        oracle, u, best, left, draw = self._begin(oracle, search, draw)
        with contextlib.ExitStack() as held:
            judge = self._judge(oracle, held)
            k = len(self.ready)
            while bool((left > 0).any()):
                k += 1
                state = oracle.rest(left <= 0).shrink(judge, u, best, left, draw)
                oracle, judge, u, best, left, draw = state
                new = self._proposed(search, oracle, judge, u, k, draw.tag(k))
                value = oracle.value(new)
                better = (left > 0) & (value >= best)
                u, best = put(better, new, u), torch.where(better, value, best)
                left = left - 1

    def _begin(self, oracle: Any, search: Square, draw: Draw) -> tuple[Any, ...]:  # noqa: ANN401
        """Ask about every suggestion, and about a chance move where there was none.

        Returns the oracle, points, their values, questions that are left to each, and the draw.
        """
        u = oracle.threat.start(oracle.x)
        best = torch.full((len(u),), -INF, dtype=u.dtype, device=u.device)
        left = torch.full((len(u),), self.n_queries, device=u.device)
        for i, start in enumerate(self.ready[: self.n_queries]):
            oracle, u, best, left, draw = oracle.shrink(u, best, left, draw, at=1.0)
            new, known = start.suggest(oracle, draw.tag("start", i))
            u, best, left = *_asked(oracle, new, known, u, best), left - known.to(left.dtype)
        oracle, u, best, left, draw = oracle.shrink(u, best, left, draw, at=1.0)
        new, lost = search.move(oracle, u, 0, draw.tag("chance")), left == self.n_queries
        return oracle, *_asked(oracle, new, lost, u, best), left - lost.to(left.dtype), draw

    def _judge(self, oracle: Any, held: contextlib.ExitStack) -> Any:  # noqa: ANN401
        """Open the surrogates on the same rows; None where there are none."""
        if not self.surrogates or self.candidates == 1:
            return None
        door, goal = held.enter_context(opened(self.surrogates)), understood(oracle.goal)
        loss = None if self.loss is None else as_loss(self.loss)
        return Oracle(door, oracle.x, goal, oracle.threat, loss=loss, early_stop=False)

    def _proposed(
        self,
        search: Square,
        oracle: Scores[ThreatModel],
        judge: Any,  # noqa: ANN401
        u: Tensor,
        k: int,
        draw: Draw,
    ) -> Tensor:
        """(B, *P) the next question."""
        new = search.move(oracle, u, k, draw)
        if judge is None or k % self.every:
            return new
        top = judge.value(new)
        for j in range(1, self.candidates):
            other = search.move(oracle, u, k, draw.tag("other", j))
            value = judge.value(other)
            better = value > top
            new, top = put(better, other, new), torch.where(better, value, top)
        return new


def _asked(
    oracle: Scores[ThreatModel], new: Tensor, known: Tensor, u: Tensor, best: Tensor
) -> tuple[Tensor, Tensor]:
    """Keep the better of u and new in rows that are asked about; the others pay nothing."""
    if not bool(known.any()):
        return u, best
    value = torch.where(known, oracle.rest(~known).value(new), -INF).to(best)
    better = value > best
    return put(better, new, u), torch.where(better, value, best)
