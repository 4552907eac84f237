"""The only door to the model: it counts, keeps the worst input seen, and closes broken rows."""

import copy
from typing import Any, Generic, Self, TypeVar

import torch
from torch import Tensor

from saddlepoint.core.access import ACCESS, Access
from saddlepoint.core.aim import Aiming
from saddlepoint.core.answers import check_scores
from saddlepoint.core.beyond import Roamer, remembers
from saddlepoint.core.closest import Closest
from saddlepoint.core.door import Door
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Exhausted, Unsupported
from saddlepoint.core.expect import ballot, mean
from saddlepoint.core.goal import Goal
from saddlepoint.core.ledger import Budget, Ledger, of_rows, tally
from saddlepoint.core.loss import CrossEntropy, Loss, Margin
from saddlepoint.core.metered import spare
from saddlepoint.core.referee import answered, close_calls, hits_of, judge, nth
from saddlepoint.core.shapes import INF, norm, pieces, put
from saddlepoint.core.threat import MEMBER, ThreatModel, graded
from saddlepoint.core.within import Within

__all__ = ["Oracle"]

T = TypeVar("T", bound=ThreatModel)


class Oracle(Aiming, Within, Roamer, Generic[T]):
    """Rows of a batch, the set around each, and what may be asked about them.

    The clean input is asked about first (or its scores are handed in as ``clean``), so the worst
    point is never better than it. A break counts only when the original model in its own precision
    agrees, by itself where the batch could tip the balance. Where the door says so, a question is
    asked several times and answered by the means, and a break takes a majority of fresh draws.
    draw: the randomness of transformations that lie before the model, by sample.
    closest: keep the break of smallest size, which takes a ``Graded`` set, in place of the worst.
    allowance: (B,) int32, how many forward passes are left to each row, beside the budget.
    """

    def __init__(
        self,
        door: Door,
        x: Tensor,
        goal: Goal,
        threat: T,
        *,
        loss: Loss | None = None,
        budget: Budget | None = None,
        early_stop: bool = True,
        access: Access = "gradients",
        clean: Tensor | None = None,
        closest: bool = False,
        draw: Draw | None = None,
        allowance: Tensor | None = None,
    ) -> None:
        self._door, self._access = door, ACCESS.index(access)
        self._draw = draw if door.varied or door.under is not None else None
        door.admit(x)
        self.x, self.goal, self.threat = x, goal, threat
        self._loss: Loss = loss or (CrossEntropy() if hasattr(goal, "label") else Margin())
        self._aim = goal
        self._index: Tensor | None = None
        start, budget = threat.start(x), budget or Budget()
        kind = Closest if closest else Ledger
        self.ledger = kind(start, budget, early_stop or closest, allowance)
        count = door.votes if clean is None else 0
        views = self._views("clean")
        draws = [door.scores(threat.apply(x, start), nth(views, k)) for k in range(count)]
        self.clean = mean(draws) if clean is None else clean
        check_scores(self.clean, goal, len(x))
        everyone = torch.ones(len(x), dtype=torch.bool, device=x.device)
        if clean is None:
            self.ledger.price = self.ledger.given = door.votes
            self.ledger.charge(None, everyone, False)
        self.ledger.price = door.eot
        self._beyond = remembers(access, threat, x, start)
        self._begin(start, everyone, draws)

    # -- the questions -------------------------------------------------------------------------

    def propose(self, u: Tensor) -> None:
        """Hand in u: it is judged, paid for and kept like any question, and not answered."""
        self._forward(u)

    def solved(self, u: Tensor) -> Tensor:
        """(B,) bool: whether u reaches the goal."""
        self._grant("labels")
        return answered(self._door, self._forward(u), self.goal) > 0

    def value(self, u: Tensor) -> Tensor:
        """(B,) loss at u."""
        self._grant("scores")
        return mean([self._worth(out, u) for out in self._forward(u)])

    def value_and_grad(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) loss and (B, *P) gradient with respect to u alone, in one fused pass."""
        self._grant("gradients")
        asked = self._ask(backward=True)
        views = self._views("pass")
        passes = [self._pass(u, nth(views, k)) for k in range(self._door.eot)]
        outs, values, slopes = (list(answers) for answers in zip(*passes, strict=True))
        value, g = mean(values), mean(slopes)
        self.ledger.charge(self._index, asked, True)
        self.ledger.inspect(self._index, norm(g, INF), asked)
        self._record(u, outs, asked)
        return value, g

    def _pass(self, u: Tensor, view: Draw | None) -> tuple[Any, Tensor, Tensor]:
        """Scores, (B,) loss and (B, *P) gradient of one pass of the model."""
        with torch.enable_grad():
            leaf = u.detach().requires_grad_()
            out = self._door.search(self.threat.apply(self.x, leaf), view)
            value = self._worth(out, leaf)
            if not value.requires_grad:
                raise Unsupported(
                    "the model's output does not depend on its input by a differentiable path: "
                    "use an attack that needs scores only, such as RandomSearch()"
                )
            (g,) = torch.autograd.grad(value.sum(), leaf)
        return out.detach() if isinstance(out, Tensor) else out, value.detach(), g

    # -- views ---------------------------------------------------------------------------------

    @property
    def worst(self) -> Tensor:
        """(B, *P) the worst parameters seen so far: where a later attack can go on.

        Which of two unbroken points is worse takes scores to say: without them, where it begins.
        """
        if self._access < ACCESS.index("scores"):
            start: Tensor = self.threat.start(self.x)
            return start
        if self._inside is not None:
            return self._inside.worst
        return of_rows(self.ledger.u, self._index)

    def shrink(self, *state: Any, at: float = 0.5) -> tuple[Any, ...]:  # noqa: ANN401
        """Drop closed rows from the oracle and the state once no more than a share ``at`` is left.

        Raises ``Exhausted`` when no row is open, which ends the attack.
        """
        asked = self._open()
        left = int(asked.sum())
        if left == 0:
            raise Exhausted
        if left == len(asked) or left > at * len(asked):
            return (self, *state)
        keep = asked.nonzero().squeeze(1)
        return (self[keep], *[s if s is None else s[keep] for s in state])

    def __getitem__(self, keep: Tensor) -> Self:
        view = copy.copy(self)
        view._until = None if self._until is None else self._until[keep]
        view._idle = None if self._idle is None else self._idle[keep]
        view.x, view.goal, view.threat = self.x[keep], self.goal[keep], self.threat[keep]
        view._aim = view.goal if self._aim is self.goal else self._aim[keep]
        view.clean = self.clean[keep]
        view._draw = None if self._draw is None else self._draw[keep]
        view._inside = None if self._inside is None else self._inside[keep]
        view._index = keep if self._index is None else self._index[keep]
        return view

    # -- bookkeeping ---------------------------------------------------------------------------

    def _grant(self, need: Access) -> None:
        if ACCESS.index(need) > self._access:
            raise Unsupported(f"the attack asked for {need}; granted: {ACCESS[self._access]}")

    def _open(self, backward: bool = False) -> Tensor:
        """(B,) bool: rows that may be asked about, for a gradient if ``backward``."""
        asked = self.ledger.open(self._index, backward)
        asked = asked if self._idle is None else asked & ~self._idle
        if self._until is None:
            return asked
        return asked & (self.reached() > self._until * (1 + MEMBER))

    def _ask(self, backward: bool = False) -> Tensor:
        asked = self._open(backward)
        if not bool(asked.any()):
            raise Exhausted
        return asked

    def _forward(self, u: Tensor) -> list[Any]:
        """Return the scores of each pass."""
        asked = self._ask()
        with torch.no_grad():
            moved = spare(self._door.model, self.threat.apply(self.x, u), self.x, asked)
            views = self._views("pass")
            outs = [self._door.search(moved, nth(views, k)) for k in range(self._door.eot)]
        self.ledger.charge(self._index, asked, False)
        self._record(u, outs, asked)
        return outs

    def _views(self, tag: str) -> Draw | None:
        """Fresh randomness for a question: a row's own number of passes says which it is."""
        if self._draw is None:
            return None
        return self._draw.tag(tag).each(of_rows(self.ledger.forward, self._index))

    def _begin(self, start: Tensor, everyone: Tensor, draws: list[Any]) -> None:
        """Enter the clean input, at a margin of minus infinity where it has none."""
        ledger, clean = self.ledger, self.goal.margin(self.clean).double()
        if self._door.votes > 1:
            # Scores that are handed in come from a clean input that was voted right.
            said = [self.goal.margin(d).double() for d in draws or [self.clean]]
            voted = ballot(said, self._door.quorum) if draws else said[0].clamp(max=0.0)
            tally(ledger.nonfinite, None, ~voted.isfinite())
            ledger.margin = torch.where(voted.isnan(), ledger.margin, voted)
            ledger.broken = voted > 0
            return
        self._record(start, [self.clean], everyone)
        # Where the clean input claimed to be broken, the ledger has what the referee said.
        ledger.margin = torch.where(clean.isnan() | (clean > 0), ledger.margin, clean)

    def _record(self, u: Tensor, outs: list[Any], asked: Tensor) -> None:
        ledger, index = self.ledger, self._index
        margin = answered(self._door, outs, self.goal)
        finite = margin.isfinite()  # NaN and infinity in any score that matters end up here
        if not bool(finite.all()):
            tally(ledger.nonfinite, index, asked & ~finite)
        size = self._size(u)
        claims = ledger.claims(index, margin, size, self._door.precision == "float32")
        if self._roams:
            self._note(u, asked & (margin > 0))
            asked = self._members(u, asked & (claims | ledger.improves(index, margin, size)))
        crossed = asked & claims
        if bool(crossed.any()):
            margin = self._referee(u, outs[0], margin, crossed)
            ledger.close(index, crossed & (margin > 0))
        if self._inside is not None:
            self._inside.see(asked, u, margin)
        better = asked & ledger.improves(index, margin, size)
        if bool(better.any()):
            ledger.keep(index, better, self._lifted(u), margin, size)

    def _size(self, u: Tensor) -> Tensor:
        """(B,) float64 sizes where the ledger goes by them; an empty tensor where it does not."""
        if not isinstance(self.ledger, Closest):
            return u.new_empty(0)
        threat, x = self._root
        return graded(threat).size(x, self._lifted(u)).double()

    def _members(self, u: Tensor, asked: Tensor) -> Tensor:
        """Of the rows that would be written down, those whose point is in the set."""
        rows = asked.nonzero().squeeze(1)
        inside = torch.zeros_like(asked)
        if len(rows):
            inside[rows] = self.threat[rows].contains(self.x[rows], u[rows], MEMBER)
        return inside

    def _referee(self, u: Tensor, out: Any, margin: Tensor, crossed: Tensor) -> Tensor:  # noqa: ANN401
        """Margins of the rows that claim a break, as the original model sees them."""
        margin = margin.clone()
        door = self._door
        if door.precision != "float32" or door.votes > 1 or door.eot > 1 or door.varied:
            rows = crossed.nonzero().squeeze(1)
            margin[rows] = self._judge(u, rows)
            return margin
        for row in pieces((crossed & close_calls(out, margin)).nonzero().squeeze(1), 1):
            margin[row] = self._judge(u, row)
        return margin

    def _judge(self, u: Tensor, rows: Tensor) -> Tensor:
        moved = self.threat[rows].apply(self.x[rows], u[rows])
        views = self._views("verdict")
        views = None if views is None else views[rows]
        margin, asked = judge(self._door, moved, self.goal[rows], views)
        self.ledger.rows_forward += asked
        lost = torch.zeros(len(u), dtype=torch.bool, device=u.device)
        lost[rows] = ~margin.isfinite()
        tally(self.ledger.nonfinite, self._index, lost)
        return margin

    def settle(self) -> None:
        """After a search in low precision, ask the original model about the points it kept."""
        ledger = self.ledger
        if self._door.precision == "float32" or self._index is not None:
            return
        margin = self._judge(ledger.u, torch.arange(len(ledger.u), device=ledger.u.device))
        clean = self.goal.margin(self.clean).double()
        back = ~(margin >= clean)
        u = put(back, self.threat.start(self.x), ledger.u)
        margin = torch.where(back, clean, margin)
        ledger.keep(None, torch.ones_like(back), u, margin, self._size(u))
        ledger.broken = ledger.margin > 0

    def retry(self) -> Tensor | None:
        """(N,) how many further draws the kept points break; None where nothing lies before."""
        if self._door.under is None:
            return None
        moved = self.threat.apply(self.x, self.ledger.u)
        hits = hits_of(self._door, moved, self.goal, self._views("retry"))
        self.ledger.withdraw(hits < self._door.quorum)
        return hits
