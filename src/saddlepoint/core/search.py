"""What users call: search each sample's set for its worst member."""

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from saddlepoint.core.access import Access, Attack, check_fit
from saddlepoint.core.answers import check_labels
from saddlepoint.core.detected import meant
from saddlepoint.core.door import Door, Model, Precision
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Exhausted, Invalid, Unanswered, Unsound, Unsupported
from saddlepoint.core.expectation import Expectation
from saddlepoint.core.found import Found
from saddlepoint.core.goal import Goal
from saddlepoint.core.interrupts import interrupts
from saddlepoint.core.ledger import Budget, Cost, Ledger, Status
from saddlepoint.core.loss import Loss, as_loss
from saddlepoint.core.oracle import Oracle
from saddlepoint.core.shapes import pieces
from saddlepoint.core.threat import ThreatModel
from saddlepoint.core.whole import require_whole

__all__ = [
    "CHANGED",
    "Batches",
    "attack_rows",
    "check_inputs",
    "join_costs",
    "search",
    "verdict",
]

CHANGED = (
    "the model's parameters or buffers changed while it was only being asked: its answers depend "
    "on earlier questions, so no result about it can be replayed"
)


def search(
    attack: Attack[Any],
    model: Model,
    x: Tensor,
    goal: Tensor | Goal,
    threat: ThreatModel,
    *,
    loss: Loss | str | None = None,
    budget: Budget | None = None,
    seed: int = 0,
    ids: Tensor | None = None,
    batch_size: int | None = None,
    early_stop: bool = True,
    precision: Precision = "float32",
    access: Access = "gradients",
    under: Expectation | None = None,
) -> Found:
    """Search max over u in threat(x) of loss(model(apply(x, u)), goal), for each sample.

    x: (B, *F) floats in the input range. goal: labels (B,) int64 for the untargeted goal
    (``Undetected`` where the model rejects), or a ``Goal``. loss: what gradient attacks climb
    unless they name their own (cross-entropy). budget: passes per sample. ids: (B,) identities that
    randomness depends on (0 … B-1). batch_size: rows at a time; None suits the device. early_stop:
    leave a sample at its first break; off, the margin is pushed as far as it goes. precision:
    ``bfloat16`` searches fast and lets the original model confirm each break. access: what the
    adversary may ask for. under: transformations that the input goes through on its way to the
    model; see ``Expectation``.

    Raises ``Invalid`` for bad arguments, ``Unsupported`` when attack, access and threat do not fit,
    ``Unsound`` when the model changes while it is asked. An attack that fails midway is a status.

    >>> from saddlepoint import PGD, Linf
    >>> model = torch.nn.Linear(2, 2)
    >>> found = search(PGD(), model, torch.rand(4, 2), torch.zeros(4).long(), Linf(eps=0.1))
    >>> found.x_adv.shape
    torch.Size([4, 2])
    """
    given = (loss, budget, seed, ids, batch_size, under)
    batches = Batches(model, x, meant(model, goal), threat, *given)
    asked = batches.attacked(attack, access, precision, early_stop)
    return _join([_found(oracle, error) for oracle, error in asked])


@dataclass(frozen=True, eq=False)
class Batches:
    """What ``search`` and ``nearest`` have in common: samples that are attacked a batch at a time.

    The fields are described at ``search``.
    """

    model: Model
    x: Tensor
    goal: Goal
    threat: Any
    loss: Loss | str | None
    budget: Budget | None
    seed: int
    ids: Tensor | None
    batch_size: int | None
    under: Expectation | None = None

    def attacked(
        self,
        attack: Attack[Any],
        access: Access,
        precision: Precision,
        early_stop: bool = True,
        closest: bool = False,
    ) -> Iterator[tuple[Oracle[Any], str | None]]:
        """Yield the oracle of each batch after the attack, with the traceback if it raised."""
        check_fit(attack, self.threat, access)
        _check_model(self.model)
        check_inputs(self.x, self.goal, self.threat)
        n = len(self.x)
        ids = torch.arange(n) if self.ids is None else self.ids
        _check_batches(self.batch_size, len(ids), n)
        everyone = Draw.of(self.seed, ids)
        door = Door(self.model, precision, self.seed, under=self.under)
        with torch.inference_mode(False), door:
            for rows in pieces(torch.arange(n), self.batch_size or door.batch_size):
                views = everyone[rows].tag("views")
                oracle = self._oracle(door, rows, access, early_stop, closest, views)
                if not int(rows[0]) and isinstance(oracle.clean, Tensor):
                    check_labels(self.goal, oracle.clean.shape[-1])  # of later batches, first
                draw = Draw.of(self.seed, everyone.ids[rows].to(oracle.x.device))
                yield oracle, attack_rows(attack, oracle, draw)
        if door.changed:
            raise Unsound(CHANGED)

    def _oracle(
        self,
        door: Door,
        rows: Tensor,
        access: Access,
        early_stop: bool,
        closest: bool,
        views: Draw,
    ) -> Oracle[Any]:
        x = door.fit(self.x[rows])
        return Oracle(
            door,
            x,
            _to(self.goal[rows], door.device),
            _to(self.threat[rows], door.device),
            loss=None if self.loss is None else as_loss(self.loss),
            budget=self.budget,
            early_stop=early_stop,
            access=access,
            closest=closest,
            draw=views.to(x.device),
        )


