"""The verbs ``audit`` and ``attack``."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import Field, StrictInt, field_validator
from rich.text import Text

from saddlepoint.audit import About, Audit, audit, default_attacks
from saddlepoint.cli.console import OUT, AuditProgress, attack_table, percent
from saddlepoint.cli.options import (
    ArchOption,
    AttackOption,
    BatchOption,
    DataOption,
    DeviceOption,
    ModelOption,
    NOption,
    OutOption,
    PlanArgument,
    SeedOption,
    Settings,
    SplitOption,
    ThreatOption,
    settle,
)
from saddlepoint.cli.subject import load_subject
from saddlepoint.core.access import Access
from saddlepoint.core.errors import Invalid
from saddlepoint.presets import parse_attack, parse_threat
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
    eot: StrictInt = Field(1, ge=1)
    votes: StrictInt = Field(1, ge=1)
    force: bool = False

    @field_validator("attack", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


AccessOption = Annotated[
    str | None, typer.Option("--access", help="What may be asked: gradients or scores.")
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision", help="float32 (default), or bfloat16: search fast, confirm exactly."
    ),
]
QuantizeOption = Annotated[
    str | None, typer.Option("--quantize", help="uint8: only inputs that an 8-bit image can hold.")
]
FiguresOption = Annotated[
    int | None, typer.Option("--figures", help="Samples behind the report's curves (64); 0: none.")
]
ProbesOption = Annotated[
    int | None,
    typer.Option("--probes", help="Samples that health checks measure on (64); 0: none."),
]
EotOption = Annotated[
    int | None,
    typer.Option("--eot", help="Randomised models: passes that each answer is averaged over (1)."),
]
VotesOption = Annotated[
    int | None,
    typer.Option("--votes", help="Randomised models: draws whose majority is a verdict (1)."),
]
ForceOption = Annotated[
    bool | None,
    typer.Option("--force", help="Go on although clean accuracy is at chance, or with softmax."),
]


def audit_command(
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
    figures: FiguresOption = None,
    probes: ProbesOption = None,
    eot: EotOption = None,
    votes: VotesOption = None,
    force: ForceOption = None,
) -> None:
    """Attack a model under a stated threat model and write a report with evidence.

    Robust accuracy is the share of all samples that withstood every attack: an upper bound.
    The same command continues an interrupted run.

    Example: saddlepoint audit --model net.safetensors --arch conv-small --data mnist
    --threat "Linf(eps=0.3)" --n 1000 --out run
    """
    flags = {k: v for k, v in locals().items() if k != "plan"}
    result = run_audit(settle(AuditSettings, plan, flags))
    folder = result.folder
    OUT.print(Text(f"report: {folder}/report.html"))


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
    force: ForceOption = None,
) -> None:
    """Run one attack and save its witnesses: the perturbed inputs that broke the model.

    The folder is a run like an audit's, so `saddlepoint replay` accepts it.

    Example: saddlepoint attack --model net.safetensors --arch conv-small --data mnist
    --threat "L2(eps=2)" --attack "PGD(steps=40)" --n 100 --out witnesses
    """
    flags = {k: v for k, v in locals().items() if k != "plan"}
    settings = settle(AuditSettings, plan, {**flags, "figures": 0, "probes": 0})
    if len(settings.attack) != 1:
        raise Invalid("attack", list(settings.attack), "exactly one", 'such as "PGD(steps=40)"')
    result = run_audit(settings)
    count = result.document["counts"]["broken"]
    OUT.print(Text(f"{count} witnesses: {result.folder}/witnesses.safetensors"))


def run_audit(settings: AuditSettings) -> Audit:
    """Load what the settings name, audit it, and print the outcome."""
    threat: Any = parse_threat(settings.threat)
    if settings.quantize and not isinstance(threat, Quantize):
        threat = Quantize(threat, settings.quantize)
    attacks = tuple(parse_attack(text) for text in settings.attack)
    subject = load_subject(
        settings.model, settings.arch, settings.data, settings.split, settings.device
    )
    access = settings.access or subject.access
    n = len(subject.samples) if settings.n is None else settings.n
    with AuditProgress(max(n, 1)) as progress:
        result = audit(
            subject.model,
            subject.samples,
            threat,
            attacks or default_attacks(access),
            n=n,
            seed=settings.seed,
            access=access,
            precision=settings.precision,
            batch_size=settings.batch_size,
            out=settings.out,
            about=About(
                settings.model,
                subject.arch,
                settings.data,
                settings.split,
                subject.sha256,
            ),
            figures=settings.figures,
            probes=settings.probes,
            eot=settings.eot,
            votes=settings.votes,
            force=settings.force,
            progress=progress,
        )
    _print(result)
    return result


def _print(result: Audit) -> None:
    OUT.print()
    OUT.print(attack_table(result.document))
    OUT.print()
    for finding in result.findings:
        if finding.verdict in ("warn", "fail"):
            said = f"{finding.verdict}: {finding.check}: {finding.measured}. {finding.next_step}"
            OUT.print(Text(said, style="bold red" if finding.verdict == "fail" else "yellow"))
    low, high = result.interval
    OUT.print(
        Text(
            f"robust accuracy <= {percent(result.robust_accuracy)}  "
            f"(95 % interval {percent(low)} to {percent(high)}; clean "
            f"{percent(result.clean_accuracy)}; n = {result.document['n']})",
            style="bold",
        )
    )
