"""The verbs ``audit`` and ``attack``."""

from rich.text import Text

from saddlepoint.audit import About, Audit, audit
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
    QuantizeOption,
    QueriesOption,
    SuiteOption,
    SurrogateArchOption,
    SurrogateOption,
    SurvivorsOption,
    UnderOption,
    VerifyOption,
    VerifySecondsOption,
    VerifySubproblemsOption,
    WarmOption,
)
from saddlepoint.cli.audit_settings import (
    AuditSettings,
    attacks_of,
    gates_of,
    perceptual_of,
    surrogates_of,
    threat_of,
    verification_of,
)
from saddlepoint.cli.console import OUT, AuditProgress
from saddlepoint.cli.gates import Gates
from saddlepoint.cli.joined import joined
from saddlepoint.cli.options import (
    ArchOption,
    AttackOption,
    BatchOption,
    DataOption,
    DeviceOption,
    EotOption,
    LoggerOption,
    ModelOption,
    NOption,
    OutOption,
    PlanArgument,
    PrecisionOption,
    ProbesOption,
    SeedOption,
    SplitOption,
    TargetOption,
    ThreatOption,
    VotesOption,
    settle,
)
from saddlepoint.cli.outcome import print_outcome
from saddlepoint.cli.subject import load_subject
from saddlepoint.cli.under import passes
from saddlepoint.core.access import granted
from saddlepoint.core.errors import Invalid
from saddlepoint.presets import parse_target

__all__ = ["attack_command", "audit_command", "run_audit"]


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
    max_queries: QueriesOption = None,
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
    surrogate: SurrogateOption = None,
    surrogate_arch: SurrogateArchOption = None,
    warm: WarmOption = None,
    logger: LoggerOption = None,
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
        gates = gates_of(settings)
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
    max_queries: QueriesOption = None,
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
    surrogate: SurrogateOption = None,
    surrogate_arch: SurrogateArchOption = None,
    warm: WarmOption = None,
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
        gates = gates_of(settings)
        result = run_audit(settings, gates, team)
        count = result.document["counts"]["broken"]
        OUT.print(Text(f"{count} witnesses: {result.folder}/witnesses.safetensors"))
        if team.first:
            gates.hold(result)


def run_audit(
    settings: AuditSettings, gates: Gates | None = None, team: Team | None = None
) -> Audit:
    """Load what the settings name, audit it, and print the outcome.

    A baseline of ``gates`` that cannot be compared is refused before the audit starts. team: this
    process among several that were all given the same settings; None where it works by itself.
    """
    threat, attacks = threat_of(settings), attacks_of(settings)
    of_data = (settings.data, settings.split)
    subject = load_subject(settings.model, settings.arch, *of_data, settings.device)
    access = granted(subject.access, settings.access)
    n = len(subject.samples) if settings.n is None else settings.n
    if gates:
        gates.admit(subject.samples, n, *of_data)
    borrowed = surrogates_of(settings, team)
    with AuditProgress(max(n, 1)) as progress:
        result = audit(
            subject.model,
            subject.samples,
            threat,
            attacks or settings.suite,
            effort=settings.effort,
            max_passes=settings.max_passes,
            max_queries=settings.max_queries,
            survivors=settings.survivors,
            n=n,
            seed=settings.seed,
            access=access,
            precision=settings.precision,
            batch_size=settings.batch_size,
            out=settings.out,
            about=About(settings.model, subject.arch, *of_data, subject.sha256),
            figures=settings.figures,
            probes=settings.probes,
            **passes(settings.under, settings.eot, settings.votes, settings.level),
            target=parse_target(settings.target),
            verify=verification_of(settings),
            perceptual=perceptual_of(settings),
            surrogates=borrowed,
            warm=settings.warm,
            logger=settings.logger,
            force=settings.force,
            progress=progress,
            team=team,
        )
    print_outcome(result)
    return result