def _check_batches(batch_size: int | None, ids: int, n: int) -> None:
    if batch_size is not None:
        require_whole("batch_size", batch_size)
    if ids != n:
        raise Invalid("ids", f"<{ids} ids>", f"one for each of {n} inputs")


def _check_model(model: Any) -> None:  # noqa: ANN401
    if not callable(model):
        hint = "pass its .model" if callable(getattr(model, "model", None)) else ""
        raise Invalid("model", f"<{type(model).__name__}>", "a torch module or a function", hint)


def attack_rows(attack: Attack[Any], oracle: Oracle[Any], draw: Draw) -> str | None:
    """Run one attack on one oracle; return the traceback if it raised, else None."""
    error = None
    try:
        with interrupts():
            attack(*oracle.shrink(draw, at=1.0))
    except Exhausted:
        pass
    except (Unsupported, Unsound, Unanswered):
        raise
    except Exception:  # noqa: BLE001 - an attack is foreign code; its failure is a verdict
        error = traceback.format_exc()
    oracle.settle()
    return error


def verdict(ledger: Ledger, error: str | None) -> tuple[Status, ...]:
    """Status of each row: broken wins, then errors, then survived; not run if never asked."""
    failed = ledger.nonfinite > 0 if error is None else torch.ones_like(ledger.broken)
    columns = (ledger.broken.tolist(), failed.tolist(), ledger.tried.tolist())
    return tuple(
        Status.BROKEN if b else Status.ERROR if f else Status.SURVIVED if t else Status.NOT_RUN
        for b, f, t in zip(*columns, strict=True)
    )


def check_inputs(x: Tensor, goal: Goal, threat: ThreatModel) -> None:
    """Refuse inputs that no search could be right about, before any work."""
    if not isinstance(x, Tensor) or x.dim() < 2 or len(x) == 0:
        shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        hint = "" if isinstance(x, Tensor) else "torch.as_tensor makes a tensor of an array"
        raise Invalid("x", f"<{shape}>", "a tensor of shape (B, *F) with at least one sample", hint)
    if not x.is_floating_point():
        raise Invalid("x", f"<dtype {x.dtype}>", "floats", "for 8-bit images use x.float() / 255")
    label = getattr(goal, "label", None)
    if label is not None and len(label) != len(x):
        raise Invalid("y", f"<{len(label)} labels>", f"one label for each of {len(x)} inputs")
    eps = getattr(threat, "eps", None)
    if isinstance(eps, Tensor) and eps.dim() == 1 and len(eps) != len(x):
        raise Invalid("eps", f"<{len(eps)} radii>", f"a number, or one for each of {len(x)} inputs")
    inside = threat.contains(x, threat.start(x), 1e-6)
    if not bool(inside.all()):
        low, high = float(x.min()), float(x.max())
        raise Invalid(
            "x",
            f"<values from {low:.4g} to {high:.4g}>",
            f"finite and within the input range of {threat}",
            _into_range(low, high),
        )


def _into_range(low: float, high: float) -> str:
    """What to do about values from low to high; what they look like comes first."""
    said = "put normalisation into the model as a layer, or set box=(low, high)"
    if low >= 0 and 128 <= high <= 255 and high == int(high):
        return f"scale the inputs, as x / 255 does with 8-bit images, {said}"
    return said if low < 0 else f"scale the inputs, {said}"


def _to(part: Any, device: torch.device | None) -> Any:  # noqa: ANN401 - a goal or a threat
    return part.to(device) if device is not None and hasattr(part, "to") else part


def _found(oracle: Oracle[Any], error: str | None) -> Found:
    ledger, clean = oracle.ledger, oracle.goal.margin(oracle.clean).double()
    hits = oracle.retry()
    return Found(
        x_adv=oracle.threat.apply(oracle.x, ledger.u),
        u=ledger.u,
        margin=torch.where(ledger.margin.isneginf() & clean.isnan(), clean, ledger.margin),
        clean_margin=clean,
        status=verdict(ledger, error),
        cost=ledger.cost,
        nonfinite=ledger.nonfinite,
        zero_gradient=ledger.zero_gradient,
        error=error,
        hits=hits,
    )


def _join(parts: list[Found]) -> Found:
    def cat(name: str) -> Tensor:
        return torch.cat([getattr(p, name).detach() for p in parts])

    return Found(
        x_adv=cat("x_adv"),
        u=cat("u"),
        margin=cat("margin"),
        clean_margin=cat("clean_margin"),
        status=tuple(s for p in parts for s in p.status),
        cost=join_costs([p.cost for p in parts]),
        nonfinite=cat("nonfinite"),
        zero_gradient=cat("zero_gradient"),
        error=next((p.error for p in parts if p.error is not None), None),
        hits=None if parts[0].hits is None else cat("hits"),
    )


def join_costs(costs: list[Cost]) -> Cost:
    """Costs of consecutive batches as those of one."""
    return Cost(
        torch.cat([c.forward for c in costs]),
        torch.cat([c.backward for c in costs]),
        sum(c.rows_forward for c in costs),
        sum(c.rows_backward for c in costs),
    )
