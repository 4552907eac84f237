"""Arms of an audit that come from surrogates and earlier runs."""

import dataclasses
from collections import abc
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from saddlepoint.attacks import (
    Earlier,
    PriorGuided,
    Refine,
    Sequence,
    SignHunter,
    Square,
    Transfer,
)
from saddlepoint.attacks.prior_guided import MADE, Suggestion
from saddlepoint.audit.borrowing.runs import EarlierRun, points_of
from saddlepoint.audit.cascade import Cascade
from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.ladder import Ladder
from saddlepoint.audit.listed import Listed
from saddlepoint.audit.plan import Strategy
from saddlepoint.audit.samples import Samples
from saddlepoint.core.access import Access, Attack
from saddlepoint.core.errors import Invalid
from saddlepoint.core.ledger import Status
from saddlepoint.core.shapes import pieces
from saddlepoint.core.surrogate import Surrogate, check_surrogates, opened
from saddlepoint.core.threat import Gridded, Parted, ThreatModel

__all__ = ["Borrowed"]

_BATCH = 256


@dataclass(frozen=True, eq=False)
class Borrowed:
    """Surrogates, and earlier runs on the same samples.

    They open a cascade on every sample, at one question each, and guide its score searches.
    """

    surrogates: tuple[Surrogate, ...] = ()
    runs: tuple[EarlierRun, ...] = ()

    @classmethod
    def of(cls, surrogates: abc.Sequence[Any], warm: abc.Sequence[str | Path]) -> "Borrowed":
        """Take models or surrogates, and folders of finished runs."""
        return cls(check_surrogates(surrogates), tuple(points_of(folder) for folder in warm))

    def __bool__(self) -> bool:
        return bool(self.surrogates or self.runs)

    def check(self, samples: Samples, classes: int) -> None:
        """Raise ``BadData`` and ``Invalid`` for what is about other samples or classes."""
        for run in self.runs:
            run.check(samples)
        x, _ = samples.batch(torch.arange(1))
        for one in self.surrogates:
            with opened((one,)) as door:
                found = int(door.scores(x).shape[1])
            if found != classes:
                allowed = f"a model with the {classes} classes of the one under attack"
                raise Invalid("surrogates", f"<{one!r}, {found} classes>", allowed)

    # -- arms ----------------------------------------------------------------------------------

    def joined(self, strategy: Strategy, threat: ThreatModel, access: Access) -> Strategy:
        """Return the strategy with these arms in it.

        Raises ``Invalid`` where attacks were listed and none of them has a use for what is given.
        """
        if not self:
            return strategy
        if isinstance(strategy, Cascade):
            return self._opening(strategy, threat, access)
        if isinstance(strategy, Listed):
            attacks = tuple(_rebuilt(a, self._given) for a in strategy.attacks)
            if attacks == strategy.attacks:
                hint = "put Transfer(), PriorGuided() or Earlier() among the attacks"
                allowed = "left out beside attacks in order that have no use for them"
                name = "surrogates" if self.surrogates else "warm"
                raise Invalid(name, f"<{len(self.surrogates or self.runs)}>", allowed, hint)
            return replace(strategy, attacks=attacks)
        return strategy

    def _opening(self, whole: Cascade, threat: ThreatModel, access: Access) -> Cascade:
        first: tuple[Attack[Any], ...] = (*self.earlier, *self.transfers(threat))
        if access != "scores" or isinstance(threat, Parted):
            return replace(whole, first=first)
        ladders = (
            Ladder(tuple(self._guided(a) for a in one.rungs), one.passes) for one in whole.ladders
        )
        return replace(
            whole, first=first, opening=self._guided(whole.opening), ladders=tuple(ladders)
        )

    @property
    def earlier(self) -> tuple[Earlier, ...]:
        """One attack for each run."""
        return tuple(Earlier(run.points) for run in self.runs)

    def transfers(self, threat: ThreatModel) -> tuple[Transfer, ...]:
        """Attacks on all surrogates at once, then on each alone."""
        teams = [self.surrogates] if self.surrogates else []
        teams += [(one,) for one in self.surrogates] if len(self.surrogates) > 1 else []
        if isinstance(threat, Gridded):  # which a search covers better than a gradient
            return tuple(Transfer(Refine(), team) for team in teams)
        return tuple(replace(made, surrogates=team) for team in teams for made in MADE)

    def _guided(self, attack: Attack[Any]) -> Attack[Any]:
        """Replace a blind search by one that these guide."""
        parts = attack.attacks if isinstance(attack, Sequence) else (attack,)
        if not all(isinstance(part, Square | SignHunter) for part in parts):
            return attack
        starts: tuple[Suggestion, ...] = (*self.earlier, *(MADE if self.surrogates else ()))
        queries = sum(getattr(part, "n_queries", 0) for part in parts)
        return PriorGuided(queries, self.surrogates, starts)

    def _given(self, attack: Any) -> Any:  # noqa: ANN401 - an attack or a part of one
        """Fill in what an attack that was written without it needs."""
        if isinstance(attack, Earlier) and attack.points is None and self.runs:
            return self.earlier[0] if len(self.runs) == 1 else self.earlier
        if isinstance(attack, Transfer | PriorGuided) and not attack.surrogates:
            return replace(attack, surrogates=self.surrogates)
        return attack

    # -- what came of them ---------------------------------------------------------------------

    def summary(self, e: Evidence, samples: Samples) -> dict[str, Any]:
        """Return, as JSON, how good the surrogates are and what was broken with their help."""
        first, counts = e.broken_by(), {}
        for name, start in (("transfer", "Transfer("), ("earlier", "Earlier(")):
            rounds = {i: r for i, r in enumerate(e.rounds) if r.arm.startswith(start)}
            counts[name] = {
                "rounds": len(rounds),
                "broken": int(e.marked(Status.BROKEN, list(rounds.values())).sum()),
                "newly_broken": int(sum((first == i).sum() for i in rounds)),
            }
        return {
            "surrogates": [self._portrait(one, e, samples) for one in self.surrogates],
            "runs": [
                {
                    "run": repr(run.points),
                    "model": str(run.document["model"].get("name", "")),
                    "threat": str(run.document["plan"]["threat"]),
                    "witnesses": int((run.points.ids < e.n).sum()),
                }
                for run in self.runs
            ],
            **counts,
        }

    def _portrait(self, one: Surrogate, e: Evidence, samples: Samples) -> dict[str, Any]:
        right = same = 0
        with opened((one,)) as door:
            for rows in pieces(torch.arange(e.n), _BATCH):
                said = door.scores(samples.batch(rows)[0]).argmax(1).cpu().numpy()
                right += int((said == e.label[rows.numpy()]).sum())
                same += int((said == e.prediction[rows.numpy()]).sum())
        return {
            "name": one.name,
            "sha256": one.sha256,
            "clean_accuracy": right / e.n,
            "agreement": same / e.n,
        }


def _rebuilt(attack: Any, swap: Callable[[Any], Any]) -> Any:  # noqa: ANN401
    """Return an attack in which every part, the inner ones first, went through ``swap``."""
    if isinstance(attack, tuple):
        made = [_rebuilt(part, swap) for part in attack]
        return tuple(q for p in made for q in (p if isinstance(p, tuple) else (p,)))
    if not dataclasses.is_dataclass(attack) or isinstance(attack, type | Surrogate):
        return attack
    parts = {f.name: getattr(attack, f.name) for f in dataclasses.fields(attack) if f.init}
    new = {k: _rebuilt(v, swap) for k, v in parts.items()}
    changed = {k: v for k, v in new.items() if v is not parts[k] and v != parts[k]}
    return swap(replace(attack, **changed) if changed else attack)
