"""``universal``: one perturbation for many inputs, fitted on some and measured on others."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.attacks.universal import Universal, shared_set
from saddlepoint.audit.journal import Journal, Record
from saddlepoint.audit.result import About
from saddlepoint.audit.samples import Samples, as_samples
from saddlepoint.audit.session import held, model_hash
from saddlepoint.audit.shared import Shared
from saddlepoint.audit.team import Team
from saddlepoint.audit.universal_files import SCHEMA_VERSION, document, write_files
from saddlepoint.audit.universal_fit import Fit, aimed
from saddlepoint.audit.universal_measure import COLUMNS, Measure
from saddlepoint.core.answers import check_scores
from saddlepoint.core.detected import refuse_rejecting
from saddlepoint.core.door import Door, Model
from saddlepoint.core.errors import Invalid, Unsound, Unsupported
from saddlepoint.core.origin import code
from saddlepoint.core.search import CHANGED, check_inputs
from saddlepoint.core.shapes import pieces
from saddlepoint.core.threat import ThreatModel

__all__ = ["Progress", "universal"]

# (stage, done, to do, a count of broken or fooled samples)
Progress = Callable[[str, int, int, int], None]
CHUNK = 512


def universal(
    model: Model,
    fit: Samples | tuple[Tensor, Tensor],
    test: Samples | tuple[Tensor, Tensor],
    threat: ThreatModel,
    how: Universal | None = None,
    *,
    target: int | None = None,
    fit_n: int | None = None,
    n: int | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    out: str | Path | None = None,
    about: About | None = None,
    fit_split: str = "train",
    progress: Progress | None = None,
) -> Shared:
    """Fit one u on samples, and measure on others how often it fools the model (1610.08401).

    fit, test: samples with labels, the first ``fit_n`` and ``n`` of them; test must be others.
    threat: the set of each sample; the same u is cut to each. target: the class that u is to reach;
    None leaves the label. fit_split: how the report calls ``fit``. out: a folder for
    universal.json, .safetensors, .npz and .png; calling again with the same arguments continues an
    interrupted run, epoch by epoch.

    Raises ``Invalid``, ``BadData`` or ``Unsupported`` for what cannot be, before any long work.

    >>> from saddlepoint import Linf
    >>> x, y = torch.rand(64, 4), torch.arange(64) % 2
    >>> net = torch.nn.Linear(4, 2)
    >>> universal(net, (x, y), (x[:9] / 2, y[:9]), Linf(eps=0.2), Universal(epochs=1)).u.shape
    torch.Size([4])
    """
    refuse_rejecting(model, "a universal perturbation")
    fitted, tested = _samples("fit", fit), _samples("test", test)
    many, count = _count("fit_n", fit_n, fitted), _count("n", n, tested)
    shared_set(threat)
    folder, team = None if out is None else Path(out), Team()
    with held(folder, team):
        run = _Run(
            model,
            fitted,
            tested,
            threat,
            how or Universal(),
            target,
            (many, count),
            seed,
            confidence,
            about or About(),
            fit_split,
            folder,
        )
        return run.run(progress or (lambda *_: None))


def _samples(name: str, data: Any) -> Samples:  # noqa: ANN401
    samples = as_samples(data)
    if samples is None:
        raise Invalid(name, f"<{type(data).__name__}>", "a pair (x, y) of tensors, or a data split")
    return samples


def _count(name: str, n: object, samples: Samples) -> int:
    count = len(samples) if n is None else n
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= len(samples):
        raise Invalid(name, count, f"a whole number in 1 … {len(samples)}, which there are")
    return count


@dataclass(frozen=True, eq=False)
class _Run:
    """Epochs, then chunks of answers, each journalled when it is done."""

    model: Model
    fitted: Samples
    tested: Samples
    threat: Any
    how: Universal
    target: int | None
    counts: tuple[int, int]
    seed: int
    confidence: float
    about: About
    fit_split: str
    folder: Path | None

    def run(self, progress: Progress) -> Shared:
        header = self._header()
        with Door(self.model, seed=self.seed) as door:
            own = (self.threat, self.how, self.target, self.seed)
            fit = Fit(door, self.fitted, self.counts[0], *own)
            measure = Measure(door, self.tested, self.threat)
            self._look(door)
            with contextlib.closing(Journal.open(self.folder, header)) as journal:
                epochs = self._fit(journal, fit, progress)
                u = torch.from_numpy(epochs[-1]["u"])
                table = self._measure(journal, measure, (u, fit.begin("control")), progress)
            found = Shared(u[0], table, self.target, self.confidence, {}, self.folder)
            said = {**header, **self._names(), "device": str(door.device or "cpu")}
            found = replace(found, document=document(found, said, epochs))
            shown = measure.shown(found)
        if door.changed:
            raise Unsound(CHANGED)
        if self.folder is not None:
            write_files(self.folder, found, shown)
        return found

    def _header(self) -> dict[str, Any]:
        """What must be equal for a run to be continued."""
        many, count = self.counts
        hashes = self.fitted.sha256(many), self.tested.sha256(count)
        if hashes[0] == hashes[1]:
            hint = "a rate on the samples that u was fitted on says nothing about others"
            raise Invalid("test", "<the samples of fit>", "other samples than those of fit", hint)
        return {
            "kind": "universal",
            "schema_version": SCHEMA_VERSION,
            "saddlepoint": metadata.version("saddlepoint"),
            "model_sha256": model_hash(self.model, self.about.model_sha256),
            "fit_sha256": hashes[0],
            "data_sha256": hashes[1],
            "threat": repr(self.threat),
            "how": repr(self.how),
            **code(self.threat),
            "target": self.target,
            "fit_n": many,
            "n": count,
            "seed": self.seed,
            "confidence": self.confidence,
        }

    def _names(self) -> dict[str, Any]:
        about = self.about
        name = Path(about.model).name or about.model
        return {
            "model": {"name": name, "spec": about.model, "arch": about.arch},
            "data": {"name": about.data, "split": about.split, "fit_split": self.fit_split},
        }

    def _look(self, door: Door) -> None:
        """Refuse a model, a set or a target that does not belong to the data."""
        for samples in (self.fitted, self.tested):
            rows = torch.arange(min(8, len(samples)))
            x, y = samples.batch(rows)
            check_inputs(x, aimed(y, self.target), self.threat[rows])
            try:
                out = door.scores(door.fit(x))
            except Exception as error:
                raise Unsupported(
                    f"the model failed on {len(x)} inputs of shape {tuple(x.shape[1:])}: {error}; "
                    "does it belong to this data set?"
                ) from error
            classes = out.shape[-1]
            if self.target is not None and out.dim() == 2 and self.target >= classes:
                raise Invalid("target", self.target, f"a class index in 0 … {classes - 1}")
            check_scores(out, aimed(y, self.target), len(x))

    def _fit(self, journal: Journal, fit: Fit, progress: Progress) -> list[Record]:
        done: list[Record] = []
        for number in range(self.how.epochs):
            progress("fit", number, self.how.epochs, 0)
            record = journal.read(number, np.array([number]))
            if record is None:
                record = fit.epoch(number, done[-1] if done else None)
                journal.write(number, record)
            done.append(record)
        return done

    def _measure(
        self, journal: Journal, measure: Measure, us: tuple[Tensor, Tensor], progress: Progress
    ) -> dict[str, "np.ndarray[Any, Any]"]:
        count, round_, fooled = self.counts[1], self.how.epochs, 0
        for rows in pieces(torch.arange(count), CHUNK):
            record = journal.read(round_, rows.numpy())
            if record is None:
                record = measure.answers(rows, us)
                journal.write(round_, record)
            journal.take(round_, rows.numpy())
            fooled += int((record["prediction"] != record["clean"]).sum())
            progress("measure", int(rows[-1]) + 1, count, fooled)
        answers = list(journal.records(round_))
        table = {k: np.concatenate([r[k] for r in answers]) for k in COLUMNS}
        return {"index": np.arange(count), **table}
