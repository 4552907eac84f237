"""The audit itself: plan, rounds, evidence, report."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.audit.borrowing import Borrowed
from saddlepoint.audit.logged import log_audit
from saddlepoint.audit.plan import Plan, check_queries
from saddlepoint.audit.progress import Progress, heard
from saddlepoint.audit.proving.settings import Verification
from saddlepoint.audit.result import About, Audit
from saddlepoint.audit.samples import Data, Samples, as_samples
from saddlepoint.audit.session import Session, held
from saddlepoint.audit.spool import spool
from saddlepoint.audit.suites import strategy
from saddlepoint.audit.team import Team
from saddlepoint.core.access import SEEN, Access, Attack, granted
from saddlepoint.core.door import Door, Model, Precision
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.expectation import Expectation
from saddlepoint.core.metered import is_metered
from saddlepoint.core.surrogate import Surrogate
from saddlepoint.core.target import Target, as_target
from saddlepoint.core.threat import ThreatModel
from saddlepoint.models.foreign import as_model
from saddlepoint.models.perceptual import Perceptual
from saddlepoint.train.loggers import Logger, check_logger

__all__ = ["audit"]


def _seeing(network: Perceptual | nn.Module | None, samples: Samples) -> Perceptual | None:
    """Return the network as a distance; refuses one that does not take the samples."""
    if network is None:
        return None
    seen = network if isinstance(network, Perceptual) else Perceptual(network)
    x, _ = samples.batch(torch.arange(1))
    seen.check(x.to(seen.kind))
    return seen


def audit(
    model: Any,  # noqa: ANN401 - a module, a callable, or what ``as_model`` takes
    data: Data,
    threat: ThreatModel,
    attacks: tuple[Attack[Any], ...] | Attack[Any] | str | None = None,
    *,
    effort: str = "standard",
    max_passes: float | None = None,
    max_queries: int | None = None,
    survivors: int | None = None,
    n: int | None = None,
    seed: int = 0,
    access: Access | None = None,
    precision: Precision = "float32",
    batch_size: int | None = None,
    eot: int = 1,
    votes: int = 1,
    under: Expectation | None = None,
    verify: Verification | float | bool | None = None,
    target: Target | Tensor | int | str | None = None,
    perceptual: Perceptual | nn.Module | None = None,
    surrogates: Sequence[Surrogate | nn.Module] = (),
    warm: Sequence[str | Path] = (),
    confidence: float = 0.95,
    out: str | Path | None = None,
    about: About | None = None,
    figures: int = 64,
    probes: int | None = None,
    force: bool = False,
    progress: Progress | bool = False,
    team: Team | None = None,
    logger: Logger | str | None = None,
) -> Audit:
    """Attack a model on the first n samples and report what withstood, with evidence.

    data: a pair (x, y) of tensors or arrays, a split of ``load_data``, or a loader of batches
    (x, y): it is read once, into a file without a name in ``out`` or the temporary folder. attacks:
    one, or a tuple, in order, each on what still stands; ``"autoattack"``, the standard suite;
    None, the cascade, which spends ``max_passes`` (or what ``effort`` says: quick 80, standard 300,
    thorough 2000) per sample where breaks are, and lets ``survivors`` of what is left meet the
    standard suite. out: a folder for the run's files; calling again with the same arguments
    continues an interrupted run.
    eot, votes: for a randomised model, the passes that each answer to an attack is averaged over,
    and the fresh draws whose majority decides whether a sample is broken, or right when clean.
    under: transformations that an input goes through on its way to the model; they say how many
    passes and draws there are, and an effort's passes are counted in questions of that many.
    verify: CPU seconds to prove the survivors robust in (True: 300), or a ``Verification``; the
    share of them that is proved is ``certified_accuracy``. What cannot be verified is not, and the
    result says why.
    target: the class that the adversary wants: an index, ``"next"`` (after the label),
    ``"runner-up"`` or ``"least-likely"`` (of the clean scores), or a tensor with one for each
    sample; None: any but the label. Robust then means not moved there, and samples whose label is
    the target count as such (``counts.at_target``).
    perceptual: a network, whose distance from input to witness (LPIPS, by its activations) the
    report, ``table()`` and ``audit.json`` then give; it changes nothing else.
    max_queries: how often one sample may be asked about over the whole audit, the clean input
    included: a hard limit, all of which goes to what survives where there are no gradients.
    surrogates: other models, of which all is known; warm: folders of finished runs on the same
    samples. What breaks these opens the audit, at a question each, whatever ``access`` is.
    figures: samples behind the report's curves, 0 for none. probes: samples that the health checks
    measure on, after the search; 0 for none, which is what a model gets that is paid for by the
    question; 64 for others. force: go on when clean accuracy is at chance, or the
    model returns probabilities. progress: True says on the standard error what each attack left; a
    function is called with (attack's name, samples done, to do, broken so far). team: this process
    among several that share ``out``, as ``gathered()`` gives it under torchrun. logger: where the
    headline numbers are logged at the end: ``tensorboard`` or ``csv`` in ``out``, ``wandb``,
    ``mlflow``, or a ``Logger`` of lightning-fabric.

    Raises ``Invalid`` for what cannot be audited, before any long work, and ``Unsound`` where a
    bound contradicts an attack.

    >>> import torch
    >>> from saddlepoint import PGD, Linf
    >>> model = torch.nn.Linear(2, 2)
    >>> x = torch.rand(8, 2)
    >>> result = audit(model, (x, model(x).argmax(1)), Linf(eps=0.0), (PGD(steps=2),))
    >>> result.robust_accuracy
    1.0
    """
    if under is not None:
        eot, votes = _counts(under, eot, votes)
    check_queries(max_queries)
    check_logger(logger, out)
    model = as_model(model)
    access, wanted = granted(access_to(model), access), _wanted(target, access_to(model))
    folder, team = None if out is None else Path(out), _checked(team or Team(), out, model)
    samples = as_samples(data)
    borrowed, price = Borrowed.of(surrogates, warm), under.draws if under else 1
    chosen = strategy(attacks, threat, access, effort, max_passes, survivors, price, max_queries)
    # Of a loader nobody knows the length; what else is wrong is said before it is read.
    known = 1 if samples is None else len(samples)
    plan = Plan(
        threat=threat,
        strategy=borrowed.joined(chosen, threat, access),
        n=known if n is None else n,
        seed=seed,
        access=access,
        precision=precision,
        confidence=confidence,
        batch_size=Door(model, precision).batch_size if batch_size is None else batch_size,
        eot=eot,
        votes=votes,
        verify=Verification.of(verify),
        target=wanted,
        under=under,
        max_queries=max_queries,
    )
    with held(folder, team) as files:
        if samples is None:
            samples = files.enter_context(contextlib.closing(spool(data, n, folder)))
            plan = replace(plan, n=len(samples) if n is None else n)
        if plan.target is not None:
            plan = replace(plan, target=plan.target.first(plan.n))
        session = Session(plan, model, samples, about or About(), folder, team, files)
        session.borrowed = borrowed or None
        session.perceptual = _seeing(perceptual, samples)
        few = (0 if is_metered(model) else 64) if probes is None else probes
        result = session.run(figures, force, heard(progress, plan.n), few)
    return log_audit(result, logger if team.first else None)


def _checked(team: Team, out: str | Path | None, model: Model) -> Team:
    """Refuse what several processes cannot share."""
    if out is None and team.size > 1:
        raise Invalid("out", None, "a folder that every process sees", "they meet in its journal")
    if is_metered(model) and team.size > 1:
        raise Unsupported("a model that is paid for by the question is asked by one process only")
    return team


def _wanted(target: Target | Tensor | int | str | None, own: Access) -> Target | None:
    """Return the target; raise ``Invalid`` for one that takes scores where there are none."""
    wanted = as_target(target)
    if wanted is not None and wanted.asks and own not in SEEN:
        allowed = f"a class or 'next': this model gives {own}, which do not rank the other classes"
        raise Invalid("target", str(wanted), allowed)
    return wanted


def access_to(model: Any) -> Access:  # noqa: ANN401
    """What a model lets itself be asked: modules anything, functions as well unless they say so."""
    own: Access = "gradients"
    return own if isinstance(model, nn.Module) else getattr(model, "access", own)


def _counts(under: Expectation, eot: int, votes: int) -> tuple[int, int]:
    """Return the counts that go with the transformations; raise ``Invalid`` for others beside."""
    for name, value, own in (("eot", eot, "draws"), ("votes", votes, "trials")):
        if value != 1:
            hint = f"Expectation({own}={value!r}) says the same"
            raise Invalid(name, value, "left out beside transformations", hint)
    return under.draws, under.trials
