"""The ledger: the worst input seen, what it cost, and which rows are closed."""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.shapes import INF, like
from saddlepoint.core.whole import is_whole

__all__ = ["Budget", "Cost", "Ledger", "Status"]


class Status(StrEnum):
    """The verdict on one sample; a member is its own name as text.

    >>> Status.BROKEN == "broken", [status.value for status in Status]
    (True, ['not_run', 'survived', 'broken', 'error'])
    """

    NOT_RUN = "not_run"
    SURVIVED = "survived"
    BROKEN = "broken"
    ERROR = "error"


@dataclass(frozen=True)
class Budget:
    """How many passes an adversary may spend on each sample; None is no limit.

    forward: questions to the model, the clean input included. backward: gradients.

    >>> Budget(forward=100)
    Budget(forward=100, backward=None)
    """

    forward: int | None = None
    backward: int | None = None

    def __post_init__(self) -> None:
        for name in ("forward", "backward"):
            value = getattr(self, name)
            if value is not None and not is_whole(value):
                raise Invalid(f"budget.{name}", value, "a whole number of at least 1, or None")


@dataclass(frozen=True, eq=False)
class Cost:
    """What was paid: per sample by the adversary (B,), in rows by the machine.

    forward, backward: questions and gradients of each sample. rows_forward, rows_backward: samples
    that the machine passed through the model. The machine's rows include broken rows that ride
    along until the batch is compacted, and the referee's re-evaluations; the adversary pays for
    neither.
    """

    forward: Tensor
    backward: Tensor
    rows_forward: int = 0
    rows_backward: int = 0


class Ledger:
    """The worst parameters seen for each of N rows; a broken row is frozen.

    budget: what any row may cost, a ``Budget``. early_stop: ask no more about a row that is broken.
    allowance: (N,) the forward passes left to each row, where rows have spent unequally before.
    ``u`` is kept by reference while a whole batch improves at once, which saves a copy of the batch
    in most steps; a version counter detects an attack that then writes into it.
    """

    def __init__(
        self, u: Tensor, budget: Budget, early_stop: bool, allowance: Tensor | None = None
    ) -> None:
        n, device = len(u), u.device
        self.budget, self.early_stop = budget, early_stop
        self._u, self._version, self._owned = u, u._version, False
        self.margin = torch.full((n,), -torch.inf, dtype=torch.float64, device=device)
        self.broken = torch.zeros(n, dtype=torch.bool, device=device)
        zeros = torch.zeros(n, dtype=torch.int32, device=device)
        self.forward, self.backward = zeros.clone(), zeros.clone()
        self.nonfinite, self.zero_gradient = zeros.clone(), zeros.clone()
        self.rows_forward = self.rows_backward = 0
        self.given = 0  # forward passes that came before any attack
        self.price = 1  # passes that one question takes
        # Without early stop or limits every row is always open, which saves the bookkeeping.
        everyone = torch.ones(n, dtype=torch.bool, device=device)
        free = not early_stop and budget == Budget() and allowance is None
        self._everyone = everyone if free else None
        self._allowance = allowance

    @property
    def tried(self) -> Tensor:
        """(N,) bool: rows that an attack has asked about."""
        return self.forward > self.given

    @property
    def cost(self) -> Cost:
        """What was paid so far."""
        return Cost(self.forward, self.backward, self.rows_forward, self.rows_backward)

    @property
    def u(self) -> Tensor:
        """Worst parameters so far, (N, *P)."""
        self._verify()
        return self._u

    def _verify(self) -> None:
        if not self._owned and self._u._version != self._version:
            raise Unsupported(
                "the attack changed u in place after it had asked the oracle about it; "
                "compute a new tensor instead (u = u + step, not u += step)"
            )

    def done(self) -> Tensor:
        """(N,) bool: rows about which nothing remains to be found out."""
        return self.broken.clone() if self.early_stop else torch.zeros_like(self.broken)

    def open(self, index: Tensor | None = None, backward: bool = False) -> Tensor:
        """(N,) or (len(index),) bool: rows still to be asked, for a gradient if ``backward``."""
        if self._everyone is not None:
            return self._everyone if index is None else self._everyone[index]
        closed = self.done()
        for limit, spent in (
            (self.budget.forward, self.forward),
            (self._allowance, self.forward),
            (self.budget.backward if backward else None, self.backward),
        ):
            if limit is not None:
                closed |= spent + self.price > limit
        return ~closed if index is None else ~closed[index]

    def charge(self, index: Tensor | None, paying: Tensor, backward: bool) -> None:
        """Add a question's price to every row that pays, and the batch to the machine's bill."""
        self.rows_forward += len(paying) * self.price
        self.rows_backward += len(paying) * self.price if backward else 0
        for counter in (self.forward, self.backward) if backward else (self.forward,):
            tally(counter, index, paying, self.price)

    def claims(self, index: Tensor | None, margin: Tensor, size: Tensor, exact: bool) -> Tensor:
        """(B,) bool: rows whose margin, if true, is a break worth a referee's time.

        exact: the margins are the original model's own, where the first break settles the matter.
        """
        done = of_rows(self.broken, index)
        fresh = ~done if exact else ~done | (margin > of_rows(self.margin, index))
        return (margin > 0) & fresh

    def improves(self, index: Tensor | None, margin: Tensor, size: Tensor) -> Tensor:
        """(B,) bool: rows that beat what is kept."""
        return margin > of_rows(self.margin, index)

    def close(self, index: Tensor | None, broken: Tensor) -> None:
        """Mark confirmed breaks."""
        if index is None:
            self.broken = self.broken | broken
        else:
            self.broken[index] |= broken

    def inspect(self, index: Tensor | None, size: Tensor, asked: Tensor) -> None:
        """Note rows whose gradient has a largest entry ``size`` of zero, or one not finite."""
        if bool(((size > 0) & (size < INF)).all()):
            return
        tally(self.zero_gradient, index, asked & (size == 0))
        tally(self.nonfinite, index, asked & ~size.isfinite())

    def withdraw(self, lost: Tensor) -> None:
        """Take back breaks that further draws do not show: the best of many may owe it to luck."""
        lost = lost & self.broken
        self.broken = self.broken & ~lost
        self.margin = torch.where(lost, self.margin.clamp(max=0.0), self.margin)

    def _buffer(self) -> Tensor | None:
        return self._u if self._owned else None

    def keep(
        self, index: Tensor | None, better: Tensor, u: Tensor, margin: Tensor, size: Tensor
    ) -> None:
        """Write the rows of u and margin marked ``better``."""
        self._verify()
        if index is None and bool(better.all()):
            self._u, self._version, self._owned = u, u._version, False
            self.margin = margin
            return
        if index is None:
            self._u = torch.where(like(better, u), u, self._u, out=self._buffer())
            self._owned = True
            self.margin = torch.where(better, margin, self.margin)
            return
        if not self._owned:
            self._u, self._owned = self._u.clone(), True
        rows = index[better]
        self._u[rows] = u[better]
        self.margin[rows] = margin[better]


def of_rows(t: Tensor, index: Tensor | None) -> Tensor:
    """The entries of a view's rows; None stands for all."""
    return t if index is None else t[index]


def tally(counter: Tensor, index: Tensor | None, mask: Tensor, times: int = 1) -> None:
    """Add ``times`` to the counter of each marked row."""
    if index is None:
        counter += mask * times if times > 1 else mask
    else:
        counter[index] += mask.to(counter.dtype) * times
