"""Adversarial weight perturbation: any objective, minimised where the weights are worst too."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.goal import Goal
from saddlepoint.core.loss import Loss
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import require_whole
from saddlepoint.train.bounded import bare
from saddlepoint.train.certified import certifies
from saddlepoint.train.device import processes
from saddlepoint.train.losses import Free, Madry, RobustLoss
from saddlepoint.train.worst import Worst

__all__ = ["AWP"]


@dataclass(frozen=True, repr=False)
class AWP:
    """max over ||v_l|| <= gamma ||w_l|| of loss(w + v), by one step per layer (2004.05884, §4).

    loss: the objective made flat. gamma: relative size of the perturbation. Matrices and kernels
    are perturbed, biases and scales are not. The worst inputs are searched once, at w; costs one
    more forward and backward pass. rows: how many samples of a batch the perturbation is found on,
    over all processes; the others are spared that pass, and the worst inputs of the whole batch are
    then searched at w + v. None, or more rows than there are: all of them, as in the paper.

    >>> AWP(gamma=0.01)
    AWP(Madry(), gamma=0.01)
    """

    loss: RobustLoss = field(default=Madry())
    gamma: float = 0.005
    rows: int | None = None

    def __repr__(self) -> str:
        tail = "" if self.gamma == 0.005 else f", gamma={self.gamma!r}"
        tail += "" if self.rows is None else f", rows={self.rows}"
        return f"AWP({self.loss!r}{tail})"

    def __post_init__(self) -> None:
        if not callable(self.loss) or isinstance(self.loss, Free):
            raise Invalid("loss", self.loss, "an objective other than Free, which takes many steps")
        if certifies(self.loss):
            raise Invalid("loss", self.loss, "an objective that asks the model, not bounds of it")
        if not isinstance(self.gamma, int | float) or not 0 < self.gamma < 1:
            raise Invalid("gamma", self.gamma, "a number in (0, 1)")
        if self.rows is not None:
            require_whole("rows", self.rows)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        """Return the objective at the perturbed weights; its gradient is that of the weights."""
        weights = [w for w in model.parameters() if w.requires_grad and w.dim() > 1]
        few = len(x) if self.rows is None else min(-(-self.rows // _world()), len(x))
        first = _Once(worst) if few == len(x) else worst.first(few)
        if not weights:
            return self.loss(model, x, y, worst)
        # What a layer that is not used contributes is zero, as in the outer gradient.
        loss = self.loss(bare(model), x[:few], y[:few], first)
        grads = _mean(torch.autograd.grad(loss, weights, materialize_grads=True), few)
        moved: dict[Tensor, Tensor] = {
            w: w + self.gamma * w.detach().norm() * g / (g.norm() + 1e-12)
            for w, g in zip(weights, grads, strict=True)
        }
        again = first if few == len(x) else _Elsewhere(worst, _Moved(bare(model), moved))
        return self.loss(_Moved(model, moved), x, y, again)


def _world() -> int:
    """How many processes share a batch; of n each has every n-th sample."""
    return torch.distributed.get_world_size() if _shared() else 1


def _shared() -> bool:
    """Whether torchrun's processes train together; a caller's own group is none of ours."""
    there = torch.distributed.is_available() and torch.distributed.is_initialized()
    return there and processes() > 1


def _mean(grads: tuple[Tensor, ...], rows: int) -> list[Tensor]:
    """Gradients of the mean over the batches of all processes, so that all perturb alike."""
    if not _shared():
        return list(grads)
    count = torch.tensor(float(rows), device=grads[0].device)
    torch.distributed.all_reduce(count)
    shares = [g * rows for g in grads]
    for share in shares:
        torch.distributed.all_reduce(share)
    return [share / count for share in shares]


class _Around:
    """What an objective may ask besides the worst inputs, of another that answers."""

    def __init__(self, worst: Worst) -> None:
        self._worst = worst

    @property
    def threat(self) -> ThreatModel:
        return self._worst.threat

    @property
    def draw(self) -> Draw:
        return self._worst.draw

    @property
    def memory(self) -> dict[str, Any]:
        return self._worst.memory

    @property
    def share(self) -> float:
        return self._worst.share

    def first(self, rows: int) -> Worst:
        return self._worst.first(rows)


class _Once(_Around):
    """Answers the first question, and then repeats the answer."""

    _answer: Tensor | None = None

    def __call__(
        self, model: nn.Module, x: Tensor, y: Tensor | Goal, loss: Loss | str | None = None, /
    ) -> Tensor:
        if self._answer is None:
            self._answer = self._worst(model, x, y, loss)
        return self._answer


class _Elsewhere(_Around):
    """Searches at a model of its own, not behind Fabric, which a search must not wake."""

    def __init__(self, worst: Worst, model: nn.Module) -> None:
        super().__init__(worst)
        self._model = model

    def __call__(
        self, model: nn.Module, x: Tensor, y: Tensor | Goal, loss: Loss | str | None = None, /
    ) -> Tensor:
        return self._worst(self._model, x, y, loss)


class _Moved(nn.Module):
    """The model with other weights; the original ones stay where they are."""

    def __init__(self, model: nn.Module, weights: Mapping[Tensor, Tensor]) -> None:
        super().__init__()
        self.model, self.training = model, model.training
        # Every place that holds a weight, once: tied weights move together, and a module that is
        # reached by two paths (behind Fabric: all) is not put back from its own replacement.
        self._weights = {
            f"{path}.{name}".lstrip("."): weights[w]
            for path, part in model.named_modules()
            for name, w in part.named_parameters(recurse=False, remove_duplicate=False)
            if w in weights
        }

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = functional_call(self.model, self._weights, (x,), tie_weights=False)
        return out
