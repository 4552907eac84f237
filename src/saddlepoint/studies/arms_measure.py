"""One link measured: four audits, what their checks say, and witnesses played back."""

import time
from pathlib import Path
from typing import Any

from torch import nn

from saddlepoint.audit import Audit, audit
from saddlepoint.audit.replay import Witnesses, replay
from saddlepoint.audit.stats import clopper_pearson
from saddlepoint.data import Dataset
from saddlepoint.studies.arms_link import Attacks, Link
from saddlepoint.studies.arms_nets import Nets
from saddlepoint.studies.arms_plan import ArmsPlan
from saddlepoint.studies.measure import Row

__all__ = ["measure_link"]


def measure_link(plan: ArmsPlan, link: Link, nets: Nets, data: Dataset, folder: Path) -> Row:
    """Return the row of a link.

    clean, rejected: shares of clean inputs that the defence gets right, and rejects. undefended,
    claimed, true: robust accuracy of the undefended net under the adaptive attacks, and of the
    defended one under the naive and the adaptive ones. naive: that of the undefended net under the
    naive attacks. flagged: checks that warn or fail in the audits of ``claimed`` and of
    ``undefended``. replayed: how many of the adaptive witnesses, found on the copy that gives its
    gradients away, break the defence itself.
    """
    begin = time.monotonic()
    control, defended = nets.control(), nets.defended(link.defence)
    run = _Run(plan, link, data)
    naive = run.audit(control, link.naive, 0)
    undefended = run.audit(control, link.adaptive, plan.probes)
    claimed = run.audit(defended, link.naive, plan.probes)
    true = run.audit(nets.known(link.defence), link.adaptive, 0, folder)
    held = replay(Witnesses.load(folder), defended, data.split("test"), link.threat)
    n, e = plan.test_n, claimed.evidence
    return {
        **link.describe(),
        "clean": _share(round(claimed.clean_accuracy * n), n),
        "rejected": float((e.prediction == data.classes).mean()),
        "naive": _robust(naive),
        "undefended": _robust(undefended),
        "claimed": _robust(claimed),
        "true": _robust(true),
        "flagged": {"claimed": _flagged(claimed), "undefended": _flagged(undefended)},
        "replayed": {"witnesses": held.checked, "hold": held.checked - len(held.failed)},
        "seconds": round(time.monotonic() - begin, 2),
    }


class _Run:
    def __init__(self, plan: ArmsPlan, link: Link, data: Dataset) -> None:
        self.plan, self.link, self.data = plan, link, data

    def audit(
        self, model: nn.Module, attacks: Attacks, probes: int, out: Path | None = None
    ) -> Audit:
        half = self.data.split("test")
        options: Any = {"n": self.plan.test_n, "seed": self.plan.seed, "probes": probes}
        return audit(model, half, self.link.threat, attacks, out=out, figures=0, **options)


def _robust(found: Audit) -> Row:
    n = found.evidence.plan.n
    return _share(round(found.robust_accuracy * n), n)


def _share(hits: int, n: int) -> Row:
    low, high = clopper_pearson(hits, n)
    return {"accuracy": hits / n, "n": n, "interval": [low, high]}


def _flagged(found: Audit) -> list[str]:
    return [f"{f.check}: {f.verdict}" for f in found.findings if f.verdict in ("warn", "fail")]
