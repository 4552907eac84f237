"""The referee: what the original model says of a point, independently of its batch."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from saddlepoint.core.door import Door
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.expect import ballot, mean
from saddlepoint.core.goal import Goal
from saddlepoint.core.shapes import INF, norm, pieces

__all__ = ["answered", "batch_gap", "close_calls", "hits_of", "judge", "nth", "repeat_gap"]

# A margin this close to zero, relative to the largest score, can change sign with the batch size
# on some kernels; the referee then asks about the sample alone.
AMBIGUOUS = 1e-4


def close_calls(out: Any, margin: Tensor) -> Tensor:  # noqa: ANN401 - whatever the model returns
    """(B,) bool: rows whose margin is too close to zero to trust a batched answer."""
    if not isinstance(out, Tensor) or out.dim() < 2:
        return margin.abs() <= AMBIGUOUS
    return margin.abs() <= AMBIGUOUS * norm(out.nan_to_num(0, 0, 0), INF)


def judge(door: Door, x: Tensor, goal: Goal, draw: Draw | None = None) -> tuple[Tensor, int]:
    """(B,) float64 margins in the model's own precision, and how many rows were asked about.

    Close calls are decided one sample at a time, so that the verdict is the one that a replay of
    this sample alone gives. With votes the margin is one that is > 0 where a quorum of fresh draws
    err: more than half, or what an ``Expectation`` asks for. draw: the randomness of what lies
    before the model, as for ``Door.seen``.
    """
    if door.votes > 1:
        margins = [goal.margin(out).double() for out in _votes(door, x, draw)]
        return ballot(margins, door.quorum), len(x) * door.votes
    out = door.scores(x, draw)
    margin = goal.margin(out).double()
    if len(x) == 1:
        return margin, 1
    rows = close_calls(out, margin).nonzero().squeeze(1)
    for row in pieces(rows, 1):
        margin[row] = (
            goal[row].margin(door.scores(x[row], None if draw is None else draw[row])).double()
        )
    return margin, len(x) + len(rows)


def answered(door: Door, outs: list[Any], goal: Goal) -> Tensor:
    """(B,) float64 margin of the passes behind one answer: that of their mean.

    Under an ``Expectation``, one that is > 0 where more than its level of the passes err: what the
    verdict goes by.
    """
    if door.under is None:
        return goal.margin(mean(outs)).double()
    return ballot([goal.margin(out).double() for out in outs], door.under.majority)


def nth(draw: Draw | None, k: int) -> Draw | None:
    """Return the stream of the k-th pass; of no stream, none."""
    return None if draw is None else draw.each(torch.full_like(draw.ids, k))


def _votes(door: Door, x: Tensor, draw: Draw | None) -> Iterator[Any]:
    """Yield the answers of fresh draws; of few rows, several draws in one batch."""
    once = 1 if draw is None or door.under is None else max(1, door.batch_size // max(1, len(x)))
    for first in range(0, door.votes, once):
        passes = [nth(draw, k) for k in range(first, min(first + once, door.votes))]
        if len(passes) == 1:
            yield door.scores(x, passes[0])
        else:
            ids = torch.cat([p.ids for p in passes if p is not None])
            many = x.repeat(len(passes), *[1] * (x.dim() - 1))
            yield from door.scores(many, Draw(passes[0].seed, ids, passes[0].key)).split(len(x))  # type: ignore[union-attr]


def hits_of(door: Door, x: Tensor, goal: Goal, draw: Draw | None = None) -> Tensor:
    """(B,) how many of ``votes`` further draws err: an estimate that no choice has favoured."""
    errs = [goal.margin(out) > 0 for out in _votes(door, x, draw)]
    return sum(errs, torch.zeros(len(x), dtype=torch.int64, device=x.device))


def batch_gap(door: Door, x: Tensor) -> float:
    """Largest change of any score when a sample is asked about alone, relative to the scores."""
    draw = Draw.of(door.seed, torch.arange(len(x), device=x.device)).tag("alone")
    together = door.scores(x.clone(), draw)
    rows = pieces(torch.arange(len(x), device=x.device), 1)
    answers = [door.scores(x[row], draw[row]) for row in rows]
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
