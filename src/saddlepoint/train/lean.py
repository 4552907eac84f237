"""The oracle of training: what an inner attack may ask, without what only an audit needs."""

import contextlib
import copy
from collections.abc import Iterator
from typing import Any, Generic, Literal, Self, TypeVar

import torch
from torch import Tensor, nn

from saddlepoint.core.aim import Aiming
from saddlepoint.core.errors import Exhausted, Unsupported
from saddlepoint.core.goal import Goal
from saddlepoint.core.loss import CrossEntropy, Loss, Margin
from saddlepoint.core.modes import evaluating
from saddlepoint.core.shapes import put
from saddlepoint.core.threat import MEMBER, ThreatModel, graded, radii
from saddlepoint.core.within import Within

__all__ = ["Keep", "Lean", "evaluating", "widen", "without_graph"]

Keep = Literal["worst", "last"]
T = TypeVar("T", bound=ThreatModel)


class _Kept:
    """The point that each row will be trained on; shared by all views of one batch."""

    def __init__(self, u: Tensor) -> None:
        self.u, self.value = u, torch.full((len(u),), -torch.inf, device=u.device)
        self.climbed = False

    def offer(self, u: Tensor, value: Tensor) -> None:
        """Keep the rows that beat what was seen so far; equal ones too, so that a start is left."""
        better = value >= self.value
        self.u, self.value = put(better, u, self.u), torch.where(better, value, self.value)


