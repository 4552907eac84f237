"""What training minimises: each objective is a few lines over ``Worst``."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.goal import Goal, hide
from saddlepoint.core.spec import compact
from saddlepoint.core.whole import require_whole
from saddlepoint.train.known import Known
from saddlepoint.train.lean import evaluating, widen, without_graph
from saddlepoint.train.worst import Worst

__all__ = ["MART", "TRADES", "Divergence", "Free", "Madry", "Natural", "RobustLoss"]

RobustLoss = Callable[[nn.Module, Tensor, Tensor, Worst], Tensor]
"""Model, x, y and the inner maximum to a scalar, to be minimised."""


def _check_smoothing(value: float) -> None:
    if not isinstance(value, int | float) or not 0 <= value < 1:
        raise Invalid("label_smoothing", value, "a number in [0, 1)")


def _check_positive(name: str, value: float) -> None:
    if not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise Invalid(name, value, "a finite number above 0")


@dataclass(frozen=True, repr=False)
class Natural:
    """CE(model(x), y): the loss at the sample itself; the adversary is not asked.

    label_smoothing: the share of the label's mass that is spread over all classes (1512.00567, §7).

    >>> import torch
    >>> x, y = torch.zeros(1, 2), torch.tensor([0])
    >>> Natural()(nn.Identity(), x, y, lambda model, x, y, loss=None: x)
    tensor(0.6931)
    """

    label_smoothing: float = 0.0

    __repr__ = compact

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        """Return the mean over the batch, a scalar in nats."""
        return functional.cross_entropy(widen(model(x)), y, label_smoothing=self.label_smoothing)


@dataclass(frozen=True, repr=False)
class Madry:
    """CE(model(worst(x)), y): the loss at the worst input found (1706.06083, eq. 2.1).

    What is called fast training (2001.03994) is this with ``PGD(steps=1, step_size=1.25)`` as the
    attack, N-FGSM (2202.01181) with ``NFGSM()``, worst-of-k (1712.02779) with ``WorstOf(k=10)``.
    label_smoothing: applied in the outer minimum only; the adversary sees the hard label.

    >>> import torch
    >>> x, y = torch.zeros(1, 2), torch.tensor([0])
    >>> Madry()(nn.Identity(), x, y, lambda model, x, y, loss=None: x + torch.tensor([0.0, 1.0]))
    tensor(1.3133)
    """

    label_smoothing: float = 0.0

    __repr__ = compact

    def __post_init__(self) -> None:
        _check_smoothing(self.label_smoothing)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        """Return the mean over the batch, a scalar in nats."""
        x_adv = worst(model, x, y)
        out = widen(model(x_adv))
        return functional.cross_entropy(out, y, label_smoothing=self.label_smoothing)


@dataclass(frozen=True, eq=False)
class _Away(Known):
    """Leave the label; remembers the clean prediction of each row through ``shrink``."""

    log_p: Tensor

    def __getitem__(self, keep: Tensor) -> "_Away":
        return replace(self, label=self.label[keep], log_p=self.log_p[keep])


@dataclass(frozen=True)
class Divergence:
    """KL(p(x) || p(x_adv)) of the clean prediction, held fixed, to the perturbed one, (B,)."""

    def __call__(self, out: Tensor, goal: Goal) -> Tensor:
        """Return (B,) in nats."""
        if not isinstance(goal, _Away):
            raise Unsupported("TRADES leaves the clean prediction: Targets(…) has no part in it")
        return _kl(goal.log_p, out.log_softmax(1))


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """(B,) KL(p || q)."""
    return functional.kl_div(log_q, log_p, log_target=True, reduction="none").sum(1)


@dataclass(frozen=True, repr=False)
class TRADES:
    """CE(model(x), y) + beta · max KL(p(x) || p(x_adv)): accuracy and stability, traded by beta.

    The inner attack climbs the divergence and not the loss; it wants a random start, as the
    gradient of the divergence is zero at x. Source: 1901.08573, eq. 5. label_smoothing: of the
    first term.

    >>> import torch
    >>> x, y = torch.zeros(1, 2), torch.tensor([0])
    >>> moved = lambda model, x, y, loss=None: x + torch.tensor([0.0, 1.0])
    >>> TRADES(beta=6.0)(nn.Identity(), x, y, moved)
    tensor(1.4138)
    """

    beta: float = 6.0
    label_smoothing: float = 0.0

    __repr__ = compact

    def __post_init__(self) -> None:
        _check_positive("beta", self.beta)
        _check_smoothing(self.label_smoothing)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        """Return the mean over the batch, a scalar in nats."""
        with evaluating(model), without_graph(x.device.type):
            held = widen(model(x)).log_softmax(1)
        x_adv = worst(model, x, _Away(y, held), Divergence())
        # One pass over both halves: batch norm then sees clean and perturbed inputs together.
        clean, moved = widen(model(torch.cat([x, x_adv]))).chunk(2)
        first = functional.cross_entropy(clean, y, label_smoothing=self.label_smoothing)
        return first + self.beta * _kl(clean.log_softmax(1), moved.log_softmax(1)).mean()


@dataclass(frozen=True, repr=False)
class MART:
    """BCE(p(x_adv), y) + beta · KL(p(x) || p(x_adv)) · (1 - p_y(x)): errors weigh more.

    BCE = -log p_y - log(1 - max_{k != y} p_k), both at x_adv. Source: Wang et al., "Improving
    adversarial robustness requires revisiting misclassified examples", ICLR 2020, eq. 11.

    >>> import torch
    >>> x, y = torch.zeros(1, 2), torch.tensor([0])
    >>> MART(beta=5.0)(nn.Identity(), x, y, lambda model, x, y, loss=None: x)
    tensor(1.3863)
    """

    beta: float = 5.0

    __repr__ = compact

    def __post_init__(self) -> None:
        _check_positive("beta", self.beta)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        """Return the mean over the batch, a scalar in nats."""
        x_adv = worst(model, x, y)
        clean, moved = widen(model(torch.cat([x, x_adv]))).log_softmax(1).chunk(2)
        rival = hide(moved, y).amax(1)
        bce = functional.nll_loss(moved, y) - torch.log(-torch.expm1(rival.clamp(max=-1e-6))).mean()
        unsure = 1 - clean.gather(1, y[:, None])[:, 0].exp()
        loss: Tensor = bce + self.beta * (_kl(clean, moved) * unsure).mean()
        return loss


@dataclass(frozen=True, repr=False)
class Free:
    """CE at a perturbation that each backward pass moves along, for free (1904.12843, alg. 1).

    Every batch is trained on ``replays`` times in a row; the pass that updates the weights also
    yields the gradient of the perturbation, which is carried to the next replay and to the next
    batch. The plan's attack is not asked. step_size: in radii. Divide the epochs by ``replays`` to
    keep the cost of natural training.

    >>> Free(replays=4)
    Free(replays=4)
    """

    replays: int = 8
    step_size: float = 1.0

    __repr__ = compact

    def __post_init__(self) -> None:
        require_whole("replays", self.replays)
        _check_positive("step_size", self.step_size)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        """Return the mean over the batch, a scalar in nats; its gradient moves the perturbation."""
        threat, memory = worst.threat, worst.memory
        fresh = threat.start(x)
        kept = memory.get("u", fresh)[: len(x)]
        u = threat.project(x, torch.cat([kept, fresh[len(kept) :]])).requires_grad_()
        at = u.detach()  # a hook that holds u itself would keep both alive, in a circle

        def climb(g: Tensor) -> None:
            step = threat.steepest(x, at, g) * self.step_size
            memory["u"] = threat.project(x, at + step).detach()

        u.register_hook(climb)  # type: ignore[no-untyped-call]
        return functional.cross_entropy(widen(model(threat.apply(x, u))), y)
