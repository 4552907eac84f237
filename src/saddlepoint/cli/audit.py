"""The verbs ``audit`` and ``attack``."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, StrictFloat, StrictInt, StrictStr, field_validator
from rich.text import Text

from saddlepoint.audit import About, Audit, audit
from saddlepoint.audit.proving import Verification
from saddlepoint.audit.suites import Effort
from saddlepoint.audit.team import Team
from saddlepoint.cli.audit_options import (
    AccessOption,
    BaselineOption,
    EffortOption,
    FailOnOption,
    FailUnderCertifiedOption,
    FailUnderOption,
    FiguresOption,
    ForceOption,
    LevelOption,
    PassesOption,
    PerceptualArchOption,
    PerceptualOption,
    PrecisionOption,
    QuantizeOption,
    SuiteOption,
    SurvivorsOption,
    UnderOption,
    VerifyOption,
    VerifySecondsOption,
    VerifySubproblemsOption,
)
from saddlepoint.cli.console import OUT, AuditProgress
from saddlepoint.cli.gates import Gates, Verdict
from saddlepoint.cli.joined import joined
from saddlepoint.cli.options import (
    ArchOption,
    AttackOption,
    BatchOption,
    DataOption,
    DeviceOption,
    EotOption,
    ModelOption,
    NOption,
    OutOption,
    PlanArgument,
    ProbesOption,
    SeedOption,
    Settings,
    SplitOption,
    TargetOption,
    ThreatOption,
    VotesOption,
    settle,
)
from saddlepoint.cli.outcome import print_outcome
from saddlepoint.cli.subject import load_subject
from saddlepoint.cli.under import passes
from saddlepoint.core.access import Access
from saddlepoint.core.errors import Invalid
from saddlepoint.models.perceptual import Perceptual, load_perceptual
from saddlepoint.presets import parse_attack, parse_target, parse_threat
from saddlepoint.threats import Quantize

__all__ = ["attack_command", "audit_command", "run_audit"]


class AuditSettings(Settings):
    """Everything that ``audit`` and ``attack`` take, with its default."""

    model: str
    threat: str
    arch: str | None = None
    data: str = "digits"
    split: Literal["test", "train"] = "test"
    attack: tuple[str, ...] = ()
    suite: str | None = None
    effort: Effort = "standard"
    max_passes: float | None = None
    survivors: StrictInt | None = None
    n: StrictInt | None = None
    seed: StrictInt = 0
    device: str | None = None
    batch_size: StrictInt | None = None
    out: Path = Path("run")
    access: Access | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    quantize: Literal["uint8"] | None = None
    figures: StrictInt = Field(64, ge=0)
    probes: StrictInt = Field(64, ge=0)
    eot: StrictInt | None = Field(None, ge=1)
    votes: StrictInt | None = Field(None, ge=1)
    under: str | None = None
    level: float | None = None
    target: StrictStr | StrictInt | None = None
    verify: bool = False
    verify_seconds: float | None = None
    verify_subproblems: StrictInt | None = None
    perceptual: str | None = None
    perceptual_arch: str | None = None
    force: bool = False
    fail_under: StrictFloat | StrictInt | StrictStr | None = None
    fail_under_certified: StrictFloat | StrictInt | StrictStr | None = None
    fail_on: Verdict | None = None
    baseline: Path | None = None

    @field_validator("attack", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


def audit_command(
    plan: PlanArgument = None,
    model: ModelOption = None,
    arch: ArchOption = None,
    data: DataOption = None,
    split: SplitOption = None,
    threat: ThreatOption = None,
    attack: AttackOption = None,
    suite: SuiteOption = None,
    effort: EffortOption = None,
    max_passes: PassesOption = None,
    survivors: SurvivorsOption = None,
    n: NOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    batch_size: BatchOption = None,
    out: OutOption = None,
    access: AccessOption = None,
    precision: PrecisionOption = None,
    quantize: QuantizeOption = None,
    figures: FiguresOption = None,
    probes: ProbesOption = None,
    eot: EotOption = None,
    votes: VotesOption = None,
    under: UnderOption = None,
    level: LevelOption = None,
    target: TargetOption = None,
    verify: VerifyOption = None,
    verify_seconds: VerifySecondsOption = None,
    verify_subproblems: VerifySubproblemsOption = None,
    perceptual: PerceptualOption = None,
    perceptual_arch: PerceptualArchOption = None,
    force: ForceOption = None,
    fail_under: FailUnderOption = None,
    fail_under_certified: FailUnderCertifiedOption = None,
    fail_on: FailOnOption = None,
    baseline: BaselineOption = None,
) -> None:
    """Attack a model under a stated threat model and write a report with evidence.

    Robust accuracy is the share of all samples that withstood every attack: an upper bound. With
    --verify the share that is proved robust bounds it from below.
    The same command continues an interrupted run; under torchrun its processes share the work. The
    options --fail-under, --fail-on and --baseline exit 1 where they do not hold, once the run's
    folder is complete.

    Example: saddlepoint audit --model net.safetensors --arch conv-small --data mnist
    --threat "Linf(eps=0.3)" --n 1000 --out run
    """
    flags = {k: v for k, v in locals().items() if k != "plan"}
    with joined() as team:
        settings = settle(AuditSettings, plan, flags)
        gates = _gates(settings)
        result = run_audit(settings, gates, team)
        OUT.print(Text(f"report: {result.folder}/report.html"))
        if team.first:
            gates.hold(result)


def attack_command(
    plan: PlanArgument = None,
    model: ModelOption = None,
    arch: ArchOption = None,
    data: DataOption = None,
    split: SplitOption = None,
    threat: ThreatOption = None,
    attack: AttackOption = None,
    n: NOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    batch_size: BatchOption = None,
    out: OutOption = None,
    access: AccessOption = None,
    precision: PrecisionOption = None,
    quantize: QuantizeOption = None,
    eot: EotOption = None,
    votes: VotesOption = None,
    under: UnderOption = None,
    level: LevelOption = None,
    target: TargetOption = None,
    force: ForceOption = None,
) -> None:
    """Run one attack and save its witnesses: the perturbed inputs that broke the model.

    The folder is a run like an audit's, so `saddlepoint replay` accepts it.

    Example: saddlepoint attack --model net.safetensors --arch conv-small --data mnist
    --threat "L2(eps=2)" --attack "PGD(steps=40)" --n 100 --out witnesses
    """
    flags = {k: v for k, v in locals().items() if k != "plan"}
    with joined() as team:
        settings = settle(AuditSettings, plan, {**flags, "figures": 0, "probes": 0})
        if len(settings.attack) != 1:
            raise Invalid("attack", list(settings.attack), "exactly one", 'such as "PGD(steps=40)"')
        gates = _gates(settings)
        result = run_audit(settings, gates, team)
        count = result.document["counts"]["broken"]
        OUT.print(Text(f"{count} witnesses: {result.folder}/witnesses.safetensors"))
        if team.first:
            gates.hold(result)


def _gates(settings: AuditSettings) -> Gates:
    return Gates.of(
        settings.fail_under,
        settings.fail_on,
        settings.baseline,
        settings.out,
        settings.fail_under_certified,
    )


def _verification(settings: AuditSettings) -> Verification | None:
    """Without seconds, subproblems are the only limit."""
    seconds, most = settings.verify_seconds, settings.verify_subproblems
    if not settings.verify and seconds is None and most is None:
        return None
    if seconds is None and most is None:
        return Verification()
    return Verification(seconds=seconds, subproblems=most)


def _perceptual(settings: AuditSettings) -> Perceptual | None:
    if settings.perceptual is None:
        if settings.perceptual_arch is not None:
            hint = "it is the architecture of that network"
            raise Invalid("perceptual_arch", settings.perceptual_arch, "beside --perceptual", hint)
        return None
    return load_perceptual(settings.perceptual, arch=settings.perceptual_arch)


def _threat(settings: AuditSettings) -> Any:  # noqa: ANN401 - a threat model
    threat: Any = parse_threat(settings.threat)
    if settings.quantize and not isinstance(threat, Quantize):
        return Quantize(threat, settings.quantize)
    return threat


def run_audit(
    settings: AuditSettings, gates: Gates | None = None, team: Team | None = None
) -> Audit:
    """Load what the settings name, audit it, and print the outcome.

    A baseline of ``gates`` that cannot be compared is refused before the audit starts. team: this
    process among several that were all given the same settings; None where it works by itself.
    """
    threat, target = _threat(settings), parse_target(settings.target)
    attacks = tuple(parse_attack(text) for text in settings.attack)
    subject = load_subject(
        settings.model, settings.arch, settings.data, settings.split, settings.device
    )
    origin = (settings.model, subject.arch, settings.data, settings.split, subject.sha256)
    access, about = settings.access or subject.access, About(*origin)
    n = len(subject.samples) if settings.n is None else settings.n
    if gates:
        gates.admit(subject.samples, n, settings.data, settings.split)
    with AuditProgress(max(n, 1)) as progress:
        result = audit(
            subject.model,
            subject.samples,
            threat,
            attacks or settings.suite,
            effort=settings.effort,
            max_passes=settings.max_passes,
            survivors=settings.survivors,
            n=n,
            seed=settings.seed,
            access=access,
            precision=settings.precision,
            batch_size=settings.batch_size,
            out=settings.out,
            about=about,
            figures=settings.figures,
            probes=settings.probes,
            **passes(settings.under, settings.eot, settings.votes, settings.level),
            target=target,
            verify=_verification(settings),
            perceptual=_perceptual(settings),
            force=settings.force,
            progress=progress,
            team=team,
        )
    print_outcome(result)
    return result
