"""Measurements for the report's figures: small searches beside the audit, not part of its verdict.

Each works on the first m samples that are classified correctly, and its cost is not the audit's.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.attacks import FGSM, PGD, Refine
from saddlepoint.attacks.parts import everywhere
from saddlepoint.audit.stats import clopper_pearson
from saddlepoint.core.access import Attack
from saddlepoint.core.detected import wanted
from saddlepoint.core.door import Door
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.expect import mean
from saddlepoint.core.loss import CrossEntropy
from saddlepoint.core.oracle import Oracle
from saddlepoint.core.referee import nth
from saddlepoint.core.search import attack_rows
from saddlepoint.core.threat import Convex, Graded, Gridded, ThreatModel

__all__ = ["Bench", "eps_curve", "landscape", "maxima", "steps_curve"]

Json = dict[str, Any]
EPS_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
STEPS = (0, 1, 2, 5, 10, 20, 50, 100)
RESTARTS = 30
MAXIMA_SAMPLES = 8


class Bench:
    """A model, a few samples, and how to attack them."""

    def __init__(
        self,
        door: Door,
        x: Tensor,
        y: Tensor,
        rows: Tensor,
        seed: int,
        target: Tensor | None = None,
    ) -> None:
        self.door, self.seed, self.target = door, seed, target
        self.x = door.fit(x)
        self.y, self.rows = y.to(self.x.device), rows.to(self.x.device)
        self.goal = wanted(door.model, self.y, target)

    def __getitem__(self, keep: slice) -> "Bench":
        target = None if self.target is None else self.target[keep]
        return Bench(self.door, self.x[keep], self.y[keep], self.rows[keep], self.seed, target)

    def attack(
        self,
        attack: Attack[Any],
        threat: ThreatModel,
        tag: str,
        early_stop: bool = True,
    ) -> Oracle[Any]:
        """Run one attack on all samples, in each part of the set that has some.

        The oracle's ledger holds the result.
        """
        attack, draw = everywhere(attack, threat), Draw.of(self.seed, self.rows).tag("probe", tag)
        options: Any = {"early_stop": early_stop, "draw": draw.tag("views")}
        oracle = Oracle(self.door, self.x, self.goal, threat, **options)
        error = attack_rows(attack, oracle, draw)
        if error is not None:
            raise Unsupported(f"an attack failed: {error.strip().splitlines()[-1]}")
        return oracle

    def loss(self, x: Tensor) -> Tensor:
        """(B,) cross-entropy at x; under transformations the mean over the same few draws."""
        views = Draw.of(self.seed, self.rows).tag("loss")
        count = 1 if self.door.under is None else self.door.eot
        outs = [self.door.scores(x, nth(views, k)) for k in range(count)]
        return mean([CrossEntropy()(out, self.goal) for out in outs])


def _shares(unbroken: list[int], n: int) -> Json:
    bounds = [clopper_pearson(k, n) for k in unbroken]
    return {
        "accuracy": [k / n for k in unbroken],
        "low": [b[0] for b in bounds],
        "high": [b[1] for b in bounds],
    }


def eps_curve(bench: Bench, threat: Graded, eps: float) -> Json:
    """Robust accuracy under PGD against the radius, up to twice the threat model's.

    Of a set of few parameters, under a coarse grid that is refined once.
    """
    sizes, unbroken = [], []
    attack: Any = PGD(steps=20)
    if isinstance(threat, Gridded):
        attack = Refine(rounds=1, keep=2)
    for share in EPS_SHARES:
        try:
            set_ = threat.at(share * eps)
            oracle = bench.attack(attack, set_, "eps")
        except Invalid:  # a radius that is wider than the input range
            break
        sizes.append(share * eps)
        unbroken.append(int((~oracle.ledger.broken).sum()))
    # A witness at a small radius is one at every larger radius.
    unbroken = np.minimum.accumulate(unbroken).tolist()
    return {"eps": sizes, "attack": repr(attack), **_shares(unbroken, len(bench.y))}


def steps_curve(bench: Bench, threat: ThreatModel) -> Json:
    """Robust accuracy under PGD against its number of steps."""
    unbroken = [len(bench.y)]
    for steps in STEPS[1:]:
        oracle = bench.attack(PGD(steps=steps), threat, "steps")
        unbroken.append(int((~oracle.ledger.broken).sum()))
    return {"steps": list(STEPS), **_shares(unbroken, len(bench.y))}


def landscape(bench: Bench, threat: Convex) -> Json:
    """Loss along x + t u for the u of FGSM and of PGD, t in radii up to 2: beyond 1 is outside."""
    t = np.linspace(0, 2, 21)
    start = threat.start(bench.x)
    found = {
        "fgsm": bench.attack(FGSM(), threat, "line", early_stop=False).ledger.u,
        "pgd": bench.attack(PGD(steps=40), threat, "line", early_stop=False).ledger.u,
    }
    said: Json = {"t": t.round(3).tolist(), "loss": "cross-entropy"}
    for name, u in found.items():
        lines = torch.stack(
            [bench.loss(threat.apply(bench.x, start + float(s) * (u - start))) for s in t]
        )
        low, high = torch.quantile(lines, torch.tensor([0.25, 0.75], device=u.device).to(u), dim=1)
        said[name] = {
            "mean": lines.mean(1).tolist(),
            "low": low.tolist(),
            "high": high.tolist(),
        }
    return said


def maxima(bench: Bench, threat: ThreatModel) -> Json:
    """Final loss of many PGD runs from random starts, for a few samples."""
    few = bench[:MAXIMA_SAMPLES]
    n = len(few.y)
    many = Bench(
        bench.door,
        few.x.repeat_interleave(RESTARTS, 0),
        few.y.repeat_interleave(RESTARTS, 0),
        torch.arange(n * RESTARTS),
        bench.seed,
        None if few.target is None else few.target.repeat_interleave(RESTARTS, 0),
    )
    spread = threat[torch.arange(n, device=few.x.device).repeat_interleave(RESTARTS)]
    oracle = many.attack(PGD(steps=40), spread, "maxima", early_stop=False)
    loss = many.loss(spread.apply(many.x, oracle.ledger.u)).reshape(n, RESTARTS)
    return {
        "index": few.rows.tolist(),
        "loss": "cross-entropy",
        "attack": "PGD(steps=40)",
        "values": loss.tolist(),
    }
