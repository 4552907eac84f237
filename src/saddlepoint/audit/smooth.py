"""``smooth``: certified accuracy of a smoothed classifier, sample by sample and resumable."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saddlepoint.audit.journal import Journal, Record
from saddlepoint.audit.result import About
from saddlepoint.audit.samples import Samples, as_samples
from saddlepoint.audit.session import held, model_hash
from saddlepoint.audit.smooth_files import SCHEMA_VERSION, document, write_files
from saddlepoint.audit.smoothed import Smoothed
from saddlepoint.audit.spool import spool
from saddlepoint.audit.team import Team
from saddlepoint.core.detected import refuse_rejecting
from saddlepoint.core.door import Door, Model
from saddlepoint.core.errors import BadData, Invalid, Unanswered, Unsound, Unsupported
from saddlepoint.core.metered import attached
from saddlepoint.core.shapes import pieces
from saddlepoint.verify import Smoothing
from saddlepoint.verify.ballot import Ballot

__all__ = ["Progress", "smooth"]

# (samples done, samples in all, right and certified so far)
Progress = Callable[[int, int, int], None]
COLUMNS = ("selected", "hits", "p_low", "prediction", "radius", "spoilt")
PASSES = 100_000  # forward passes that a kill may cost, about
LOOK = 8


def smooth(
    model: Model,
    data: Samples | tuple[Tensor, Tensor],
    smoothing: Smoothing,
    *,
    samples: int | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    out: str | Path | None = None,
    about: About | None = None,
    progress: Progress | None = None,
) -> Smoothed:
    """Certify the first samples of a data set under Gaussian noise (1902.02918, CERTIFY).

    smoothing: sigma, draws and alpha. samples: how many; all unless given. confidence: of the
    intervals over samples. out: a folder for smooth.json, smooth.npz and the figure; calling again
    with the same arguments continues an interrupted run, another model, data set or setting is
    refused.

    Raises ``Invalid``, ``BadData`` or ``Unsupported`` for what cannot be, before any long work.

    >>> x = torch.tensor([[-1.0], [0.001], [2.0]])
    >>> f = lambda x: (x[:, 0] > 0).long()
    >>> found = smooth(f, (x, torch.tensor([0, 1, 1])), Smoothing(sigma=1.0, n=1000))
    >>> found.abstained, found.table["prediction"].tolist()
    (0.3333333333333333, [0, -1, 1])
    """
    refuse_rejecting(model, "smoothing")
    folder = None if out is None else Path(out)
    with held(folder, Team()) as files:
        rows = as_samples(data)
        if rows is None:
            rows = files.enter_context(contextlib.closing(spool(data, samples, folder)))
        n = len(rows) if samples is None else samples
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= len(rows):
            raise Invalid("samples", n, f"a whole number in 1 … {len(rows)}, which there are")
        run = _Run(model, rows, smoothing, n, seed, confidence, about or About(), folder)
        with attached(model, folder):
            return run.run(progress or (lambda *_: None))


@dataclass(frozen=True, eq=False)
class _Run:
    """Chunks of samples, each journalled when it is done."""

    model: Model
    samples: Samples
    smoothing: Smoothing
    n: int
    seed: int
    confidence: float
    about: About
    folder: Path | None

    def run(self, progress: Progress) -> Smoothed:
        device, classes = self._look()
        with contextlib.closing(Journal.open(self.folder, self._header())) as journal:
            done, right = 0, 0
            progress(0, self.n, 0)
            each = max(1, PASSES // (self.smoothing.n + self.smoothing.n0))
            for rows in pieces(torch.arange(self.n), each):
                record = journal.read(0, rows.numpy())
                if record is None:
                    record = self._certify(rows, classes)
                    journal.write(0, record)
                journal.take(0, rows.numpy())
                done += len(rows)
                right += int((record["prediction"] == record["label"]).sum())
                progress(done, self.n, right)
            return self._finish(list(journal.records(0)), device)

    def _header(self) -> dict[str, Any]:
        """What must be equal for a run to be continued."""
        return {
            "kind": "smooth",
            "schema_version": SCHEMA_VERSION,
            "saddlepoint": metadata.version("saddlepoint"),
            "model_sha256": model_hash(self.model, self.about.model_sha256),
            "data_sha256": self.samples.sha256(self.n),
            "smoothing": asdict(self.smoothing),
            "samples": self.n,
            "seed": self.seed,
            "confidence": self.confidence,
        }

    def _look(self) -> tuple[str, int | None]:
        """Device and number of classes; refuses a model that does not belong to the data."""
        x, y = self.samples.batch(torch.arange(min(LOOK, self.n)))
        ballot = Ballot()
        with Door(self.model, seed=self.seed, verify=False) as door:
            try:
                out = door.scores(door.fit(x))
            except (Unanswered, Unsound):
                raise
            except Exception as error:
                raise Unsupported(
                    f"the model failed on {len(x)} inputs of shape {tuple(x.shape[1:])}: {error}; "
                    "does it belong to this data set?"
                ) from error
            ballot.labels(out, len(x))
            _check_labels(y, ballot.classes)
            return str(door.device or "cpu"), ballot.classes

    def _certify(self, rows: Tensor, classes: int | None) -> Record:
        began = time.perf_counter()
        x, y = self.samples.batch(rows)
        _check_labels(y, classes)
        found = self.smoothing(self.model, x, seed=self.seed, ids=rows, classes=classes)
        return {
            "rows": rows.numpy(),
            "label": y.cpu().numpy(),
            **{k: getattr(found, k).numpy() for k in COLUMNS},
            "seconds": np.array(time.perf_counter() - began),
        }

    def _finish(self, records: list[Record], device: str) -> Smoothed:
        table = {k: np.concatenate([r[k] for r in records]) for k in ("label", *COLUMNS)}
        table = {"index": np.concatenate([r["rows"] for r in records]), **table}
        seconds = round(sum(float(r["seconds"]) for r in records), 3)
        said = {**self._header(), **self._names(), "seconds": seconds}
        found = Smoothed(table, self.smoothing, self.confidence, {}, self.folder)
        found = replace(found, document=document(found, said, device))
        if self.folder is not None:
            write_files(self.folder, found)
        return found

    def _names(self) -> dict[str, Any]:
        about, model = self.about, self.model
        size = sum(p.numel() for p in model.parameters()) if isinstance(model, nn.Module) else 0
        name = Path(about.model).name or about.model
        return {
            "model": {"name": name, "spec": about.model, "arch": about.arch, "parameters": size},
            "data": {"name": about.data, "split": about.split},
        }


def _check_labels(y: Tensor, classes: int | None) -> None:
    if classes is not None and len(y) and int(y.max()) >= classes:
        raise BadData(f"label {int(y.max())}, but the model knows {classes} classes")
