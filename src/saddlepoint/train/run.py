"""Epochs of a run: what stays the same while it lasts, and how it may end."""

import contextlib
import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.core.interrupts import interrupts, told
from saddlepoint.core.target import as_target
from saddlepoint.train.assemble import assemble, check_compiler
from saddlepoint.train.checkpoint import Folder, State
from saddlepoint.train.device import launch
from saddlepoint.train.guard import Event, collapsed, escalated, own_attack, stronger
from saddlepoint.train.history import Epoch
from saddlepoint.train.losses import Free
from saddlepoint.train.measure import measure, proved
from saddlepoint.train.plan import TrainPlan
from saddlepoint.train.progress import Display
from saddlepoint.train.samples import Samples
from saddlepoint.train.sharding import check_sharded
from saddlepoint.train.snapshot import put_back, taken
from saddlepoint.train.step import Diverged, Learner
from saddlepoint.train.worst import Inner

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Collapsed", "Run"]


class Collapsed(Diverged):
    """Robustness collapsed under the strongest inner attack that the guard knows."""

    hint = "train with more steps, NFGSM() or a smaller lr (another plan wants another --out)"

    def __init__(self, event: Event) -> None:
        super().__init__(str(event))
        self.event = event


@dataclass(frozen=True, eq=False)
class Run:
    """A model in training, the data it learns from, and the folder that remembers."""

    samples: Samples
    folder: Folder
    learner: Learner

    @classmethod
    def start(
        cls,
        model: nn.Module,
        samples: Samples,
        folder: Folder,
        device: str,
        state: State,
        held: contextlib.ExitStack,
        compiled: bool = False,
        strategy: str = "auto",
    ) -> "Run":
        """Claim the folder, take the device, and load what an earlier run left.

        held: keeps the folder from other processes for as long as it is open. Raises ``Invalid`` in
        all processes when one of them has been asked for something else.
        """
        plan = samples.plan
        sharded = strategy == "fsdp"
        if sharded:
            check_sharded(plan, compiled)
        fabric = launch(device, plan.precision, strategy)
        if compiled:
            check_compiler(fabric.device)
        where = (len(state.history), len(state.events))
        _same(fabric, (plan.key(), samples.sha256, strategy, compiled, where))
        _check_shares(samples, fabric.world_size)
        # By now all have looked into the folder.
        if fabric.is_global_zero:
            held.enter_context(folder.claimed(state))
        learner = assemble(plan, model, samples.measured(2).x, fabric, sharded, compiled)
        if state.resume:
            _continue(learner, state, folder)
        return cls(samples.to(fabric.device), folder, learner)

    @property
    def plan(self) -> TrainPlan:
        """What is computed."""
        return self.samples.plan

    def finish(self, state: State, to: Display, on_epoch: Callable[[Epoch], None] | None) -> State:
        """Run the epochs that are left; say in the folder how it ended."""
        try:
            state = state if state.resume else replace(state, resume=taken(self.learner))
            while len(state.history) < self.plan.epochs:
                before = len(state.history)
                with interrupts():
                    state = self._epoch(state, to)
                if len(state.history) > before and on_epoch is not None:
                    on_epoch(state.history[-1])
        except KeyboardInterrupt as stop:
            said = f"stopped: {self._kept(state)}; the same command continues from there"
            self._mark_failed(state, "interrupted")
            to.say(said)
            told(stop, said)
            raise
        except Diverged as error:
            if isinstance(error, Collapsed):
                state = replace(state, events=(*state.events, error.event))
            self._mark_failed(state, "collapsed" if isinstance(error, Collapsed) else "diverged")
            raise Diverged(f"{error}; {self._kept(state)}; {error.hint}") from None
        except Exception:
            self._mark_failed(state, "interrupted")
            raise
        if self.learner.fabric.is_global_zero:
            self.folder.mark(state, "complete")
        return state

    def _kept(self, state: State) -> str:
        done = f"epoch {len(state.history)} of {self.plan.epochs} was the last to be completed"
        if not state.history:
            return "no epoch was completed"
        return f"{done}, the best so far ({state.best_epoch}) is in {self.folder.weights}"

    def _mark_failed(self, state: State, status: str) -> None:
        with contextlib.suppress(OSError):  # a full disk is the likely cause of being here
            if self.learner.fabric.is_global_zero:
                # An epoch may have been saved in the moment in which the run was stopped.
                with contextlib.suppress(BadData, Invalid):
                    saved = self.folder.open()
                    state = saved if len(saved.history) > len(state.history) else state
                self.folder.mark(state, status)
        if not state.history and state.resume and not self.learner.sharded:
            # The same call starts over, and from what this one started from.
            with contextlib.suppress(RuntimeError):  # of a GPU that no longer answers
                put_back(self.learner, state.resume)

    # -- one epoch -----------------------------------------------------------------------------

    def _epoch(self, state: State, to: Display) -> State:
        """Learn, measure, and keep the epoch or take it back."""
        begin, plan, number = time.monotonic(), self.plan, len(state.history) + 1
        # Dropout and the like draw from the global stream: seeding it anew makes each epoch a
        # function of the weights it starts from, which is what continuing needs.
        fabric = self.learner.fabric
        torch.manual_seed((plan.seed * 1_000_003 + number) % (1 << 63) + fabric.global_rank)
        levels = sum(1 for e in state.events if e.stronger)
        attack = escalated(plan.attack, plan.threat, levels)
        inner = Inner(plan.threat, attack, keep=plan.keeps(attack), target=as_target(plan.target))
        loss = self.learner.epoch(number, inner, self.samples, to)
        own = own_attack(plan.objective, inner.attack)
        accuracy = measure(self.learner.result, self.samples, own)
        sure = proved(self.learner.result, self.samples)
        lr, seconds = self.learner.optimizer.param_groups[0]["lr"], time.monotonic() - begin
        row = Epoch(number, loss, *accuracy, lr, round(seconds, 2), sure)
        row = fabric.broadcast(row)  # measured on different machines, it decides for all
        if not collapsed(row, max((e.robust for e in state.history), default=0.0)):
            return self._keep(state, row, to)
        event = self._event(state, row, inner)
        to.say(str(event))
        if plan.guard and not event.stronger:
            raise Collapsed(event)
        state = replace(state, events=(*state.events, event))
        return self._back(state, to) if event.stronger else self._keep(state, row, to)

    def _event(self, state: State, row: Epoch, inner: Inner) -> Event:
        plan, best = self.plan, max((e.robust for e in state.history), default=0.0)
        free = isinstance(plan.objective, Free)  # asks no attack that could be strengthened
        helps = plan.guard and not free
        following = stronger(inner.attack, plan.threat) if helps else None
        seen = row.robust if row.own is None else row.own
        on = "" if following is None else repr(following)
        kept = len(state.history) if plan.guard else row.epoch
        weaker = repr(plan.objective if free else inner.attack)
        return Event(row.epoch, seen, row.robust, best, weaker, on, kept, row.seconds)

    def _back(self, state: State, to: Display) -> State:
        """Return to the last good epoch; the event is on disk before anything is learnt anew."""
        learner = self.learner
        # Before the first good epoch there is none to return to, and what a collapsed net has
        # learnt is a better start for a stronger attack than chance, which tends to end in a net
        # of one answer.
        learnt = None if state.history else copy.deepcopy(learner.bare.state_dict())
        put_back(learner, state.resume)
        if learnt is not None:
            learner.bare.load_state_dict(learnt)
            state = replace(state, resume=taken(learner))
        elif learner.mean is not None:
            # The average was good; the weights under it may have begun to collapse already.
            learner.bare.load_state_dict(learner.mean.module.state_dict())
            state = replace(state, resume=taken(learner))
        if self.learner.fabric.is_global_zero:
            self.folder.save(state, None)
        to.back()
        return state

    def _keep(self, state: State, row: Epoch, to: Display) -> State:
        """Add the epoch to the run and to the folder."""
        history = (*state.history, row)
        best = max(history, key=lambda e: (self._merit(e), e.epoch)).epoch
        state = replace(state, history=history, best_epoch=best, resume=taken(self.learner))
        if self.learner.fabric.is_global_zero:
            mine = self.learner.result.state_dict() if best == row.epoch else None
            state = self.folder.save(state, mine)
        to.epoch(row)
        return state

    def _merit(self, row: Epoch) -> tuple[float, ...]:
        if row.certified is not None:
            return row.certified, row.robust, row.clean
        both = (row.robust, row.clean)
        return both[::-1] if self.plan.natural else both


def _continue(learner: Learner, state: State, folder: Folder) -> None:
    """Load what an earlier run left; raise ``Invalid`` where that was of another model."""
    try:
        put_back(learner, state.resume)
    except (RuntimeError, ValueError) as error:
        allowed = f"the model that {folder.path} was begun with, with the same parts frozen"
        raise Invalid("model", "<another model>", allowed, " ".join(str(error).split())) from error


def _same(fabric: "Fabric", mine: object) -> None:
    """Raise ``Invalid`` everywhere unless all processes were given the same."""
    differs = torch.tensor(float(fabric.broadcast(mine) != mine), device=fabric.device)
    total: Any = fabric.all_reduce(differs, reduce_op="sum")
    if float(total):
        who = f"<{int(total)} of {fabric.world_size} processes differ from the first>"
        hint = "start all of them by one command, with one seed and a folder that all can see"
        raise Invalid("plan", who, "the same plan, data and folder in every process", hint)


def _check_shares(samples: Samples, world: int) -> None:
    least = len(samples.train) // samples.steps
    if least < world:
        allowed = f"at least {world}, one sample for each process"
        raise Invalid("batch_size", samples.plan.batch_size, allowed, f"the least batch is {least}")
