"""Randomised smoothing: the vote of a classifier under Gaussian noise, with a certified L2 radius.

Source: Cohen, Rosenfeld, Kolter, "Certified adversarial robustness via randomized smoothing",
arXiv 1902.02918: theorem 1 and section 3.2.
"""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from saddlepoint.core.door import Door, Model
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import pieces
from saddlepoint.core.spec import compact
from saddlepoint.verify.ballot import SPOILT, Ballot
from saddlepoint.verify.binomial import fair_coin, lower_bound

__all__ = ["ABSTAIN", "Certified", "Predicted", "Smoothing"]

ABSTAIN: Final = -1
"""The prediction of a sample on which the draws do not agree enough."""
_DRAWS = 1 << 32  # a noise vector's number is sample * _DRAWS + draw: never two alike


@dataclass(frozen=True, eq=False)
class Certified:
    """What CERTIFY says of B samples; tensors of shape (B,) on the CPU.

    prediction: class, or ABSTAIN. radius: within which the smoothed classifier says the same, 0
    where it abstains. selected: class that the first n0 draws chose (-1: all of them spoilt). hits:
    how many of the n draws gave that class. p_low: lower bound of its probability. spoilt: draws
    of both kinds whose answer was not finite; they count for no class.
    """

    prediction: Tensor
    radius: Tensor
    selected: Tensor
    hits: Tensor
    p_low: Tensor
    spoilt: Tensor

    def stands(self, y: Tensor, eps: float) -> Tensor:
        """(B,) bool: right, and certified in the closed L2 ball of radius eps."""
        return (self.prediction == y.cpu()) & (self.radius > eps)


@dataclass(frozen=True, eq=False)
class Predicted:
    """What PREDICT says of B samples; tensors of shape (B,) on the CPU.

    prediction: class, or ABSTAIN. first, second: votes of the two most frequent classes. p: p value
    of the test that they are equally likely. spoilt: draws whose answer was not finite.
    """

    prediction: Tensor
    first: Tensor
    second: Tensor
    p: Tensor
    spoilt: Tensor