class Lean(Aiming, Within, Generic[T]):
    """A ``Gradients`` oracle that neither counts, nor confirms, nor closes broken rows.

    Training wants the worst point, not the first bad one, and asks millions of times: a clean pass,
    a referee and a ledger would cost more than the search. keep: ``worst``, of all points asked
    about, by ``loss``, whatever an attack climbs besides; or ``last``, the first point whose value
    is asked for after the gradients: it is taken unseen, which saves a pass, and ends the attack.

    >>> from saddlepoint import Linf
    >>> from saddlepoint.core.goal import Untargeted
    >>> x, goal = torch.full((1, 2), 0.5), Untargeted(torch.tensor([0]))
    >>> lean = Lean(nn.Linear(2, 2), x, goal, Linf(eps=0.1))
    >>> lean.value(torch.zeros(1, 2)).shape, lean.kept.tolist()
    (torch.Size([1]), [[0.0, 0.0]])
    """

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        goal: Goal,
        threat: T,
        loss: Loss | None = None,
        keep: Keep = "worst",
    ) -> None:
        self._model, self.x, self.goal, self.threat, self._keep = model, x, goal, threat, keep
        self._loss: Loss = loss or (CrossEntropy() if hasattr(goal, "label") else Margin())
        self._aim, self._kept = goal, _Kept(threat.start(x))
        self._own: tuple[Loss, Goal] = self._loss, goal

    @property
    def kept(self) -> Tensor:
        """(B, *P) the parameters to train on."""
        return self._kept.u

    @property
    def worst(self) -> Tensor:
        """(B, *P) the parameters kept so far."""
        return self._kept.u if self._inside is None else self._inside.worst

    @property
    def _least(self) -> Tensor:
        return torch.full((len(self.x),), -torch.inf, device=self.x.device)

    @property
    def clean(self) -> Tensor:
        """(B, K) scores of the unperturbed inputs; asked for only by attacks that rank targets."""
        scores: Tensor = self._scores(self.threat.start(self.x))
        return scores

    def _scores(self, u: Tensor) -> Any:  # noqa: ANN401 - whatever the model returns
        with without_graph(self.x.device.type):
            return widen(self._model(self.threat.apply(self.x, u)))

    def propose(self, u: Tensor) -> None:
        """Take u in without an answer."""
        self.value(u)

    def solved(self, u: Tensor) -> Tensor:
        """(B,) bool: whether u reaches the goal."""
        reached: Tensor = self.goal.margin(self._scores(u)) > 0
        return reached

    def value(self, u: Tensor) -> Tensor:
        """(B,) loss at u."""
        if self._keep == "last" and self._kept.climbed:
            self._kept.u = self._lifted(self._member(u))
            raise Exhausted
        out = self._scores(u)
        value = self._worth(out, u)
        self._offer(u, self._rank(out, u, value))
        return value

    def _rank(self, out: Any, u: Tensor, value: Tensor) -> Tensor:  # noqa: ANN401
        """(B,) what points are compared by: losses of several kinds have no common scale."""
        loss, goal = self._own
        same = self._aim is goal and self._loss == loss
        return value if same else self.aim(loss, goal)._worth(out, u)

    def value_and_grad(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) loss and (B, *P) gradient with respect to u alone, in one fused pass."""
        with torch.enable_grad():
            leaf = u.detach().requires_grad_()
            out = widen(self._model(self.threat.apply(self.x, leaf)))
            value = self._worth(out, leaf)
            g = _slope(value, leaf)
        value, self._kept.climbed = value.detach(), True
        if self._keep == "last":
            self._kept.u = self._lifted(self._member(u))
        else:
            with torch.no_grad():
                self._offer(u, self._rank(out, u, value))
        return value, g

    def _member(self, u: Tensor) -> Tensor:
        """U itself, or the member nearest to it where the attack leaves the set."""
        return self.threat.project(self.x, u) if self._roams else u

    def _offer(self, u: Tensor, value: Tensor) -> None:
        if self._roams:
            inside = self.threat.contains(self.x, u, MEMBER)
            value = torch.where(inside, value, -torch.inf)
            u = put(inside, u, self.worst)
        if self._inside is not None:
            self._inside.see(torch.ones_like(value, dtype=torch.bool), u, value)
        self._kept.offer(self._lifted(u), value)

    def narrow(self, eps: Tensor) -> Self:
        """Return the same rows with the set cut to the size eps (B,)."""
        threat = graded(self.threat)
        view: Any = copy.copy(self)
        view.threat = threat.at(torch.minimum(eps, radii(threat, self.x)))
        return view  # type: ignore[no-any-return]

    def closest(self) -> tuple[Tensor, Tensor]:
        """(B, *P) the start, and infinite sizes (B,): no break is ever noted beyond the set."""
        return self.threat.start(self.x), self.reached()

    def reached(self) -> Tensor:
        """(B,) infinite: training looks for the worst point, no break is ever noted."""
        return torch.full((len(self.x),), torch.inf, dtype=self.x.dtype, device=self.x.device)

    def shrink(self, *state: Any, at: float = 0.5) -> tuple[Any, ...]:  # noqa: ANN401
        """Every row stays open."""
        return (self, *state)


@contextlib.contextmanager
def without_graph(device: str) -> Iterator[None]:
    """``no_grad`` that is safe within autocast.

    Autocast keeps the weights it has cast for as long as its outermost context lasts; cast without
    a graph they would cut the outer pass off from the weights, which then never learn.
    """
    dtype, on = torch.get_autocast_dtype(device), torch.is_autocast_enabled(device)
    with torch.no_grad(), torch.autocast(device, dtype, on, cache_enabled=False):
        yield


def _slope(value: Tensor, u: Tensor) -> Tensor:
    # The weights may well have a gradient where the input has none.
    grads = torch.autograd.grad(value.sum(), u, allow_unused=True) if value.requires_grad else ()
    if not grads or grads[0] is None:
        raise Unsupported(
            "the model's output does not depend on its input by a differentiable path: "
            "train with an attack that needs scores only, such as WorstOf(k=10)"
        )
    return grads[0]


def widen(out: Any) -> Any:  # noqa: ANN401
    """Scores in float32 at least: losses lose their small values in less."""
    half = isinstance(out, Tensor) and out.dtype in (torch.bfloat16, torch.float16)
    return out.float() if half else out
