"""Bounds of a model in training: its network, and how bad its logits may become within a box."""

import contextlib
import math
from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from saddlepoint.core.errors import Unsupported
from saddlepoint.core.threat import ThreatModel
from saddlepoint.train.known import Known
from saddlepoint.train.lean import evaluating
from saddlepoint.train.worst import Worst
from saddlepoint.verify.ibp import ibp, upper
from saddlepoint.verify.interval import Interval
from saddlepoint.verify.network import Network
from saddlepoint.verify.planes import least, lower_rows
from saddlepoint.verify.region import Box
from saddlepoint.verify.spec import Spec, margins
from saddlepoint.verify.tracing import trace

__all__ = [
    "bare",
    "box",
    "certified",
    "check_box",
    "crown_ibp_rows",
    "ibp_rows",
    "live",
    "network",
    "worst_ce",
]

_TOLERANCE = 1e-4
_BATCH = 256


def bare(model: nn.Module) -> nn.Module:
    """The module behind Fabric, which lets no gradient pass but the one that is learnt from."""
    from lightning_fabric import is_wrapped

    return cast(nn.Module, model.module) if is_wrapped(model) else model


def check_box(threat: ThreatModel) -> None:
    """Raise ``Unsupported`` for a set that is no box."""
    if not getattr(threat, "is_box", False):
        raise Unsupported(
            f"{threat}: certified training propagates boxes, and this set is none. Train within "
            "Linf, or with an objective that asks an attack, such as madry"
        )


def box(threat: ThreatModel, x: Tensor) -> Interval:
    """The box of all members around x (B, *F)."""
    check_box(threat)
    return Interval(*threat.hull(x))  # type: ignore[attr-defined]


def network(model: nn.Module, x: Tensor, worst: Worst) -> Network:
    """Network of ``model``, traced once per epoch and kept in the memory of ``worst``."""
    if "network" not in worst.memory:
        worst.memory["network"] = live(bare(model), tuple(x.shape[1:]))
    return cast(Network, worst.memory["network"])


def live(model: nn.Module, shape: tuple[int, ...]) -> Network:
    """Trace ``model`` for inputs (B, *shape), in eval mode, and see that it follows its weights.

    Operators refer to the weights themselves, which gives bounds their gradients. To weights that
    the model computes from others (weight norm) bounds would be blind: ``Unsupported``, as for what
    cannot be traced. For the test every weight is moved, and put back.
    """
    model = cast(nn.Module, getattr(model, "_orig_mod", model))  # behind torch.compile
    kind = next(model.parameters()).device.type
    # In float32 even within a step of mixed precision, whose rounding would be taken for blindness.
    with evaluating(model), torch.no_grad(), torch.autocast(kind, enabled=False):
        found = trace(model, shape)
        with _moved([p for p in model.parameters() if p.requires_grad]) as like:
            x = torch.linspace(0, 1, 2 * math.prod(shape), device=like.device, dtype=like.dtype)
            x = x.reshape(2, *shape)
            ours, theirs = found.forward(x), model(x)
    if not float((ours - theirs).abs().max()) <= _TOLERANCE * max(1.0, float(theirs.abs().max())):
        raise Unsupported(
            "the model computes weights from other weights (weight norm and the like), or is built "
            "anew by each call: bounds would not learn them; take a model of plain layers"
        )
    return found


@contextlib.contextmanager
def _moved(weights: list[nn.Parameter]) -> Iterator[Tensor]:
    """Other values for a while, then the old ones bit by bit; yields one of the tensors."""
    # Not seen by autograd: what a graph has saved of them is the same again afterwards.
    before = [w.data.clone() for w in weights]
    try:
        for w in weights:
            w.data.mul_(1.1).add_(0.01 * w.data.abs().mean() + 1e-3)
        yield weights[0].data
    finally:
        for w, old in zip(weights, before, strict=True):
            w.data.copy_(old)


def ibp_rows(net: Network, within: Interval, y: Tensor) -> Tensor:
    """(B, K - 1) upper bounds of z_k - z_y, k != y, by intervals, last layer merged."""
    return upper(net, ibp(net, within), _spec(net, within, y))


def crown_ibp_rows(net: Network, within: Interval, y: Tensor) -> tuple[Tensor, Tensor]:
    """(B, K - 1) the same, by a backward pass over intervals (1906.06316, §3.2), and by intervals.

    Lines that replace the activations take their intervals from the forward pass.
    """
    found, spec = ibp(net, within), _spec(net, within, y)
    read = {net.nodes[n].inputs[0] for n in net.relaxed}
    rows = lower_rows(net, spec.weight)
    low = least(net, Box(*within), net.output, rows, {n: found[n] for n in read})
    return spec.offset - low, upper(net, found, spec)


def _spec(net: Network, within: Interval, y: Tensor) -> Spec:
    return margins(Known(y), net.nodes[-1].shape.numel(), within.low)


def worst_ce(rows: Tensor) -> Tensor:
    """Cross-entropy where every margin z_k - z_y takes its upper bound, a scalar in nats.

    >>> worst_ce(torch.zeros(1, 1))
    tensor(0.6931)
    """
    return torch.cat([rows.new_zeros(len(rows), 1), rows], 1).logsumexp(1).mean()


def certified(model: nn.Module, x: Tensor, y: Tensor, threat: ThreatModel) -> Tensor:
    """(B,) bool: intervals prove, up to rounding in float32, that nothing in threat(x) leaves y.

    >>> from saddlepoint import Linf
    >>> net = nn.Linear(2, 2)
    >>> with torch.no_grad():
    ...     net.weight.copy_(torch.eye(2)), net.bias.zero_()
    (Parameter...
    >>> x, y = torch.tensor([[0.9, 0.1], [0.6, 0.5]]), torch.tensor([0, 0])
    >>> certified(net, x, y, Linf(eps=0.3))
    tensor([ True, False])
    """
    net = live(model, tuple(x.shape[1:]))
    parts = zip(torch.split(x, _BATCH), torch.split(y, _BATCH), strict=True)
    with torch.no_grad():
        worst = [ibp_rows(net, box(threat, few), label).amax(1) for few, label in parts]
    return torch.cat(worst) < 0
