"""Check a finished universal perturbation: one u, members of every set, and the same answers."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saddlepoint.audit.membership import inspect
from saddlepoint.audit.readable import readable
from saddlepoint.audit.replay import Replay
from saddlepoint.audit.samples import Samples
from saddlepoint.audit.session import model_hash
from saddlepoint.audit.shared import Shared
from saddlepoint.audit.universal_measure import Measure
from saddlepoint.core.door import Door, Model
from saddlepoint.core.errors import BadData
from saddlepoint.core.shapes import pieces
from saddlepoint.core.threat import Parted, parametric

__all__ = ["Claimed", "replay_universal"]

Array = np.ndarray[Any, Any]
_EXACT = 1e-6  # of the input range: float32
_BATCH = 256


@dataclass(frozen=True, eq=False)
class Claimed:
    """What a folder says: universal.json, the perturbation, and the answer to each sample."""

    document: dict[str, Any]
    found: Shared

    @classmethod
    def load(cls, folder: str | Path) -> "Claimed":
        """Read and compare the files; raises ``BadData`` where they do not fit each other."""
        from safetensors.numpy import load_file

        folder = Path(folder)
        with readable(folder):
            document = json.loads((folder / "universal.json").read_text())
            u = load_file(folder / "universal.safetensors")["u"]
            with np.load(folder / "universal.npz", allow_pickle=False) as stored:
                table = {k: stored[k] for k in ("index", "label", "clean", "prediction", "control")}
            found = Shared(torch.from_numpy(u), table, document["target"], document["confidence"])
            rates = {k: document[k]["count"] for k in ("fooling", "accuracy", "clean_accuracy")}
            n, _ = int(document["n"]), document["threat"]
        for name, count in rates.items():
            if getattr(found, name).count != count or len(table["index"]) != n:
                raise BadData(f"{folder}: universal.json and universal.npz differ in {name}")
        return cls(document, found)


def replay_universal(
    claimed: Claimed,
    model: Model,
    samples: Samples,
    threat: Any,  # noqa: ANN401
    model_sha256: str = "",
) -> Replay:
    """Put u on every sample again: is it in the set, the same for all, and so answered?

    Membership is judged in float64 by code that shares nothing with the search. Raises ``BadData``
    when the samples are not those of the run.
    """
    said, n = claimed.document, len(claimed.found.table["index"])
    if len(samples) < n or samples.sha256(n) != said["data_sha256"]:
        raise BadData(f"these are not the samples of the run: it used the first {n} of others")
    failed: dict[int, str] = {}
    with Door(model, seed=int(said["seed"])) as door:
        measure = Measure(door, samples, threat)
        for rows in pieces(torch.arange(n), _BATCH):
            failed |= _check(measure, claimed.found, rows)
    return Replay(n, failed, model_hash(model, model_sha256) == said["model_sha256"])


def _check(measure: Measure, found: Shared, rows: torch.Tensor) -> dict[int, str]:
    threat, u = measure.threat, found.u[None]
    x, y = measure.samples.batch(rows)
    x = measure.door.fit(x)
    moved, each = (t.cpu().numpy() for t in measure.moved(x, rows, u))
    clean, number = x.cpu().numpy(), rows.numpy()
    way = each if parametric(threat) else None
    faults = inspect(clean, moved, threat, number, way)
    told = _told(measure.door.scores(torch.from_numpy(moved).to(x)), found, number, "prediction")
    before = _told(measure.door.scores(x), found, number, "clean")
    label = (found.table["label"][number] == y.cpu().numpy()).tolist()
    reasons = {}
    for i, row in enumerate(number.tolist()):
        same = _shared(clean[i], moved[i], None if way is None else way[i], u[0].numpy(), threat)
        fault = faults[i] or same or ("" if told[i] else "the model answers otherwise")
        fault = fault or ("" if before[i] else "the model answers otherwise to the sample itself")
        if fault := fault or ("" if label[i] else "the sample has another label"):
            reasons[row] = fault
    return reasons


def _shared(x: Array, x_adv: Array, way: Array | None, u: Array, threat: Any) -> str:  # noqa: ANN401
    """Say how this sample's perturbation differs from the one that all share, or ""."""
    low, high = getattr(threat, "box", (0.0, 1.0))
    slack = _EXACT * max(1.0, min(high - low, 1e6))
    if isinstance(threat, Parted):  # its changes are cut to the input range, deep within u
        grey = (low + high) / 2 if np.isfinite(high - low) else 0.0
        middle = torch.full((1, *x.shape), grey, dtype=torch.float64)
        home = threat.project(middle, torch.from_numpy(u)[None].double())[0].numpy()
        off = float(np.abs(home - u).max())
    elif way is not None:
        off = float(np.abs(way.astype(np.float64) - u).max())
    else:
        wanted = np.clip(x.astype(np.float64) + u, low, high)
        slack += 1 / 255 if hasattr(threat, "to_type") else 0.0  # rounded to the grid of images
        off = float(np.abs(x_adv - wanted).max())
    return "" if off <= slack else f"its perturbation is {off:g} from the one that all share"


def _told(scores: torch.Tensor, found: Shared, number: Array, column: str) -> list[bool]:
    """Whether the recorded answer is the best one still, up to the rounding of other kernels."""
    said = torch.from_numpy(found.table[column][number]).to(scores.device)
    top = scores.amax(1)
    own = scores.gather(1, said.clamp(min=0)[:, None])[:, 0]
    spoilt = ~scores.isfinite().all(1)
    near = own >= top - 1e-5 * top.abs().clamp(min=1.0)
    return torch.where(said < 0, spoilt, near & ~spoilt).tolist()
