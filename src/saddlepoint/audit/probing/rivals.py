"""Attackers that do without the model's own gradients: score search, and transfer."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.attacks import PGD, Restarts, Sequence, Square, Targets
from saddlepoint.audit.evidence import code
from saddlepoint.audit.probes import Bench
from saddlepoint.audit.probing.probe import Json, Probe
from saddlepoint.core.access import Attack
from saddlepoint.core.door import Door
from saddlepoint.core.ledger import Status

__all__ = ["black_box", "transfer"]

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
    chance at the same samples, so that neither side has looked harder.
    """
    verdict, margin = p.evidence.verdict(), p.evidence.margin()
    stood = np.flatnonzero(verdict == code(Status.SURVIVED))
    order = np.argsort(-np.nan_to_num(margin[stood], nan=-np.inf), kind="stable")
    rows = np.sort(stood[order][: max(1, len(p.bench.rows) // 4)])
    attack = Square(n_queries=QUERIES)
    said: Json = {"attack": repr(attack), "index": rows.tolist(), "broken": [], "gradients": []}
    if not len(rows):
        return said
    bench, threat = p.around(torch.from_numpy(rows))
    rivals = {"broken": attack, "gradients": _RIVAL} if p.climbs else {"broken": attack}
    for name, rival in rivals.items():
        ledger = bench.attack(rival, threat, name).ledger
        p.charge(ledger)
        said[name] = bench.rows[ledger.broken].tolist()
    return said


class _Blurred:
    """A stand-in for the model: its mean scores under Gaussian noise on the input.

    Where a defence shatters, saturates or hides gradients, the mean over a neighbourhood still
    slopes (1802.00420, section 4.2), and what fools it often fools the model.
    """

    def __init__(self, door: Door, width: Tensor) -> None:
        self.door, self.width, self.rows = door, width, 0

    def __call__(self, x: Tensor) -> Tensor:
        self.rows += DRAWS * len(x)
        noisy = [self.door.search(x + self.width * torch.randn_like(x)) for _ in range(DRAWS)]
        mean: Tensor = torch.stack(noisy).mean(0)
        return mean


def transfer(p: Probe) -> Json:
    """Samples that are broken by what breaks a blurred stand-in of the model."""
    p.need_gradients()
    x, door = p.bench.x, p.bench.door
    spread = p.threat.apply(x, p.threat.sample(x, p.draw.tag("blur"))) - x
    blurred = _Blurred(door, spread.square().mean().sqrt())
    attack: Any = PGD(steps=STEPS, loss="margin")
    with Door(blurred, seed=p.bench.seed, verify=False) as other:
        bench = Bench(other, x, p.bench.y, p.bench.rows, p.bench.seed)
        u = bench.attack(attack, p.threat, "transfer", early_stop=False).ledger.u
    p.rows_forward += blurred.rows
    p.rows_backward += DRAWS * STEPS * len(x)
    return {
        "attack": repr(attack),
        "source": f"the model's mean scores over {DRAWS} draws of noise on the input",
        "broken": p.marked(p.judged(p.threat.apply(x, u), p.bench.y)),
    }
