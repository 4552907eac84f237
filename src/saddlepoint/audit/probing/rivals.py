"""Attackers that do without the model's own gradients: score search, and transfer."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.attacks import PGD, Restarts, Sequence, Square, Targets
from saddlepoint.audit.evidence import Evidence, code
from saddlepoint.audit.probes import Bench
from saddlepoint.audit.probing.probe import Json, Probe
from saddlepoint.core.access import Attack
from saddlepoint.core.detected import rejects
from saddlepoint.core.door import Door
from saddlepoint.core.ledger import Status
from saddlepoint.core.threat import Gridded

__all__ = ["black_box", "transfer"]

Array = np.ndarray[Any, Any]
QUERIES = 1000
DRAWS = 4
STEPS = 20
_RIVAL: Attack[Any] = Sequence(
    (
        Targets(PGD(steps=STEPS, loss="margin"), n=4),
        Restarts(PGD(steps=STEPS, loss="probability-margin"), n=4),
    )
)


def black_box(p: Probe) -> Json:
    """Samples that a score search breaks, of the survivors that came nearest to breaking.

    A few that gradients almost broke show more than many that nothing moves. Gradients get another
    chance at the same samples, and at those that only a score search of the audit has broken, so
    that neither side has looked harder.
    """
    if isinstance(p.threat, Gridded):
        p.need_ascent()
    near, claimed = _nearest(p, max(1, len(p.rows) // 4)), _claimed(p.evidence)[: len(p.rows)]
    both = np.union1d(near, claimed)
    attack = Square(n_queries=QUERIES)
    return {
        "attack": repr(attack),
        "index": near.tolist(),
        "broken": _broken(p, attack, near),
        "climbed": both.tolist() if p.climbs else [],
        "gradients": _broken(p, _RIVAL, both) if p.climbs else [],
    }


def _nearest(p: Probe, count: int) -> Array:
    """Sample numbers of the survivors with the worst margins."""
    verdict, margin = p.evidence.verdict(), p.evidence.margin()
    stood = np.flatnonzero(verdict == code(Status.SURVIVED))
    order = np.argsort(-np.nan_to_num(margin[stood], nan=-np.inf), kind="stable")
    return np.sort(stood[order][:count])


def _claimed(e: Evidence) -> Array:
    """Sample numbers that rounds without gradients have broken, and no round with them."""
    by_scores = [r for r in e.attacks if not (r.backward > 0).any()]
    others = [e.rounds[0], *(r for r in e.attacks if (r.backward > 0).any())]
    return np.flatnonzero(e.marked(Status.BROKEN, by_scores) & ~e.marked(Status.BROKEN, others))


def _broken(p: Probe, attack: Attack[Any], rows: Array) -> list[int]:
    """Sample numbers that the attack breaks, of those given."""
    if not len(rows):
        return []
    bench, threat = p.around(torch.from_numpy(rows))
    ledger = bench.attack(attack, threat, "black box").ledger
    p.charge(ledger)
    found: list[int] = bench.rows[ledger.broken].tolist()
    return found


class _Blurred:
    """A stand-in for the model: its mean scores under Gaussian noise on the input.

    Where a defence shatters, saturates or hides gradients, the mean over a neighbourhood still
    slopes (1802.00420, section 4.2), and what fools it often fools the model.
    """

    def __init__(self, door: Door, width: Tensor) -> None:
        self.door, self.width, self.rows = door, width, 0
        self.rejects = rejects(door.model)  # as the model that it stands for

    def __call__(self, x: Tensor) -> Tensor:
        self.rows += DRAWS * len(x)
        noisy = [self.door.search(x + self.width * torch.randn_like(x)) for _ in range(DRAWS)]
        mean: Tensor = torch.stack(noisy).mean(0)
        return mean


def transfer(p: Probe) -> Json:
    """Samples that are broken by what breaks a blurred stand-in of the model."""
    p.need_ascent()
    x, door = p.bench.x, p.bench.door
    spread = p.threat.apply(x, p.threat.sample(x, p.draw.tag("blur"))) - x
    blurred = _Blurred(door, spread.square().mean().sqrt())
    attack: Any = PGD(steps=STEPS, loss="margin")
    with Door(blurred, seed=p.bench.seed, verify=False) as other:
        bench = Bench(other, x, p.bench.y, p.bench.rows, p.bench.seed, p.bench.target)
        u = bench.attack(attack, p.threat, "transfer", early_stop=False).ledger.u
    p.rows_forward += blurred.rows
    p.rows_backward += DRAWS * STEPS * len(x)
    return {
        "attack": repr(attack),
        "source": f"the model's mean scores over {DRAWS} draws of noise on the input",
        "broken": p.marked(p.judged(p.threat.apply(x, u), p.bench.y, p.rows)),
    }
