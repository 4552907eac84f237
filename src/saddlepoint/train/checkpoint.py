"""A training run's folder: the best model for everyone, the last state for whoever continues.

``model.safetensors`` weights of the best epoch · ``model.json`` what they are: architecture, plan,
curve, status (training, interrupted, diverged, collapsed, complete) · ``history.csv`` the curve ·
``state.pt`` weights, optimizer and curve after the last completed epoch. The state is one file, as
two could be torn apart by a kill; it is removed on completion, being three times the model's size
and of no use to any other plan. It names the best weights by their hash: new ones wait beside the
old until it is written, so that a stop in between leaves what ``model.json`` speaks of.
"""

import contextlib
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.core.files import write_bytes
from saddlepoint.core.lock import alone
from saddlepoint.train.guard import Event
from saddlepoint.train.history import Epoch, as_csv
from saddlepoint.train.plan import TrainPlan

__all__ = ["Folder", "State"]


@dataclass(frozen=True, eq=False)
class State:
    """Where a run stands: its curve, which epoch is best, and what continuing needs.

    ``best_sha256`` is that of the best epoch's weights file. ``resume`` holds the state dicts
    ``model``, ``optimizer`` and, of a plan with weight averaging, ``ema``; it is empty once the run
    is complete.
    """

    history: tuple[Epoch, ...] = ()
    events: tuple[Event, ...] = ()
    best_epoch: int = 0
    best_sha256: str | None = None
    resume: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = False


