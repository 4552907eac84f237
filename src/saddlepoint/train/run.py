"""Epochs of steps: what stays the same while a run lasts, and how it may end."""

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.loss import Loss
from saddlepoint.train.checkpoint import Folder, State
from saddlepoint.train.device import launch
from saddlepoint.train.history import Epoch
from saddlepoint.train.measure import measure
from saddlepoint.train.plan import TrainPlan
from saddlepoint.train.progress import Display
from saddlepoint.train.samples import Batch, Samples
from saddlepoint.train.schedule import factor
from saddlepoint.train.worst import Inner

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Diverged", "Run"]


class Diverged(RuntimeError):
    """The loss or the weights stopped being finite; the last good epoch is kept."""


@dataclass(frozen=True, eq=False)
class Run:
    """A model in training. ``model`` is ``bare`` behind Fabric's precision and processes."""

    samples: Samples
    folder: Folder
    fabric: "Fabric"
    bare: nn.Module
    model: nn.Module
    optimizer: torch.optim.Optimizer
    inner: Inner

    @classmethod
    def start(
        cls, model: nn.Module, samples: Samples, folder: Folder, device: str, state: State
    ) -> "Run":
        """Claim the folder, take the device, and load what an earlier run left."""
        plan = samples.plan
        fabric = launch(device, plan.precision)
        mine = (plan.key(), samples.sha256)
        if (
            fabric.broadcast(mine) != mine
        ):  # also: all have looked into the folder before one writes
            raise Invalid(
                "plan", f"<in process {fabric.global_rank}>", "the same, on the same data"
            )
        if fabric.is_global_zero:
            folder.claim()
        bare = model.to(fabric.device)
        if state.resume:
            bare.load_state_dict(state.resume["model"])
        optimizer = _optimizer(plan, bare)
        if state.resume:
            optimizer.load_state_dict(state.resume["optimizer"])
        wrapped = fabric.setup_module(bare)
        inner = Inner(plan.threat, plan.attack, precision=plan.precision)
        return cls(samples.to(fabric.device), folder, fabric, bare, wrapped, optimizer, inner)

    @property
    def plan(self) -> TrainPlan:
        """What is computed."""
        return self.samples.plan

    def finish(self, state: State, to: Display, on_epoch: Callable[[Epoch], None] | None) -> State:
        """Run the epochs that are left; say in the folder how it ended."""
        try:
            for number in range(len(state.history) + 1, self.plan.epochs + 1):
                state = self._save(state, self._epoch(number, to))
                to.epoch(state.history[-1])
                if on_epoch is not None:
                    on_epoch(state.history[-1])
        except KeyboardInterrupt as stop:
            said = f"stopped: {self._kept(state)}; the same command continues from there"
            self._mark_failed(state, "interrupted")
            to.say(said)
            stop.args = (said,)
            raise
        except Diverged as error:
            self._mark_failed(state, "diverged")
            hint = "a smaller lr usually helps (another plan wants another --out)"
            raise Diverged(f"{error}; {self._kept(state)}; {hint}") from None
        except Exception:
            self._mark_failed(state, "interrupted")
            raise
        if self.fabric.is_global_zero:
            self.folder.mark(state, "complete")
        return state

    def _kept(self, state: State) -> str:
        done = f"epoch {len(state.history)} of {self.plan.epochs} was the last to be completed"
        if not state.history:
            return "no epoch was completed"
        return f"{done}, the best so far ({state.best_epoch}) is in {self.folder.weights}"

    def _mark_failed(self, state: State, status: str) -> None:
        with contextlib.suppress(OSError):  # a full disk is the likely cause of being here
            if self.fabric.is_global_zero:
                self.folder.mark(state, status)

    # -- one epoch -----------------------------------------------------------------------------

    def _epoch(self, number: int, to: Display) -> Epoch:
        begin, fabric, total = time.monotonic(), self.fabric, 0.0
        # Dropout and the like draw from the global stream: seeding it anew makes each epoch a
        # function of the weights it starts from, which is what continuing needs.
        torch.manual_seed((self.plan.seed * 1_000_003 + number) % (1 << 63) + fabric.global_rank)
        self.bare.train()
        batches = self.samples.batches(number, fabric.global_rank, fabric.world_size)
        for k, batch in enumerate(batches):
            loss = self._step(number, k, batch)
            total += loss
            to.step(loss)
        if not all(bool(p.isfinite().all()) for p in self.bare.parameters()):
            raise Diverged(f"weights are no longer finite after epoch {number}")
        clean, robust = measure(self.bare, self.samples)
        lr, seconds = self.optimizer.param_groups[0]["lr"], time.monotonic() - begin
        return Epoch(number, total / self.samples.steps, clean, robust, lr, round(seconds, 2))

    def _step(self, number: int, k: int, batch: Batch) -> float:
        plan, steps = self.plan, self.samples.steps
        at = (number - 1) * steps + k
        for group in self.optimizer.param_groups:
            group["lr"] = plan.lr * factor(plan.schedule, at, steps * plan.epochs)
        loss = plan.objective(self.model, batch.x, batch.y, self._worst(number, batch))
        # The mean over processes, so that all of them see a loss that is not finite and stop.
        mean = self.fabric.all_reduce(loss.detach() * batch.weight)
        value = float(mean)  # type: ignore[arg-type]
        if not math.isfinite(value):
            raise Diverged(
                f"the loss is {value} in epoch {number}, step {k + 1} of {steps}, at lr "
                f"{self.optimizer.param_groups[0]['lr']:.3g}"
            )
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss * batch.weight)
        self.optimizer.step()
        return value

    def _worst(self, number: int, batch: Batch) -> Callable[..., Tensor]:
        """The adversary of this batch: its randomness is bound to seed, samples and epoch."""
        draw = Draw.of(self.plan.seed, batch.ids).tag("inner", number)

        def worst(
            model: nn.Module, x: Tensor, y: Tensor, loss: Loss | str | None = None, /
        ) -> Tensor:
            # The search brings its own precision, and must not wake what averages gradients
            # between processes: it asks the model behind the wrapper.
            return self.inner(self.bare if model is self.model else model, x, y, loss, draw=draw)

        return worst

    def _save(self, state: State, row: Epoch) -> State:
        """Add the epoch to the run and to the folder."""
        history = (*state.history, row)
        best = max(history, key=lambda e: (self._merit(e), e.epoch)).epoch
        resume = {"model": self.bare.state_dict(), "optimizer": self.optimizer.state_dict()}
        state = State(history, best, resume)
        if self.fabric.is_global_zero:
            self.folder.save(state, best == row.epoch)
        return state

    def _merit(self, row: Epoch) -> tuple[float, float]:
        both = (row.robust, row.clean)
        return both[::-1] if self.plan.natural else both


def _optimizer(plan: TrainPlan, model: nn.Module) -> torch.optim.Optimizer:
    weights = [p for p in model.parameters() if p.requires_grad]
    if plan.optimizer == "adam":
        return torch.optim.Adam(weights, lr=plan.lr, weight_decay=plan.weight_decay)
    return torch.optim.SGD(
        weights, lr=plan.lr, momentum=plan.momentum, weight_decay=plan.weight_decay
    )
