"""The verb ``curve``."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import StrictInt, StrictStr, field_validator
from rich.table import Table
from rich.text import Text

from saddlepoint.audit import About, Curve, curve, default_nearest
from saddlepoint.cli.console import OUT, Shown, counted_bar, percent
from saddlepoint.cli.options import (
    ArchOption,
    BatchOption,
    DataOption,
    DeviceOption,
    ModelOption,
    NOption,
    OutOption,
    PlanArgument,
    PrecisionOption,
    SeedOption,
    SplitOption,
    SubjectSettings,
    TargetOption,
    settle,
)
from saddlepoint.cli.subject import load_subject
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.presets import number, parse_attack, parse_target, parse_threat

__all__ = ["curve_command"]


class CurveSettings(SubjectSettings):
    """Everything that ``curve`` takes, with its default."""

    threat: str
    attack: str | None = None
    at: tuple[str, ...] = ()
    batch_size: StrictInt | None = None
    out: Path = Path("run-curve")
    precision: Literal["float32", "bfloat16"] = "float32"
    target: StrictStr | StrictInt | None = None

    @field_validator("at", mode="before")
    @classmethod
    def _many(cls, value: object) -> object:
        parts = value.split(",") if isinstance(value, str) else value
        return [str(p).strip() for p in parts] if isinstance(parts, list | tuple) else parts


ReachOption = Annotated[
    str | None,
    typer.Option("--threat", help='The largest change of interest: "L2(eps=3)", "Linf(eps=0.4)".'),
]
NearestOption = Annotated[
    str | None,
    typer.Option("--attack", help='Such as "FMN(steps=500)"; default: the best for the norm.'),
]
AtOption = Annotated[
    str | None, typer.Option("--at", help="Radii to print: 0.1,0.2 or 2/255,4/255,8/255.")
]


def curve_command(
    plan: PlanArgument = None,
    model: ModelOption = None,
    arch: ArchOption = None,
    data: DataOption = None,
    split: SplitOption = None,
    threat: ReachOption = None,
    attack: NearestOption = None,
    at: AtOption = None,
    n: NOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    batch_size: BatchOption = None,
    out: OutOption = None,
    precision: PrecisionOption = None,
    target: TargetOption = None,
) -> None:
    """Measure robust accuracy at every radius, from the smallest change that breaks each sample.

    One run gives the whole curve: at a radius, the samples without a break within it. It is an
    upper bound, with an interval at each radius and a band for all at once. The same command
    continues an interrupted run.

    Example: saddlepoint curve --model net.safetensors --arch conv-small --data mnist
    --threat "L2(eps=3)" --n 1000 --out run-curve
    """
    flags = {k: v for k, v in locals().items() if k != "plan"}
    settings = settle(CurveSettings, plan, flags)
    threat_model: Any = parse_threat(settings.threat, own=True)
    shown = _radii(settings.at, threat_model)
    found = _run(settings, threat_model)
    OUT.print(curve_table(found, shown))
    OUT.print(Text(_summary(found), style="bold"))
    OUT.print(Text(f"curve: {found.folder}/curve.svg"))


def _radii(asked: tuple[str, ...], threat: Any) -> tuple[float, ...]:  # noqa: ANN401
    """Radii to print, checked before any work; quarters of the largest unless asked for others."""
    eps = getattr(threat, "eps", None)
    if not isinstance(eps, int | float):
        raise Unsupported(f"{threat!r} has no radius to draw a curve against")
    radii = tuple(number(text, "at") for text in asked)
    wrong = [r for r in radii if not 0 <= r <= eps]
    if wrong:
        hint = "the threat model says how far to look"
        raise Invalid("at", wrong[0], f"radii in [0, {eps:g}]", hint)
    return radii or tuple(eps * k / 4 for k in range(1, 5))


def _run(settings: CurveSettings, threat: Any) -> Curve:  # noqa: ANN401
    subject = load_subject(
        settings.model, settings.arch, settings.data, settings.split, settings.device
    )
    named = settings.attack
    attack = parse_attack(named, own=True) if named else default_nearest(threat, subject.access)
    about = About(settings.model, subject.arch, settings.data, settings.split, subject.sha256)
    with CurveProgress(repr(attack)) as progress:
        return curve(
            subject.model,
            subject.samples,
            threat,
            attack,
            n=settings.n,
            seed=settings.seed,
            precision=settings.precision,
            batch_size=settings.batch_size,
            out=settings.out,
            target=parse_target(settings.target),
            access=subject.access,
            about=about,
            progress=progress,
        )


class CurveProgress(Shown):
    """A bar with the time that is left; chunks of an earlier run count at once."""

    def __init__(self, attack: str, counted: str = "broken") -> None:
        super().__init__(counted_bar())
        self._attack, self._counted = attack, counted
        self._task = self._bar.add_task(attack, total=None)

    def __call__(self, done: int, total: int, count: int) -> None:
        """Show how many samples are done, and how many of them were broken (or what counts)."""
        said = f"{self._attack}, {count} {self._counted}" if done else self._attack
        self._bar.update(self._task, completed=done, total=total, description=said)


def curve_table(found: Curve, radii: tuple[float, ...]) -> Table:
    """One row per radius: accuracy and its interval."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("radius", "robust accuracy <=", "95 % interval"):
        table.add_column(name, justify="right")
    for eps in (0.0, *radii):
        p = found.at(eps)
        interval = f"{percent(p.low)} to {percent(p.high)}"
        table.add_row("clean" if eps == 0 else f"{eps:.4g}", percent(p.accuracy), interval)
    return table


def _summary(found: Curve) -> str:
    counts, median = found.document["counts"], found.document["distance"]["median"]
    half = f"median distance <= {median:.4g}" if median is not None else "more than half stand"
    failed = f"; {counts['error']} samples failed, in no bound" if counts["error"] else ""
    return (
        f"{half} (n = {len(found.distance)}, {counts['survived']} beyond {found.reach:g}{failed})"
    )
