"""Witnesses of an earlier run, as points to start from."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saddlepoint.attacks.earlier import Points
from saddlepoint.audit.replay import Witnesses
from saddlepoint.audit.samples import Samples
from saddlepoint.core.errors import BadData

__all__ = ["EarlierRun", "points_of"]


@dataclass(frozen=True, eq=False)
class EarlierRun:
    """A finished run's points, and what it says of itself."""

    points: Points
    document: dict[str, Any]

    def check(self, samples: Samples) -> None:
        """Raise ``BadData`` unless the run was on the first of these samples."""
        said, n = self.document, int(self.document["n"])
        if len(samples) < n or samples.sha256(n) != said["data_sha256"]:
            raise BadData(
                f"{self.points!r} is about other samples: the first {n} of {said['data']['name']}, "
                f"split {said['data']['split']}, with sha256 {said['data_sha256'][:12]}…; a warm "
                f"start needs the same ones, and there are {len(samples)} here"
            )


def points_of(folder: str | Path) -> EarlierRun:
    """Read the witnesses of a finished run; raises ``BadData`` for what is none."""
    folder = Path(folder)
    run = Witnesses.load(folder)
    sha = _sha256(folder / "witnesses.safetensors")
    kept = np.argsort(run.index, kind="stable")
    x_adv, index = run.x_adv[kept], run.index[kept].astype(np.int64)
    values = torch.from_numpy(np.ascontiguousarray(x_adv))
    values = values.float() / 255 if values.dtype == torch.uint8 else values
    u = None if run.u is None else torch.from_numpy(np.ascontiguousarray(run.u[kept]))
    kind = re.match(r"\w*", str(run.document["plan"]["threat"]))
    name = kind.group() if u is not None and kind is not None else ""
    return EarlierRun(Points(torch.from_numpy(index), values, sha, u, name), run.document)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
