"""Objectives whose minimum can be certified: the worst case is bounded, and not searched for."""

from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional

from saddlepoint.core.errors import Invalid
from saddlepoint.core.spec import compact
from saddlepoint.train.bounded import box, crown_ibp_rows, ibp_rows, network, worst_ce
from saddlepoint.train.lean import widen
from saddlepoint.train.worst import Worst
from saddlepoint.verify.interval import Interval

__all__ = ["CROWNIBP", "IBP", "MTLIBP", "SABR", "Certified", "certifies", "small_box"]


def _check_share(name: str, value: float, least: float = 0.0) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and least <= value <= 1):
        raise Invalid(name, value, f"a number in [{least:g}, 1]")


def _toward(end: float, share: float) -> float:
    """From 1 to ``end`` while the radius grows from 0 to its own."""
    return 1 + (end - 1) * share


def _full(x: Tensor) -> Any:  # noqa: ANN401 - a context manager
    """Bounds in float32 at least: what bfloat16 rounds off would be lost from the bound."""
    return torch.autocast(x.device.type, enabled=False)


@dataclass(frozen=True, repr=False)
class IBP:
    """k CE(z(x), y) + (1 - k) CE(z*, y), z* the worst logits by intervals (1810.12715, eq. 10).

    z* lets every margin z_k - z_y take its upper bound over the set, the last layer merged into it.
    k falls from 1 to ``kappa`` while the plan's ``eps_ramp`` lets the radius grow; a run without a
    ramp rarely learns anything. No attack is asked. The set must be a box. Bounds take dropout as
    off and batch norm with its running statistics, which the pass at x updates.

    >>> IBP(kappa=0.3)
    IBP(kappa=0.3)
    """

    kappa: float = 0.5

    __repr__ = compact

    def __post_init__(self) -> None:
        _check_share("kappa", self.kappa)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        """Return the mean over the batch, a scalar in nats."""
        net, k = network(model, x, worst), _toward(self.kappa, worst.share)
        # Asked even where k = 0: it wakes the averaging of gradients between processes.
        clean = functional.cross_entropy(widen(model(x)), y)
        with _full(x):
            sure = worst_ce(ibp_rows(net, box(worst.threat, x), y))
        return k * clean + (1 - k) * sure


@dataclass(frozen=True, repr=False)
class CROWNIBP:
    """As ``IBP``, with margins bounded by b CROWN-IBP + (1 - b) IBP (1906.06316, eq. 12).

    CROWN-IBP bounds the last layer by one backward pass over interval bounds of the others: tighter
    while the radius is small, which starts training well. b falls from 1 to ``beta`` as k does to
    ``kappa``. The backward pass costs as much as K - 1 more passes of the whole net.

    >>> CROWNIBP(kappa=0.0)
    CROWNIBP(kappa=0.0)
    """

    kappa: float = 0.5
    beta: float = 0.0

    __repr__ = compact

    def __post_init__(self) -> None:
        _check_share("kappa", self.kappa)
        _check_share("beta", self.beta)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        """Return the mean over the batch, a scalar in nats."""
        net, k = network(model, x, worst), _toward(self.kappa, worst.share)
        b = _toward(self.beta, worst.share)
        clean = functional.cross_entropy(widen(model(x)), y)
        with _full(x):
            within = box(worst.threat, x)
            if b:
                backward, forward = crown_ibp_rows(net, within, y)
                rows = b * backward + (1 - b) * forward
            else:
                rows = ibp_rows(net, within, y)
        return k * clean + (1 - k) * worst_ce(rows)


@dataclass(frozen=True, repr=False)
class SABR:
    """CE of the worst logits over a small box around an adversarial point (2210.04871, §3).

    The box has ``ratio`` times the widths of the whole one, and is moved inside it, so that ratio 1
    is IBP without its clean part; smaller ones fit better and are proved by stronger bounds only.
    The plan's attack finds the point. kappa: share of CE(z(x), y) at the end, as for ``IBP``.

    >>> SABR(ratio=0.6)
    SABR(ratio=0.6)
    """

    ratio: float = 0.4
    kappa: float = 0.0

    __repr__ = compact

    def __post_init__(self) -> None:
        _check_share("ratio", self.ratio)
        _check_share("kappa", self.kappa)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        """Return the mean over the batch, a scalar in nats."""
        net, k = network(model, x, worst), _toward(self.kappa, worst.share)
        x_adv = worst(model, x, y)
        clean = functional.cross_entropy(widen(model(x)), y)
        with _full(x):
            sure = worst_ce(ibp_rows(net, small_box(box(worst.threat, x), x_adv, self.ratio), y))
        return k * clean + (1 - k) * sure


def small_box(whole: Interval, point: Tensor, ratio: float) -> Interval:
    """The box of ``ratio`` times the widths of ``whole``, inside it and as near to point as can be.

    >>> whole = Interval(torch.tensor([[0.0]]), torch.tensor([[1.0]]))
    >>> small_box(whole, torch.tensor([[0.9]]), 0.5)
    Interval(low=tensor([[0.5000]]), high=tensor([[1.]]))
    """
    radius = whole.width * (ratio / 2)
    centre = torch.minimum(torch.maximum(point, whole.low + radius), whole.high - radius)
    return Interval(centre - radius, centre + radius)


@dataclass(frozen=True, repr=False)
class MTLIBP:
    """(1 - a) CE(z(x_adv), y) + a CE(z*, y): two tasks, one adversarial, one IBP (2305.13991, §4).

    alpha: the weight of the bound, from 0 (``Madry``) to 1 (IBP without its clean part). The plan's
    attack finds x_adv; the radius of both grows with the plan's ``eps_ramp``.

    >>> MTLIBP(alpha=0.5)
    MTLIBP()
    """

    alpha: float = 0.5

    __repr__ = compact

    def __post_init__(self) -> None:
        _check_share("alpha", self.alpha)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        """Return the mean over the batch, a scalar in nats."""
        net = network(model, x, worst)
        searched = functional.cross_entropy(widen(model(worst(model, x, y))), y)
        with _full(x):
            sure = worst_ce(ibp_rows(net, box(worst.threat, x), y))
        return (1 - self.alpha) * searched + self.alpha * sure


Certified = IBP | CROWNIBP | SABR | MTLIBP


def certifies(loss: object) -> TypeGuard[Certified]:
    """Whether ``loss`` minimises a bound, so that epochs are compared by what can be proved.

    >>> certifies(IBP()), certifies("madry")
    (True, False)
    """
    return isinstance(loss, Certified)