@dataclass(frozen=True)
class Folder:
    """The folder ``path`` of the run of ``plan`` on data with these checksums.

    samples_sha256: of the samples and labels trained on. data, data_sha256, hardware, measured:
    recorded for the model card; the last is how many samples were ``held_out`` and ``attacked``.
    """

    path: Path
    plan: TrainPlan
    samples_sha256: str
    data_sha256: str | None = None
    data: str | None = None
    hardware: Mapping[str, Any] | None = None
    measured: Mapping[str, int] | None = None

    @property
    def weights(self) -> Path:
        """The best weights."""
        return self.path / "model.safetensors"

    @property
    def newer(self) -> Path:
        """Better weights, whose epoch is not recorded yet."""
        return self.path / "model.safetensors.next"

    @property
    def card(self) -> Path:
        """What the weights are."""
        return self.path / "model.json"

    @property
    def last(self) -> Path:
        """What continuing needs."""
        return self.path / "state.pt"

    # -- reading -------------------------------------------------------------------------------

    def open(self) -> State:
        """Return where the run stands; writes nothing.

        Raises ``Invalid`` when the folder holds something else, naming what differs, and
        ``BadData`` when it is damaged.
        """
        if self.path.exists() and not self.path.is_dir():
            raise Invalid("out", str(self.path), "a folder, new or of this run")
        if not self.card.exists():
            if self.weights.exists():
                raise self._taken("holds weights that are not of this run")
            return State()
        card = self._read_card()
        if card["status"] == "complete":
            if _sha256(self.weights) != card.get("sha256"):
                raise BadData(f"{self.weights}: missing, or not what {self.card.name} describes")
            return State(_curve(card["history"]), _events(card), card["best_epoch"], complete=True)
        return self._read_state() if self.last.exists() else State()

    def _taken(self, why: str) -> Invalid:
        hint = f"{self.path} {why}; choose another --out, or delete it"
        return Invalid("out", str(self.path), "a folder, new or of this run", hint)

    def _read_card(self) -> dict[str, Any]:
        try:
            card = json.loads(self.card.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise BadData(f"{self.card} cannot be read: {error}") from error
        if not isinstance(card, dict) or not {"plan", "status", "history"} <= card.keys():
            raise self._taken("holds a model that was not trained here")
        then, now = card["plan"], json.loads(json.dumps(self.plan.describe()))
        names = [k for k in now | then if now.get(k) != then.get(k)]
        if names:
            said = ", ".join(f"{k} = {then.get(k)!r} there, {now.get(k)!r} here" for k in names)
            raise self._taken(f"holds the run of another plan: {said}")
        if card.get("samples_sha256") != self.samples_sha256:
            raise self._taken("holds the same plan's run on other training data")
        return card

    def _read_state(self) -> State:
        try:
            state = torch.load(self.last, map_location="cpu", weights_only=True)
            resume = {name: state[name] for name in ("model", "optimizer", "ema") if name in state}
            best = state["best_epoch"], state.get("best_sha256")
            return State(_curve(state["history"]), _events(state), *best, resume)
        except (UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
            raise BadData(
                f"{self.last} is damaged: delete it to start over, or choose another --out"
            ) from error

    def load_best(self, model: nn.Module) -> None:
        """Fill ``model`` with the best weights, on whatever device it is."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        try:
            model.load_state_dict(load(self.weights.read_bytes()))
        except (OSError, SafetensorError, RuntimeError) as error:
            raise BadData(f"{self.weights} does not fit the model: {error}") from error

    # -- writing -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def claimed(self, state: State) -> Iterator[None]:
        """Create the folder and mark it as this run's, so that a wrong one fails at once.

        No other process can claim it meanwhile. Raises ``Invalid`` where one holds it, or has gone
        on with the run since ``state`` was read.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            hint = str(error.strerror)
            raise Invalid("out", str(self.path), "a folder that can be written", hint) from error
        with alone(self.path):
            now = self.open()
            if (now.complete, now.history, now.events) != (False, state.history, state.events):
                hint = "another process went on with this run meanwhile; the same command continues"
                raise Invalid("out", str(self.path), "a folder that no other process uses", hint)
            self._settle(state)
            if not self.card.exists():
                self.mark(State(), "training")
            yield

    def save(self, state: State, best: Mapping[str, Tensor] | None) -> State:
        """Keep a completed epoch, and its weights where they are the best so far.

        Returns the state, which names them. The state counts; a kill before it repeats the epoch.
        """
        if best is not None:
            from safetensors.torch import save

            # Copies, as the format refuses tensors that share memory (tied weights).
            copies = {k: v.detach().cpu().contiguous().clone() for k, v in best.items()}
            content = save(copies, metadata={"format": "pt"})
            write_bytes(self.newer, content)
            state = replace(state, best_sha256=hashlib.sha256(content).hexdigest())
        self._save_state(state)
        self.mark(state, "training")
        return state

    def _settle(self, state: State) -> None:
        """Put waiting weights in their place where the state speaks of them, and drop others."""
        if not self.newer.exists():
            return
        if _sha256(self.newer) == state.best_sha256:
            self.newer.replace(self.weights)
        else:
            self.newer.unlink()

    def _save_state(self, state: State) -> None:
        buffer = io.BytesIO()
        more = {"best_sha256": state.best_sha256, "format": 2}
        torch.save({**state.resume, **_story(state), **more}, buffer)
        write_bytes(self.last, buffer.getvalue())

    def mark(self, state: State, status: str) -> None:
        """Write ``model.json`` and the curve; on completion, drop what only continuing needed."""
        self._settle(state)
        write_bytes(self.path / "history.csv", as_csv(state.history).encode())
        text = json.dumps(self._describe(state, status), indent=2) + "\n"
        write_bytes(self.card, text.encode())
        if status == "complete":
            self.last.unlink(missing_ok=True)

    def _describe(self, state: State, status: str) -> dict[str, Any]:
        plan = self.plan.describe()
        return {
            **{name: plan[name] for name in ("arch", "shape", "classes", "options")},
            "schema_version": 1,
            "status": status,
            "sha256": _sha256(self.weights),
            "plan": plan,
            "plan_sha256": self.plan.key(),
            "samples_sha256": self.samples_sha256,
            "data": self.data,
            "data_sha256": self.data_sha256,
            **_story(state),
            "hardware": self.hardware,
            "measured": None if self.measured is None else dict(self.measured),
            "versions": {name: version(name) for name in ("saddlepoint", "torch")},
        }


def _sha256(path: Path) -> str | None:
    if not path.exists():
        return None
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _story(state: State) -> dict[str, Any]:
    """What happened, as JSON and the state file hold it."""
    return {
        "best_epoch": state.best_epoch,
        "history": [asdict(e) for e in state.history],
        "events": [asdict(e) for e in state.events],
    }


def _curve(rows: list[dict[str, Any]]) -> tuple[Epoch, ...]:
    return tuple(Epoch(**row) for row in rows)


def _events(story: Mapping[str, Any]) -> tuple[Event, ...]:
    return tuple(Event(**row) for row in story["events"])
