"""The pictures of a report: a few witnesses with what the model said before and after."""

from typing import Any

import numpy as np
import torch

from saddlepoint.audit.breaks import breaks, witnesses
from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.inspection import one_of_each
from saddlepoint.audit.journal import Journal
from saddlepoint.audit.printing import printing
from saddlepoint.audit.samples import Samples
from saddlepoint.audit.scores import ScoreTable
from saddlepoint.audit.told import told
from saddlepoint.core.door import Door
from saddlepoint.core.threat import parametric

__all__ = ["gallery"]

Array = np.ndarray[Any, Any]
PICTURES = 10


def _choose(e: Evidence) -> dict[int, int]:
    """Pick samples that an attack broke, one class after another: {sample: round}."""
    first = e.broken_by()
    fell = np.flatnonzero(first > 0)
    rows = fell[one_of_each(e.label[fell], PICTURES)]
    return {row: int(first[row]) for row in rows.tolist()}


def _collect(e: Evidence, journal: Journal, chosen: dict[int, int]) -> dict[int, Array]:
    found = {}
    for rows, x in witnesses(e, journal, set(chosen.values())):
        found.update({r: one for r, one in zip(rows.tolist(), x, strict=True) if r in chosen})
    return found


def _told(
    e: Evidence, journal: Journal, samples: Samples, chosen: dict[int, int]
) -> dict[int, str]:
    """What the parameters of each chosen witness do, where the set has words for them."""
    if not parametric(e.plan.threat):
        return {}
    said: dict[int, str] = {}
    for rows, u in breaks(e, journal, set(chosen.values()), "witness_u"):
        shown = np.flatnonzero(np.isin(rows, list(chosen)))
        if not len(shown):
            continue
        x, _ = samples.batch(torch.from_numpy(rows[shown]))
        texts = told(e.plan.threat, x, torch.from_numpy(np.array(u)[shown]))
        said.update(zip(rows[shown].tolist(), texts, strict=True))
    return said if any(said.values()) else {}


def gallery(
    e: Evidence, journal: Journal, samples: Samples, scores: ScoreTable, door: Door
) -> dict[str, Array] | None:
    """Arrays of ``gallery.npz``, or None where nothing was broken by an attack."""
    chosen = _choose(e)
    if not chosen:
        return None
    found = _collect(e, journal, chosen)
    rows = np.array(sorted(found), dtype=np.int64)
    x, _ = samples.batch(torch.from_numpy(rows))
    x_adv = np.stack([found[r] for r in rows.tolist()]).astype(np.float32)
    after = door.scores(door.fit(torch.from_numpy(x_adv))).float().cpu().softmax(1)
    before = scores.get(torch.from_numpy(rows)).softmax(1)
    words = _told(e, journal, samples, chosen)
    return {
        **({"told": np.array([words[r] for r in rows.tolist()], dtype=np.str_)} if words else {}),
        **printing(e.plan.threat[torch.from_numpy(rows)], x.numpy(), x_adv),
        "index": rows,
        "x": x.numpy().astype(np.float32),
        "x_adv": x_adv,
        "label": e.label[rows],
        "pred_before": before.argmax(1).numpy(),
        "pred_after": after.argmax(1).numpy(),
        "conf_before": before.amax(1).numpy(),
        "conf_after": after.amax(1).numpy(),
        "attack": np.array([e.rounds[chosen[r]].arm for r in rows.tolist()], dtype=np.str_),
        **({} if e.perceived is None else {"perceptual": e.perceived.distance[rows]}),
    }
