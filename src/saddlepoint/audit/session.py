"""One audit from its plan to its files."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from saddlepoint.audit import probes
from saddlepoint.audit.checks import examine
from saddlepoint.audit.document import SCHEMA_VERSION, document
from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.gallery import gallery
from saddlepoint.audit.inspection import inspection
from saddlepoint.audit.journal import HEADER, Journal
from saddlepoint.audit.notable import notable
from saddlepoint.audit.perceptual import perceive
from saddlepoint.audit.plan import Plan
from saddlepoint.audit.preflight import first_look, refuse_chance, refuse_other_answers
from saddlepoint.audit.probing import measured
from saddlepoint.audit.progress import Progress
from saddlepoint.audit.proving import certificates
from saddlepoint.audit.proving.stage import prove
from saddlepoint.audit.result import About, Audit
from saddlepoint.audit.rounds import Rounds
from saddlepoint.audit.samples import Samples
from saddlepoint.audit.scores import ScoreTable
from saddlepoint.audit.store import npz_bytes, write_evidence, write_json
from saddlepoint.audit.team import Team
from saddlepoint.audit.witness_file import write_witnesses
from saddlepoint.core.door import Door, Model, state_hash
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.files import full_disk, write_bytes
from saddlepoint.core.lock import alone
from saddlepoint.core.metered import attached, is_metered
from saddlepoint.core.threat import Convex, Graded, Gridded
from saddlepoint.models.perceptual import Perceptual

if TYPE_CHECKING:
    from saddlepoint.audit.borrowing import Borrowed

__all__ = ["Session", "held", "model_hash"]


@contextlib.contextmanager
def held(folder: Path | None, team: Team) -> Iterator[contextlib.ExitStack]:
    """Hold the run's folder, made where it is missing, against other runs: for all processes.

    The first process makes and holds it; the others wait for that.

    Yields a stack for what has to be closed with it. Raises ``Invalid`` where another run holds
    the folder, or a file is in the way.
    """
    with contextlib.ExitStack() as files:
        if folder is None:
            yield files
            return
        new = not folder.exists()
        team.wait()  # each has looked before the first makes it, so that all know it was new
        try:
            if team.first:
                _make(folder)
                files.enter_context(alone(folder))
            team.wait()
            if not folder.is_dir():
                raise _elsewhere(folder)
            team.wait()  # each has seen it before one that is refused takes it away
            yield files
        except BaseException:
            files.close()
            if new:  # refused before it left anything; the last process to leave finds it empty
                with contextlib.suppress(OSError):
                    folder.rmdir()
            raise


def _elsewhere(folder: Path | None) -> Invalid:
    allowed = "a folder that every process sees"
    return Invalid("out", str(folder), allowed, "the first process wrote to another")


def _make(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise Invalid("out", str(folder), "a folder", "a file of that name is in the way")
    with full_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)


def model_hash(model: Model, of_file: str) -> str:
    """Hash of a module's parameters and buffers; of the file for models that hide theirs.

    A model without either may know a hash of its own.
    """
    if isinstance(model, nn.Module):
        return state_hash(model)
    return of_file or str(getattr(model, "sha256", ""))


@dataclass
class Session:
    """Plan, model, samples and folder of one call of ``audit``."""

    plan: Plan
    model: Model
    samples: Samples
    about: About
    folder: Path | None
    team: Team = field(default_factory=Team)
    files: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)  # closed at the end
    hashes: dict[str, str] = field(default_factory=dict)
    perceptual: Perceptual | None = None
    borrowed: "Borrowed | None" = None

    def run(self, figures: int, force: bool, progress: Progress, probes: int = 64) -> Audit:
        """Look, attack, measure what the figures need, examine, write."""
        p = self.plan
        door_of = Door(self.model, p.precision, p.seed, True, p.eot, p.votes, p.under)
        with attached(self.model, self.folder), door_of as door:
            look, notes = first_look(door, self.plan, self.samples, force)
            if self.borrowed is not None:
                self.borrowed.check(self.samples, look.shape[1])
            self.hashes = {
                "schema_version": SCHEMA_VERSION,
                "model_sha256": model_hash(self.model, self.about.model_sha256),
                "data_sha256": self.samples.sha256(self.plan.n),
            }
            scores = ScoreTable(self.plan.n, look.shape[1], self.folder)
            self.files.enter_context(contextlib.closing(scores))
            with contextlib.closing(self._journal()) as journal:
                evidence = Evidence.empty(self.plan, look.shape[1])
                evidence.notes = notes
                own = (journal, evidence, scores, progress, self.team)
                rounds = Rounds(door, self.plan, self.samples, *own)
                self._same_answers(door, journal, notes)
                self._search(rounds, force)
                if self.borrowed is not None:
                    evidence.borrowed = self.borrowed.summary(evidence, self.samples)
                if p.verify is not None:
                    evidence.proofs = prove(rounds, p.verify, self.folder)
                if self.perceptual is not None:
                    evidence.perceived = perceive(evidence, journal, self.samples, self.perceptual)
                if self.team.first:
                    evidence.probes = measured(rounds, self.folder, probes)
            if self.folder is not None and self.team.first:
                self._figures(self.folder, door, evidence, figures, progress)
                self._gallery(self.folder, door, evidence, journal, scores)
                self._insides(self.folder, door, evidence, journal, scores)
        if is_metered(self.model):  # at the end it looks once more whether it answers alike
            evidence.usage = self.model.usage()
        evidence.model_changed = door.changed
        return self._finish(evidence, journal, scores, str(door.device or "cpu"))

    def _search(self, rounds: Rounds, force: bool) -> None:
        """Ask about the clean inputs, then run what the strategy asks for."""
        try:
            rounds.clean()
            self.team.wait()  # all have read the journal before it may be thrown away
            if not force:
                refuse_chance(rounds.evidence)
        except Invalid:
            rounds.journal.discard()
            raise
        course = self.plan.strategy.begin(self.plan.n, self.plan.seed)
        while (move := course.next(rounds.evidence)) is not None:
            rounds.attack(move)

    def _journal(self) -> Journal:
        """Open the journal; of several processes the first claims the folder for all."""
        if self.team.first:
            journal = Journal.open(self.folder, self._header(), self.team.rank)
            self.team.wait()
            return journal
        self.team.wait()
        if self.folder is None or not (self.folder / HEADER).exists():
            raise _elsewhere(self.folder)
        try:
            return Journal.open(self.folder, self._header(), self.team.rank)
        except Invalid as error:
            who = f"<process {self.team.rank}>"
            hint = f"compared with the first, {error}"
            raise Invalid("process", who, "given the same model, data and plan", hint) from error

    def _header(self) -> dict[str, Any]:
        """What must be equal for a run to be continued; chunks tell batch sizes apart."""
        plan = {k: v for k, v in self.plan.describe().items() if k != "batch_size"}
        return {**self.hashes, "plan": plan, "saddlepoint": metadata.version("saddlepoint")}

    def _same_answers(self, door: Door, journal: Journal, notes: dict[str, float]) -> None:
        """Hashes cover weights, not code: compare what the model says now with the journal.

        Before anything is added to it: answers of two models must not meet in one journal. Under
        random transformations two answers differ anyhow.
        """
        record = journal.earliest(0)
        if record is None or self.plan.under is not None:
            return
        x, _ = self.samples.batch(torch.from_numpy(record["rows"]))
        refuse_other_answers(door.scores(door.fit(x)), record["scores"], notes, self.folder)

    def _finish(
        self, evidence: Evidence, journal: Journal, scores: ScoreTable, device: str
    ) -> Audit:
        findings = examine(evidence)
        said = document(evidence, findings, {**self._names(evidence), **self.hashes}, device)
        if self.folder is not None and self.team.first:
            self._write(self.folder, said, evidence, journal, scores)
        self.team.wait()  # the folder is complete when any process returns
        return Audit(said, evidence, findings, self.folder)

    def _names(self, evidence: Evidence) -> dict[str, Any]:
        model, about = self.model, self.about
        size = sum(p.numel() for p in model.parameters()) if isinstance(model, nn.Module) else 0
        shape = list(self.samples.batch(torch.arange(1))[0].shape[1:])
        return {
            "model": {
                "name": Path(about.model).name or about.model,
                "spec": about.model,
                "arch": about.arch,
                "parameters": size,
            },
            "data": {
                "name": about.data,
                "split": about.split,
                "classes": evidence.classes,
                "shape": shape,
            },
        }

    def _figures(
        self, folder: Path, door: Door, evidence: Evidence, count: int, progress: Progress
    ) -> None:
        """Measure the curves on the first samples that are classified correctly, once."""
        try:
            self._measure(folder / "figures.json", door, evidence, count, progress)
        except Unsupported:  # no gradients to follow: no figure may cost the result
            return

    def _measure(
        self, path: Path, door: Door, evidence: Evidence, count: int, progress: Progress
    ) -> None:
        right = evidence.fresh()[:count]
        if not len(right) or self.plan.access != "gradients" or path.exists():
            return
        progress("figures", 0, 0, 0)
        rows = torch.from_numpy(right)
        target = evidence.targets(rows)
        bench = probes.Bench(door, *self.samples.batch(rows), rows, self.plan.seed, target)
        threat: Any = self.plan.threat[rows]
        said: dict[str, Any] = {"n": len(right)}
        eps = getattr(threat, "eps", None)
        if isinstance(threat, Graded) and isinstance(eps, int | float) and eps > 0:
            said["eps_curve"] = probes.eps_curve(bench, threat, float(eps))
        if not isinstance(threat, Gridded):
            said["steps_curve"] = probes.steps_curve(bench, threat)
        if isinstance(threat, Convex):
            said["landscape"] = probes.landscape(bench, threat)
        said["maxima"] = probes.maxima(bench, threat)
        write_json(path, json.loads(json.dumps(said), parse_constant=lambda _: None))

    def _gallery(
        self, folder: Path, door: Door, evidence: Evidence, journal: Journal, scores: ScoreTable
    ) -> None:
        shown = gallery(evidence, journal, self.samples, scores, door)
        if shown is not None:
            write_bytes(folder / "gallery.npz", npz_bytes(shown))

    def _insides(
        self, folder: Path, door: Door, evidence: Evidence, journal: Journal, scores: ScoreTable
    ) -> None:
        """Show who stood and who fell, and what the model looks at."""
        shown = notable(evidence, journal, self.samples, scores, door)
        write_bytes(folder / "samples.npz", npz_bytes(shown))
        if seen := inspection(evidence, self.samples, door):
            write_bytes(folder / "inspection.npz", npz_bytes(seen))

    def _write(
        self,
        folder: Path,
        said: dict[str, Any],
        evidence: Evidence,
        journal: Journal,
        scores: ScoreTable,
    ) -> None:
        from saddlepoint.audit.report import Run, write_report

        header = {k: said[k] for k in ("schema_version", "model_sha256", "data_sha256")}
        header["threat"] = said["threat"]["spec"]
        write_evidence(folder / "evidence.npz", evidence, scores)
        write_witnesses(folder / "witnesses.safetensors", evidence, journal, header)
        if evidence.proofs is not None:
            certificates.write(folder, evidence.proofs, self.samples, header)
        # audit.json comes last of the data: a folder that has one is complete.
        write_json(folder / "audit.json", said)
        write_report([Run.load(folder)], folder / "report.html")
