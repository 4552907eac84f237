"""The referee: what the original model says of a point, independently of its batch."""

from typing import Any

import torch
from torch import Tensor

from saddlepoint.core.door import Door
from saddlepoint.core.errors import Invalid
from saddlepoint.core.expect import majority
from saddlepoint.core.goal import Goal
from saddlepoint.core.shapes import INF, norm, pieces

__all__ = ["close_calls", "hits_of", "judge"]

# A margin this close to zero, relative to the largest score, can change sign with the batch size
# on some kernels; the referee then asks about the sample alone.
AMBIGUOUS = 1e-4


def close_calls(out: Any, margin: Tensor) -> Tensor:  # noqa: ANN401 - whatever the model returns
    """(B,) bool: rows whose margin is too close to zero to trust a batched answer."""
    if not isinstance(out, Tensor) or out.dim() < 2:
        return margin.abs() <= AMBIGUOUS
    return margin.abs() <= AMBIGUOUS * norm(out.nan_to_num(0, 0, 0), INF)


def judge(door: Door, x: Tensor, goal: Goal) -> tuple[Tensor, int]:
    """(B,) float64 margins in the model's own precision, and how many rows were asked about.

    Close calls are decided one sample at a time, so that the verdict is the one that a replay of
    this sample alone gives. With votes the margin is the median of fresh draws, > 0 where more than
    half of them err.
    """
    if door.votes > 1:
        draws = [goal.margin(door.scores(x)).double() for _ in range(door.votes)]
        return majority(draws), len(x) * door.votes
    out = door.scores(x)
    margin = goal.margin(out).double()
    if len(x) == 1:
        return margin, 1
    rows = close_calls(out, margin).nonzero().squeeze(1)
    for row in pieces(rows, 1):
        margin[row] = goal[row].margin(door.scores(x[row])).double()
    return margin, len(x) + len(rows)


def hits_of(door: Door, x: Tensor, goal: Goal) -> Tensor:
    """(B,) how many of ``votes`` further draws err: an estimate that no choice has favoured."""
    draws = [goal.margin(door.scores(x)) > 0 for _ in range(door.votes)]
    return sum(draws, torch.zeros(len(x), dtype=torch.int64, device=x.device))


def batch_gap(door: Door, x: Tensor) -> float:
    """Largest change of any score when a sample is asked about alone, relative to the scores."""
    together = door.scores(x.clone())
    answers = [door.scores(x[row]) for row in pieces(torch.arange(len(x)), 1)]
    if answers[0].shape != together[:1].shape:
        shape, wanted = tuple(answers[0].shape), tuple(together[:1].shape)
        hint = "squeeze(-1) or flatten(1) keep the batch axis, squeeze() does not"
        raise Invalid("model(x)", f"<{shape} for one sample>", f"of shape {wanted}", hint)
    alone = torch.cat(answers)
    return float((together - alone).abs().max() / together.abs().max().clamp_min(1e-12))


def repeat_gap(door: Door, x: Tensor, first: Tensor) -> float:
    """Largest change of any score since the first answer, relative to the scores."""
    second = door.scores(x.clone())
    return float((first - second).abs().max() / first.abs().max().clamp_min(1e-12))
