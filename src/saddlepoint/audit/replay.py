"""Replay: check every witness of a finished run against a model, trusting nothing in between."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.audit.aimed import Aimed
from saddlepoint.audit.membership import inspect
from saddlepoint.audit.readable import readable
from saddlepoint.audit.samples import Samples
from saddlepoint.audit.session import model_hash
from saddlepoint.audit.stats import clopper_pearson
from saddlepoint.core.answers import check_scores
from saddlepoint.core.detected import Undetected, wanted
from saddlepoint.core.door import Door, Model
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.core.expectation import Expectation
from saddlepoint.core.goal import Goal, Untargeted
from saddlepoint.core.metered import is_metered
from saddlepoint.core.referee import hits_of, judge
from saddlepoint.core.threat import MEMBER, ThreatModel

__all__ = ["Replay", "Witnesses", "replay"]

BATCH = 256


@dataclass(frozen=True, eq=False)
class Witnesses:
    """What a run claims: inputs ``x_adv`` that break the samples ``index``.

    u: the parameters that make them, in sets that have some. aimed: the targets, of a targeted run.
    """

    document: dict[str, Any]
    x_adv: "np.ndarray[Any, Any]"
    index: "np.ndarray[Any, Any]"
    u: "np.ndarray[Any, Any] | None" = None
    aimed: Aimed | None = None

    @classmethod
    def load(cls, folder: str | Path) -> "Witnesses":
        """Read ``audit.json`` and ``witnesses.safetensors``; raises ``BadData``."""
        from safetensors.numpy import load_file

        folder = Path(folder)
        with readable(folder):
            document = json.loads((folder / "audit.json").read_text())
            tensors = load_file(folder / "witnesses.safetensors")
            x_adv, index = tensors["x_adv"], tensors["index"]
            plan = document["plan"]
            n, broken, _ = int(document["n"]), int(document["counts"]["broken"]), plan["threat"]
            _ = document["data"]["name"], document["data"]["split"], document["model"]["arch"]
        bad = index.size and (index.min() < 0 or index.max() >= n)
        if len(index) != len(x_adv) or index.ndim != 1 or bad:
            raise BadData(f"{folder}/witnesses.safetensors: indices do not fit the witnesses")
        if len(np.unique(index)) != len(index) or len(index) != broken:
            raise BadData(
                f"{folder}: audit.json claims {broken} broken samples, but there are witnesses for "
                f"{len(np.unique(index))}: the run was altered"
            )
        return cls(document, x_adv, index, tensors.get("u"), Aimed.load(folder, document))


@dataclass(frozen=True)
class Replay:
    """How many witnesses hold, and why the others do not: {sample: reason}."""

    checked: int
    failed: dict[int, str]
    same_model: bool

    @property
    def holds(self) -> bool:
        """Whether every witness holds."""
        return not self.failed


def replay(
    run: Witnesses,
    model: Model,
    samples: Samples,
    threat: ThreatModel,
    model_sha256: str = "",
    under: Expectation | None = None,
) -> Replay:
    """Check that each witness is in the set around its sample and that the model errs on it.

    Of a targeted run the model has to answer the target, which has to be that of the plan.

    Membership is judged in float64 by code that shares nothing with the search. Raises ``BadData``
    when the samples are not those of the run. model_sha256: hash of the file of a model without
    weights of its own. under: the transformations that the run judged its witnesses under, which
    are drawn afresh.
    """
    said = run.document
    _check_under(said["plan"].get("under"), under)
    n = int(said["n"])
    if len(samples) < n or samples.sha256(n) != said["data_sha256"]:
        raise BadData(
            f"these are not the samples of the run: it used the first {n} of "
            f"{said['data']['name']}, split {said['data']['split']}, "
            f"with sha256 {said['data_sha256'][:12]}…"
        )
    failed: dict[int, str] = {}
    same = model_hash(model, model_sha256) == said["model_sha256"]
    if is_metered(model):  # a witness is asked about again, whatever the run was told
        model = model.fresh()
    with Door(model, votes=int(said["plan"].get("votes", 1)), under=under) as door:
        for first in range(0, len(run.index), BATCH):
            failed |= _check(door, samples, threat, run, slice(first, first + BATCH), same)
    return Replay(len(run.index), failed, same)


def _check_under(said: object, given: Expectation | None) -> None:
    here = None if given is None else given.describe()
    if said != here:
        raise Invalid("under", f"<{here}>", f"what the run was judged under: {said}")


def _check(
    door: Door, samples: Samples, threat: ThreatModel, run: Witnesses, piece: slice, same: bool
) -> dict[int, str]:
    x_adv, index = run.x_adv[piece], run.index[piece]
    u, aimed = None if run.u is None else run.u[piece], run.aimed
    x, y = samples.batch(torch.from_numpy(index))
    reasons = inspect(x.numpy(), x_adv, threat, index, u)
    if x.shape != x_adv.shape:
        return dict(zip(index.tolist(), reasons, strict=True))
    values = torch.from_numpy(x_adv)
    moved = door.fit(values.float() / 255 if values.dtype == torch.uint8 else values)
    goal = wanted(door.model, y.to(moved.device), None if aimed is None else aimed.of(index))
    try:
        check_scores(door.scores(moved), goal, len(moved))
    except (RuntimeError, IndexError) as error:
        raise Invalid("model", "<model>", "a model for these inputs", str(error)) from error
    views = Draw.of(0, torch.from_numpy(index).to(moved.device)).tag("replay")
    if aimed is not None:
        as_then = same and door.votes == 1
        said = aimed.faults(index, y, door.scores(door.fit(x)).cpu(), as_then)
        reasons = [a or b for a, b in zip(reasons, said, strict=True)]
    right = _right(door, moved, goal, views)
    if isinstance(goal, Undetected):  # of an input as it is, a false alarm is an error
        still = ((door.fit(x) - moved).abs().flatten(1).amax(1) <= MEMBER).tolist()
        alarms = _right(door, moved, Untargeted(goal.label), views)
        right = [a if s else r for a, s, r in zip(alarms, still, right, strict=True)]
    return {
        row: reason or said
        for row, reason, said in zip(index.tolist(), reasons, right, strict=True)
        if reason or said
    }


def _right(door: Door, x: Tensor, goal: Goal, views: Draw) -> list[str]:
    """Say for each witness how the model gets it right, or "" where it does not.

    A randomised model may win a vote that it lost in the audit: a witness fails when its draws rule
    out that most of them err, or as many as the run's level asks for.
    """
    if door.votes > 1:
        hits = hits_of(door, x, goal, views).tolist()
        level = 0.5 if door.under is None else door.under.level
        return [
            f"the model is right about it in {door.votes - k} of {door.votes} draws"
            if clopper_pearson(k, door.votes)[1] < level
            else ""
            for k in hits
        ]
    margin, _ = judge(door, x, goal)
    values = margin.tolist()
    return ["" if v > 0 else f"the model is right about it (margin {v:.4g})" for v in values]
