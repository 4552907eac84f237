"""One epoch of steps: the loss at the worst inputs, its gradient, and the update."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.layout import channels_last
from saddlepoint.train.plan import TrainPlan
from saddlepoint.train.progress import Display
from saddlepoint.train.samples import Batch, Samples
from saddlepoint.train.schedule import factor
from saddlepoint.train.sharding import whole
from saddlepoint.train.worst import Adversary, Inner

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from saddlepoint.train.average import Average

__all__ = ["Diverged", "Learner"]

FLUSH = 20  # steps between looks at the losses; each look waits for a GPU to finish


class Diverged(RuntimeError):
    """The loss or the weights stopped being finite; the last good epoch is kept."""

    hint = "a smaller lr usually helps (another plan wants another --out)"


@dataclass(frozen=True, eq=False)
class Learner:
    """What changes in a step. ``model`` is ``asked`` behind Fabric's precision and processes.

    bare: the caller's module. asked: the same, compiled where that is wanted; the inner attack asks
    it. mean: the running average of ``bare``, or None. whole: None; where weights are sharded,
    ``bare`` is a sharded copy of the caller's module, and this is the module. last: whether batches
    are laid out channels-last, as the weights are. still: names of the parts that stay in eval
    mode, as they came in a model that was otherwise in train mode. masks: numbers of the buffers
    that were not finite when the model came, and may stay so.
    """

    plan: TrainPlan
    fabric: "Fabric"
    bare: nn.Module
    asked: nn.Module
    model: nn.Module
    optimizer: torch.optim.Optimizer
    mean: "Average | None"
    whole: nn.Module | None = None
    last: bool = True
    still: tuple[str, ...] = ()
    masks: frozenset[int] = frozenset()
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def result(self) -> nn.Module:
        """The model that is measured and kept."""
        learnt = self.bare if self.whole is None else self.whole
        return learnt if self.mean is None else self.mean.module

    @property
    def sharded(self) -> bool:
        """Whether each process holds a part of every weight."""
        return self.whole is not None

    def epoch(self, number: int, inner: Inner, samples: Samples, to: Display) -> float:
        """Run epoch ``number`` from 1; return the mean loss. Raises ``Diverged``."""
        fabric, steps = self.fabric, samples.steps * self.plan.replays
        self.memory.clear()
        self.bare.train()
        for name in self.still:
            self.bare.get_submodule(name).training = False
        batches = samples.batches(number, fabric.global_rank, fabric.world_size)
        again = (b for b in batches for _ in range(self.plan.replays))
        losses: list[Tensor] = []
        done: list[float] = []
        for k, batch in enumerate(again):
            losses.append(self._step(number, (number - 1) * steps + k, steps, batch, inner))
            if len(losses) == FLUSH or k == steps - 1 or fabric.device.type == "cpu":
                done += self._finite(losses, f"epoch {number}", len(done), steps)
                to.step(done[-1], len(losses))
                losses.clear()
        if not self._sound():
            raise Diverged(f"weights are no longer finite after epoch {number}")
        self._agree()
        return sum(done) / len(done)

    @contextlib.contextmanager
    def _autocast(self) -> Iterator[None]:
        """One cast of the weights serves the search and the pass that learns.

        Not where weights are sharded: the cast would outlive the weights that it was made of, which
        are put together anew for each pass, and these would not learn.
        """
        with self.fabric.autocast(), contextlib.ExitStack() as inside:
            if self.sharded:
                kind = self.fabric.device.type
                dtype, on = torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)
                inside.enter_context(torch.autocast(kind, dtype, on, cache_enabled=False))
            yield

    def _sound(self) -> bool:
        """Whether weights and statistics are finite; sharded ones, in all processes."""
        modules = [self.bare] if self.mean is None else [self.bare, self.mean.module]
        weights = [p for m in modules for p in m.parameters()]
        buffers = [b for m in modules for k, b in enumerate(m.buffers()) if k not in self.masks]
        tensors = (t for t in (*weights, *buffers) if t.is_floating_point())
        parts = (getattr(t, "to_local", lambda t=t: t)() for t in tensors)
        bad = sum(int(not p.isfinite().all()) for p in parts)
        total: Any = self.fabric.all_reduce(
            torch.tensor(float(bad), device=self.fabric.device), reduce_op="sum"
        )
        return float(total) == 0

    def _agree(self) -> None:
        """Give all processes the batch statistics of the first, and the result its weights."""
        if self.fabric.world_size > 1:
            averages = [] if self.mean is None else [self.mean.module]
            for buffer in (b for module in (self.bare, *averages) for b in module.buffers()):
                first = buffer.contiguous()
                torch.distributed.broadcast(first, 0)
                buffer.copy_(first)
        if self.whole is not None:
            self.whole.load_state_dict(whole(self.bare.state_dict()))

    def _finite(self, losses: list[Tensor], when: str, done: int, steps: int) -> list[float]:
        # The mean over processes, so that all of them see a loss that is not finite and stop.
        mean: Any = self.fabric.all_reduce(torch.stack(losses))
        values: list[float] = mean.tolist()
        for k, value in enumerate(values):
            if not math.isfinite(value):
                lr = self.optimizer.param_groups[0]["lr"]
                where = f"{when}, step {done + k + 1} of {steps}"
                raise Diverged(f"the loss is {value} in {where}, at lr {lr:.3g}")
        return values

    def _step(self, number: int, at: int, steps: int, batch: Batch, inner: Inner) -> Tensor:
        plan, fabric = self.plan, self.fabric
        for group in self.optimizer.param_groups:
            group["lr"] = plan.lr * factor(plan.schedule, at, steps * plan.epochs)
        ramp = plan.eps_ramp * steps * plan.epochs
        share = (at + 1) / ramp if at + 1 < ramp else 1.0
        if share < 1:
            inner = replace(inner, threat=smaller(plan, share))
        draw = Draw.of(plan.seed, batch.ids).tag("inner", number, at if plan.replays > 1 else 0)
        worst = Adversary(inner, draw, self.asked, self.model, self.memory, share)
        x = channels_last(batch.x) if self.last else batch.x.contiguous()
        with self._autocast():
            loss = _checked(plan.objective(self.model, x, batch.y, worst), plan)
        self.optimizer.zero_grad(set_to_none=True)
        mine = loss if batch.weight == 1 else loss * batch.weight
        fabric.backward(mine)
        self.optimizer.step()
        if self.mean is not None:
            self.mean.update_parameters(self.bare)
        return mine.detach()


def _checked(loss: Any, plan: TrainPlan) -> Tensor:  # noqa: ANN401 - an objective may be anyone's
    """Return the loss; raise ``Invalid`` for what cannot be minimised."""
    allowed = "an objective that returns one number, a tensor of shape () with a gradient"
    if not isinstance(loss, Tensor):
        raise Invalid("loss", plan.loss, allowed, f"it returned a {type(loss).__name__}")
    if loss.dim() or not loss.is_floating_point():
        what = f"it returned {loss.dtype} of shape {tuple(loss.shape)}; .mean() makes one number"
        raise Invalid("loss", plan.loss, allowed, what)
    if not loss.requires_grad:
        raise Invalid("loss", plan.loss, allowed, "what it returned does not depend on the weights")
    return loss


def smaller(plan: TrainPlan, share: float) -> Any:  # noqa: ANN401 - the plan's own kind of set
    """Return the plan's set with that share of its radius."""
    threat: Any = plan.threat  # the plan has seen to it that it has a radius
    return threat.at(threat.eps * share)