@dataclass(frozen=True, repr=False)
class Smoothing:
    """g(x) = argmax_c P(f(x + sigma n) = c), n standard normal, for any classifier f.

    Calling it is CERTIFY. n0 draws select a class c; n other draws, none of them used for the
    choice, count it, and the exact one-sided Clopper-Pearson bound p_A of its probability at level
    1 - alpha follows. Where p_A > 1/2, g(x') = c for all ||x' - x||_2 < sigma Phi^-1(p_A)
    (theorem 1 with p_B <= 1 - p_A); elsewhere the answer is ABSTAIN.

    alpha: for each sample by itself, and over the draw of the noise, the probability that a class
    and radius are returned and do not hold is at most alpha. It is not a statement about all
    samples of a data set at once: of N certificates alpha N may be expected to be wrong at most,
    and that all hold together has probability 1 - N alpha at least. It is lost by certifying a
    sample again under other seeds and keeping the best answer. There is no early stop: n is fixed
    before the first draw, since an interval of a count that ended when it looked good would not
    have its level.

    The noise is not clipped to [0, 1] or any other range: f is asked outside of it. In return the
    certificate holds in all of R^d, so in the part of the ball within the range as well. It is
    about g, which has to be asked in place of f, and holds for a deterministic or randomised f, not
    for one that looks at the rest of its batch. Noise is float32, from a generator that imitates
    independent normal variables with 24 random bits each, and is added in floating point: theorem 1
    is about real numbers, and an adversary who exploits rounding (2205.10159) is outside of it.

    sigma: in units of the input. batch_size: draws in one pass. Noise depends on (seed, sample id,
    number of the draw) and on nothing else, so a sample gets the same answer alone, in a batch, or
    in another order, bit by bit; with another batch_size it gets the same noise, and the same
    answer as far as the model's own arithmetic does not depend on the size of its batch.

    Raises ``Invalid`` for settings out of range.

    >>> _ = torch.manual_seed(0)
    >>> line = torch.nn.Linear(2, 2)
    >>> found = Smoothing(sigma=0.5, n=1000)(line, torch.rand(3, 2), seed=1)
    >>> found.prediction.shape, bool((found.radius >= 0).all())
    (torch.Size([3]), True)
    """

    sigma: float
    n0: int = 100
    n: int = 10_000
    alpha: float = 0.001
    batch_size: int = 256

    __repr__ = compact

    def __post_init__(self) -> None:
        for name in ("n0", "n", "batch_size"):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or not 1 <= value < _DRAWS:
                raise Invalid(name, value, "a whole number of at least 1")
        if not _number(self.sigma) or not 0 < self.sigma < math.inf:
            raise Invalid("sigma", self.sigma, "a finite number above 0")
        if not _number(self.alpha) or not 0 < self.alpha < 1:
            raise Invalid("alpha", self.alpha, "a number between 0 and 1", "0.001 is usual")
        # Where all n draws agree the bound is alpha^(1/n), which has to be above one half.
        least = math.floor(math.log(1 / self.alpha, 2)) + 1
        if self.n < least:
            hint = "fewer draws certify nothing, even where all agree"
            raise Invalid("n", self.n, f"at least {least} at alpha = {self.alpha:g}", hint)

    @property
    def largest(self) -> float:
        """The radius of a sample all of whose n draws agree: none can be larger."""
        agreed = torch.tensor(self.alpha ** (1 / self.n), dtype=torch.float64)
        return float(self._radius(agreed))

    def __call__(
        self,
        model: Model,
        x: Tensor,
        *,
        seed: int = 0,
        ids: Tensor | None = None,
        classes: int | None = None,
    ) -> Certified:
        """Certify each sample of x (B, *F).

        model: maps (R, *F) to scores (R, K) or class numbers (R,); it is asked in eval mode and
        left as it was. ids: (B,) identities of the samples in [0, 2^31), 0 … B-1 unless given.
        classes: K, where the answer is to be held to it. Raises ``Invalid`` for an input or an
        answer of another form.
        """
        rows = []
        with Door(model, verify=False) as door:
            vote = _Vote(self, door, Ballot(classes), seed)
            for row, number in _numbered(door, x, ids):
                chosen, lost = vote.cast(row, number, "select", self.n0)
                counted, more = vote.cast(row, number, "estimate", self.n)
                spoilt = lost + more
                c = int(chosen.argmax()) if int(chosen.sum()) else SPOILT
                # A class that none of the n draws gave may be beyond the end of the counts.
                hits = int(counted[c]) if SPOILT < c < len(counted) else 0
                rows.append((c, hits, spoilt))
        selected, hits_, spoilt_ = torch.tensor(rows, dtype=torch.int64).reshape(-1, 3).unbind(1)
        return self._certified(selected, hits_, spoilt_)

    def _certified(self, selected: Tensor, hits: Tensor, spoilt: Tensor) -> Certified:
        p_low = lower_bound(hits, self.n, self.alpha)
        sure = p_low > 0.5
        radius = torch.where(sure, self._radius(p_low), torch.zeros_like(p_low))
        prediction = torch.where(sure, selected, ABSTAIN)
        return Certified(prediction, radius, selected, hits, p_low, spoilt)

    def _radius(self, p: Tensor) -> Tensor:
        radius: Tensor = self.sigma * torch.special.ndtri(p)
        return radius

    def predict(
        self,
        model: Model,
        x: Tensor,
        *,
        seed: int = 0,
        ids: Tensor | None = None,
        classes: int | None = None,
    ) -> Predicted:
        """Say what g says of each sample of x (B, *F), or ABSTAIN (PREDICT).

        Of n draws the two most frequent classes are compared: where a two-sided exact binomial test
        refuses at level alpha that they are equally likely, the first is the answer. For each
        sample by itself, the probability of an answer other than g(x) and ABSTAIN is at most alpha.
        No radius comes with it. Arguments and errors as in the call.

        >>> half = Smoothing(sigma=1.0, n=100)
        >>> half.predict(lambda x: (x[:, 0] > 0).long(), torch.tensor([[0.0], [3.0]])).prediction
        tensor([-1,  1])
        """
        rows = []
        with Door(model, verify=False) as door:
            vote = _Vote(self, door, Ballot(classes), seed)
            for row, number in _numbered(door, x, ids):
                counted, lost = vote.cast(row, number, "predict", self.n)
                first, second = counted.topk(2).values.tolist()
                rows.append((int(counted.argmax()), first, second, lost))
        c, first_, second_, spoilt = torch.tensor(rows, dtype=torch.int64).reshape(-1, 4).unbind(1)
        p = fair_coin(first_, second_)
        return Predicted(torch.where(p <= self.alpha, c, ABSTAIN), first_, second_, p, spoilt)


@dataclass(frozen=True, eq=False)
class _Vote:
    """Asks a model about noisy copies of one sample at a time."""

    smoothing: Smoothing
    door: Door
    ballot: Ballot
    seed: int

    def cast(self, row: Tensor, number: int, what: str, draws: int) -> tuple[Tensor, int]:
        """Return votes (K,) of so many draws, and how many more were spoilt."""
        # What a randomised model draws must not depend on the samples before this one.
        stream = Draw.of(self.seed, torch.arange(0)).tag(what, number)
        self.door.reseed((stream.seed + stream.key) % (1 << 63))
        labels = []
        for k in pieces(torch.arange(draws, device=row.device), self.smoothing.batch_size):
            draw = Draw.of(self.seed, number * _DRAWS + k).tag("smoothing", what)
            noise = draw.normal(*row.shape).to(row.dtype)
            out = self.door.scores(row + self.smoothing.sigma * noise)
            labels.append(self.ballot.labels(out, len(k)))
        every = torch.cat(labels)
        return self.ballot.count(every), int((every == SPOILT).sum())


def _numbered(door: Door, x: Tensor, ids: Tensor | None) -> list[tuple[Tensor, int]]:
    """Samples on the model's device with their identities."""
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.dim() < 2:
        what = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise Invalid("x", f"<{what}>", "a floating tensor of shape (B, *F)")
    numbers = list(range(len(x))) if ids is None else [int(i) for i in ids.tolist()]
    if len(numbers) != len(x):
        raise Invalid("ids", f"<{len(numbers)} of them>", f"one for each of {len(x)} samples")
    wrong = [i for i in numbers if not 0 <= i < 1 << 31]
    if wrong:
        raise Invalid("ids", wrong[0], "whole numbers in [0, 2^31)")
    return list(zip(door.fit(x), numbers, strict=True))


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
