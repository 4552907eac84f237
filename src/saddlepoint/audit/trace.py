"""``curve``: robust accuracy at every radius, from one minimum-norm run."""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from saddlepoint.audit.curve import Curve
from saddlepoint.audit.result import About
from saddlepoint.audit.samples import Samples, as_samples
from saddlepoint.audit.session import held
from saddlepoint.audit.spool import spool
from saddlepoint.audit.sweep import Sweep, default_nearest
from saddlepoint.audit.team import Team
from saddlepoint.audit.tracing import Progress, Tracing
from saddlepoint.core.access import Access, Attack
from saddlepoint.core.door import Door, Model, Precision
from saddlepoint.core.target import Target, as_target
from saddlepoint.core.threat import Graded

__all__ = ["curve"]


def curve(
    model: Model,
    data: Samples | tuple[Tensor, Tensor],
    threat: Graded,
    attack: Attack[Any] | None = None,
    *,
    n: int | None = None,
    seed: int = 0,
    precision: Precision = "float32",
    batch_size: int | None = None,
    confidence: float = 0.95,
    out: str | Path | None = None,
    target: Target | Tensor | int | str | None = None,
    access: Access = "gradients",
    about: About | None = None,
    progress: Progress | None = None,
) -> Curve:
    """Measure robust accuracy at every radius up to the threat model's own, in one run.

    An attack looks for the closest break of each of the first n samples; a sample is robust at the
    radii below it. attack: ``default_nearest`` unless given; any attack will do. out: a folder for
    curve.json, distances.npz, witnesses.safetensors and the figure; calling again with the same
    arguments continues an interrupted run. target: the class that the adversary wants, as in
    ``audit``; None: any but the label. access: what the attack may see of the model.

    Raises ``Invalid`` for what cannot be measured, before any long work.

    >>> from saddlepoint import L2
    >>> import torch
    >>> model = torch.nn.Linear(2, 2)
    >>> x = torch.rand(8, 2)
    >>> found = curve(model, (x, 1 - model(x).argmax(1)), L2(eps=0.5))
    >>> found.at(0).accuracy, found.median
    (0.0, 0.0)
    """
    folder = None if out is None else Path(out)
    with held(folder, Team()) as files:
        samples = as_samples(data)
        if samples is None:
            samples = files.enter_context(contextlib.closing(spool(data, n, folder)))
        sweep = Sweep(
            threat=threat,
            attack=default_nearest(threat, access) if attack is None else attack,
            n=len(samples) if n is None else n,
            seed=seed,
            precision=precision,
            confidence=confidence,
            batch_size=Door(model, precision).batch_size if batch_size is None else batch_size,
            target=as_target(target),
            access=access,
        )
        if sweep.target is not None:
            sweep = replace(sweep, target=sweep.target.first(sweep.n))
        tracing = Tracing(sweep, model, samples, about or About(), folder)
        return tracing.run(progress or (lambda *_: None))
