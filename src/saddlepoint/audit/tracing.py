"""One curve from its sweep to its files: chunks of samples, each journalled when it is done."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saddlepoint.audit.curve import Curve
from saddlepoint.audit.curve_files import CODES, SCHEMA_VERSION, document, write_files
from saddlepoint.audit.journal import Journal, Record
from saddlepoint.audit.preflight import first_look, refuse_other_answers
from saddlepoint.audit.result import About
from saddlepoint.audit.samples import Samples
from saddlepoint.audit.session import model_hash
from saddlepoint.audit.sweep import Sweep
from saddlepoint.audit.witness import distance, inspect
from saddlepoint.core.detected import refuse_rejecting
from saddlepoint.core.door import Door, Model
from saddlepoint.core.goal import Targeted, Untargeted
from saddlepoint.core.ledger import Status
from saddlepoint.core.nearest import Nearest, nearest
from saddlepoint.core.referee import judge
from saddlepoint.core.shapes import pieces
from saddlepoint.core.threat import parametric

__all__ = ["Progress", "Tracing"]

Array = np.ndarray[Any, Any]
# (samples done, samples in all, breaks so far)
Progress = Callable[[int, int, int], None]
BROKEN, ERROR = CODES.index(Status.BROKEN), CODES.index(Status.ERROR)


@dataclass(frozen=True)
class Tracing:
    """A sweep over the samples of one model."""

    sweep: Sweep
    model: Model
    samples: Samples
    about: About
    folder: Path | None

    def run(self, progress: Progress) -> Curve:
        """Attack chunk by chunk, or read what an earlier call has finished; then join and write."""
        sweep: Any = self.sweep
        refuse_rejecting(self.model, "a curve")
        with Door(self.model, sweep.precision, sweep.seed, verify=False) as door:
            look, notes = first_look(door, sweep, self.samples)
            with contextlib.closing(Journal.open(self.folder, self._header())) as journal:
                # Hashes cover weights, not code; journals of old keep no scores.
                then = (journal.earliest(0) or {}).get("scores")
                if then is not None:
                    refuse_other_answers(look, then, notes, self.folder)
                self._chunks(door, journal, look, progress)
                return self._finish(journal, str(door.device or "cpu"))

    def _chunks(self, door: Door, journal: Journal, look: Tensor, progress: Progress) -> None:
        """Attack what the journal lacks; the first chunk keeps the scores of the first look."""
        sweep, done, broken = self.sweep, 0, 0
        progress(0, sweep.n, 0)
        for rows in pieces(torch.arange(sweep.n), sweep.batch_size):
            record = journal.read(0, rows.numpy())
            if record is None or record["error"].item():  # what raised gets another chance
                record = self._attack(door, rows)
                if not int(rows[0]):
                    record["scores"] = look.float().cpu().numpy()
                journal.write(0, record)
            journal.take(0, rows.numpy())
            done += len(rows)
            broken += int((record["status"] == BROKEN).sum())
            progress(done, sweep.n, broken)

    def _header(self) -> dict[str, Any]:
        """What must be equal for a run to be continued."""
        return {
            "kind": "curve",
            "schema_version": SCHEMA_VERSION,
            "saddlepoint": metadata.version("saddlepoint"),
            "model_sha256": model_hash(self.model, self.about.model_sha256),
            "data_sha256": self.samples.sha256(self.sweep.n),
            "plan": self.sweep.describe(),
        }

    def _attack(self, door: Door, rows: Tensor) -> Record:
        began = time.perf_counter()
        x, y = self.samples.batch(rows)
        goal = self._goal(door, rows, x, y)
        found = nearest(
            self.sweep.attack,
            self.model,
            x,
            goal,
            self.sweep.threat,
            seed=self.sweep.seed,
            ids=rows,
            batch_size=len(rows),
            precision=self.sweep.precision,
            access=self.sweep.access,
        )
        record = self._judged(door, rows, x, goal, found)
        return {**record, "seconds": np.array(time.perf_counter() - began)}

    def _goal(self, door: Door, rows: Tensor, x: Tensor, y: Tensor) -> Targeted | Untargeted:
        if self.sweep.target is None:
            return Untargeted(y)
        return self.sweep.target.goal(rows, y, door.scores(door.fit(x)).cpu())

    def _judged(
        self,
        door: Door,
        rows: Tensor,
        x: Tensor,
        goal: Targeted | Untargeted,
        found: Nearest,
    ) -> Record:
        """Judge the breaks as they will be read back, and measure them independently."""
        status = np.array([CODES.index(s) for s in found.status], dtype=np.int8)
        exempt = _exempt(goal)
        status[exempt] = CODES.index(Status.SURVIVED)
        kept = np.flatnonzero(status == BROKEN)
        clean, moved = x[kept].cpu().numpy(), _stored(found.x_adv[kept], self.sweep.threat)
        way = found.u[kept].cpu().numpy()
        faults = self._faults(
            door, goal[torch.from_numpy(kept)], clean, moved, rows.numpy()[kept], way
        )
        size = np.full(len(rows), np.inf)
        size[kept] = distance(clean, moved, self.sweep.threat, way) if len(kept) else 0
        # A witness that the checker refuses proves nothing, and neither does its sample.
        wrong = kept[faults != ""]
        status[wrong], size[wrong] = ERROR, np.inf
        good = faults == ""
        return {
            "rows": rows.numpy(),
            "status": status,
            "distance": size,
            "forward": found.cost.forward.cpu().numpy(),
            "backward": found.cost.backward.cpu().numpy(),
            "witness_rows": rows.numpy()[kept][good],
            "witness": moved[good],
            **({"witness_u": way[good]} if parametric(self.sweep.threat) else {}),
            "faults": faults[~good],
            **({} if self.sweep.target is None else {"at_target": np.int64(exempt.sum())}),
            "error": np.str_(found.error or ""),
        }

    def _faults(
        self,
        door: Door,
        goal: Targeted | Untargeted,
        x: Array,
        moved: Array,
        number: Array,
        way: Array,
    ) -> Array:
        """(k,) what is wrong with each witness: it leaves the set, or the model is right."""
        if not len(number):
            return np.empty(0, dtype=np.str_)
        faults = inspect(x, moved, self.sweep.threat, number, way)
        values = torch.from_numpy(moved)
        values = values.float() / 255 if values.dtype == torch.uint8 else values
        asked = door.fit(values)
        margin, _ = judge(door, asked, replace(goal, label=goal.label.to(asked.device)))
        said = [
            fault or ("" if value > 0 else "the model is right about it")
            for fault, value in zip(faults, margin.tolist(), strict=True)
        ]
        return np.array(said, dtype=np.str_)

    def _finish(self, journal: Journal, device: str) -> Curve:
        """Join the chunks into a curve, and write the files that go with it."""
        records = list(journal.records(0))
        names = ["rows", "status", "distance", "forward", "backward", "witness_rows", "witness"]
        names += ["witness_u"] if parametric(self.sweep.threat) else []
        table = {k: np.concatenate([r[k] for r in records]) for k in names}
        table["seconds"] = np.array([r["seconds"] for r in records])
        reach: Any = self.sweep.threat.eps
        failed = table["status"] == ERROR
        found = Curve.of(table["distance"], failed, float(reach), self.sweep.confidence)
        if self.sweep.target is not None:
            table["at_target"] = np.array([int(r["at_target"]) for r in records])
        errors = [r["error"].item() for r in records if r["error"].item()]
        said = {**self._header(), **self._names(), "errors": errors[:1]}
        found = replace(found, document=document(found, self.sweep, table, said, device))
        if self.folder is None:
            return found
        found = replace(found, folder=self.folder)
        write_files(self.folder, found, table)
        return found

    def _names(self) -> dict[str, Any]:
        about, model = self.about, self.model
        size = sum(p.numel() for p in model.parameters()) if isinstance(model, nn.Module) else 0
        shape = list(self.samples.batch(torch.arange(1))[0].shape[1:])
        name = Path(about.model).name or about.model
        return {
            "model": {"name": name, "spec": about.model, "arch": about.arch, "parameters": size},
            "data": {"name": about.data, "split": about.split, "shape": shape},
        }


def _exempt(goal: Targeted | Untargeted) -> Array:
    """(B,) bool: samples whose label is the target, which nobody can move there."""
    if isinstance(goal, Untargeted) or goal.source is None:
        return np.zeros(len(goal.label), dtype=np.bool_)
    return (goal.label == goal.source).numpy()


def _stored(moved: Tensor, threat: Any) -> Array:  # noqa: ANN401
    """As in a file: 8-bit witnesses are kept as 8-bit images, which loses nothing."""
    values = moved.cpu().numpy()
    return np.rint(values * 255).astype(np.uint8) if hasattr(threat, "to_type") else values
