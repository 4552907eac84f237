"""The verb ``smooth``."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import StrictInt, field_validator
from rich.table import Table
from rich.text import Text

from saddlepoint.audit import About, Smoothed, smooth
from saddlepoint.cli.console import OUT, percent
from saddlepoint.cli.curve import AtOption, CurveProgress
from saddlepoint.cli.options import (
    ArchOption,
    DataOption,
    DeviceOption,
    ModelOption,
    OutOption,
    PlanArgument,
    SeedOption,
    SplitOption,
    SubjectSettings,
    settle,
)
from saddlepoint.cli.subject import load_subject
from saddlepoint.core.errors import Invalid
from saddlepoint.presets import number
from saddlepoint.verify import Smoothing

__all__ = ["smooth_command"]


class SmoothSettings(SubjectSettings):
    """Everything that ``smooth`` takes, with its default."""

    sigma: float
    n: StrictInt = 10_000
    n0: StrictInt = 100
    alpha: float = 0.001
    samples: StrictInt | None = None
    at: tuple[str, ...] = ()
    batch_size: StrictInt = 256
    out: Path = Path("run-smooth")

    @field_validator("at", mode="before")
    @classmethod
    def _many(cls, value: object) -> object:
        parts = value.split(",") if isinstance(value, str) else value
        return [str(p).strip() for p in parts] if isinstance(parts, list | tuple) else parts


def smooth_command(
    plan: PlanArgument = None,
    model: ModelOption = None,
    arch: ArchOption = None,
    data: DataOption = None,
    split: SplitOption = None,
    sigma: Annotated[
        float | None, typer.Option("--sigma", help="Standard deviation of the noise, as in 0.5.")
    ] = None,
    n: Annotated[
        int | None, typer.Option("--n", help="Noisy copies per sample that bound it (10000).")
    ] = None,
    n0: Annotated[
        int | None, typer.Option("--n0", help="Further copies that choose the class (100).")
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option("--alpha", help="Chance of a wrong certificate, at most, per sample (0.001)."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", help="Use the first so many samples (all).")
    ] = None,
    at: AtOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", help="Noisy copies in one pass (256).")
    ] = None,
    out: OutOption = None,
) -> None:
    """Certify the smoothed classifier: the model's vote under Gaussian noise, with an L2 radius.

    A lower bound for the vote, not for the model by itself, which needs training on such noise:
    the recipe mnist-smooth. The same command continues an interrupted run.

    Example: saddlepoint smooth --model runs/mnist-smooth --data mnist --sigma 0.5 --samples 500
    --out run-smooth
    """
    flags = {k: v for k, v in locals().items() if k != "plan"}
    settings = settle(SmoothSettings, plan, flags)
    s = settings
    smoothing = Smoothing(s.sigma, n0=s.n0, n=s.n, alpha=s.alpha, batch_size=s.batch_size)
    radii = _radii(settings.at, smoothing)
    found = _run(settings, smoothing)
    OUT.print(smooth_table(found, radii))
    OUT.print(Text(_summary(found), style="bold"))
    OUT.print(Text(f"curve: {found.folder}/smooth.svg"))


def _radii(asked: tuple[str, ...], smoothing: Smoothing) -> tuple[float, ...]:
    """Radii to print, checked before any work; halves of sigma as far as n reaches by default."""
    radii = tuple(number(text, "at") for text in asked)
    wrong = [r for r in radii if not 0 <= r < float("inf")]
    if wrong:
        raise Invalid("at", wrong[0], "finite radii of at least 0")
    half = smoothing.sigma / 2
    return radii or tuple(half * k for k in range(1, int(max(0, smoothing.largest) / half) + 1))


def _run(settings: SmoothSettings, smoothing: Smoothing) -> Smoothed:
    subject = load_subject(
        settings.model, settings.arch, settings.data, settings.split, settings.device
    )
    about = About(settings.model, subject.arch, settings.data, settings.split, subject.sha256)
    with CurveProgress(repr(smoothing), "right") as progress:
        return smooth(
            subject.model,
            subject.samples,
            smoothing,
            samples=settings.samples,
            seed=settings.seed,
            out=settings.out,
            about=about,
            progress=progress,
        )


def smooth_table(found: Smoothed, radii: tuple[float, ...]) -> Table:
    """One row per radius: certified accuracy and its interval over samples."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("L2 radius", "certified accuracy", "95 % interval"):
        table.add_column(name, justify="right")
    for eps in dict.fromkeys((0.0, *radii)):
        p = found.at(eps)
        interval = f"{percent(p.low)} to {percent(p.high)}"
        table.add_row(f"{eps:.4g}", percent(p.accuracy), interval)
    return table


def _summary(found: Smoothed) -> str:
    s, d = found.smoothing, found.document
    spoilt = d["spoilt_draws"]
    failed = f"; {spoilt:,} answers were not finite and count for no class" if spoilt else ""
    return (
        f"abstained: {percent(found.abstained)}, wrong: {percent(d['wrong'])} of {d['n']:,} "
        f"samples; sigma {s.sigma:g}, {s.n:,} draws, which reach to {s.largest:.3g}; each "
        f"certificate errs with probability {s.alpha:g} at most{failed}"
    )
