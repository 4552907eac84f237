"""The verb ``universal``."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import StrictFloat, StrictInt
from rich.table import Table
from rich.text import Text

from saddlepoint.attacks.universal import Universal, shared_set
from saddlepoint.audit import About, Shared, universal
from saddlepoint.audit.shared import Rate
from saddlepoint.cli.console import OUT, percent
from saddlepoint.cli.curve import CurveProgress
from saddlepoint.cli.options import (
    ArchOption,
    BatchOption,
    DataOption,
    DeviceOption,
    ModelOption,
    NOption,
    OutOption,
    PlanArgument,
    SeedOption,
    SplitOption,
    SubjectSettings,
    ThreatOption,
    settle,
)
from saddlepoint.cli.subject import load_subject
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.data import load_data
from saddlepoint.presets import parse_threat

__all__ = ["universal_command"]

FIT_N = 5000


class UniversalSettings(SubjectSettings):
    """Everything that ``universal`` takes, with its default."""

    threat: str
    fit_split: Literal["test", "train"] = "train"
    fit_n: StrictInt | None = None
    target: StrictInt | None = None
    epochs: StrictInt = 10
    batch_size: StrictInt = 128
    reach: StrictFloat | StrictInt = 0.3
    clip: StrictFloat | StrictInt = 5.0
    loss: str | None = None
    out: Path = Path("run-universal")


def universal_command(
    plan: PlanArgument = None,
    model: ModelOption = None,
    arch: ArchOption = None,
    data: DataOption = None,
    split: SplitOption = None,
    threat: ThreatOption = None,
    target: Annotated[
        int | None, typer.Option("--target", help="The class to reach; default: leave the label.")
    ] = None,
    fit_split: Annotated[
        str | None, typer.Option("--fit-split", help="Where it is fitted: train (default) or test.")
    ] = None,
    fit_n: Annotated[
        int | None, typer.Option("--fit-n", help=f"Samples it is fitted on (at most {FIT_N}).")
    ] = None,
    n: NOption = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="Passes over the samples (10).")
    ] = None,
    reach: Annotated[
        float | None, typer.Option("--reach", help="First step, in radii of the set (0.3).")
    ] = None,
    clip: Annotated[
        float | None,
        typer.Option("--clip", help="Loss beyond which a sample counts as lost (5)."),
    ] = None,
    loss: Annotated[
        str | None, typer.Option("--loss", help="What is climbed: cross-entropy (default), dlr ….")
    ] = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    batch_size: BatchOption = None,
    out: OutOption = None,
) -> None:
    """Fit one perturbation on many samples, and measure on others how often it fools the model.

    In a ball it is one change for all inputs, as a patch one sticker for all of them. It is fitted
    on --fit-split and measured on --split, with an interval. The same command continues an
    interrupted run, and `saddlepoint replay` checks a finished one.

    Example: saddlepoint universal --model net.safetensors --arch conv-small --data mnist
    --threat "Patch(size=8, at='random')" --target 3 --out run-universal
    """
    flags = {k: v for k, v in locals().items() if k != "plan"}
    settings = settle(UniversalSettings, plan, flags)
    found = _run(settings)
    OUT.print(universal_table(found))
    OUT.print(Text(_summary(found), style="bold"))
    OUT.print(Text(f"perturbation: {found.folder}/universal.png, universal.safetensors"))


def _run(s: UniversalSettings) -> Shared:
    threat = parse_threat(s.threat, own=True)
    shared_set(threat)
    how = Universal(s.epochs, s.batch_size, float(s.reach), float(s.clip), loss=s.loss)
    if s.fit_split == s.split:
        hint = "a rate on the samples that u was fitted on says nothing about others"
        raise Invalid("fit_split", s.fit_split, "another split than --split", hint)
    subject = load_subject(s.model, s.arch, s.data, s.split, s.device)
    if subject.access != "gradients":
        raise Unsupported("a universal perturbation follows gradients: this model has scores only")
    fitted = load_data(s.data).split(s.fit_split)
    about = About(s.model, subject.arch, s.data, s.split, subject.sha256)
    with CurveProgress(repr(how), "fooled") as bar:
        return universal(
            subject.model,
            fitted,
            subject.samples,
            threat,
            how,
            target=s.target,
            fit_n=min(FIT_N, len(fitted)) if s.fit_n is None else s.fit_n,
            n=s.n,
            seed=s.seed,
            out=s.out,
            about=about,
            fit_split=s.fit_split,
            progress=lambda _stage, done, total, count: bar(done, total, count),
        )


def universal_table(found: Shared) -> Table:
    """One row per rate, with its interval."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("on samples that it was not fitted on")
    for name in ("share", "95 % interval"):
        table.add_column(name, justify="right")
    rows: list[tuple[str, Rate]] = [
        ("answers changed", found.fooling),
        ("answers changed by a random member", found.control),
        ("right without it", found.clean_accuracy),
        ("right with it", found.accuracy),
    ]
    if found.target is not None:
        rows.insert(0, (f"others taken for class {found.target}", found.reached))
    for name, rate in rows:
        share = percent(rate.share) if rate.of else "none"
        table.add_row(name, share, f"{percent(rate.low)} to {percent(rate.high)}")
    return table


def _summary(found: Shared) -> str:
    d, rate = found.document, found.fooling
    spoilt = d["spoilt_answers"]
    failed = f"; {spoilt:,} answers were not finite and count as not fooled" if spoilt else ""
    return (
        f"fooling rate {percent(rate.share)} (n = {rate.of:,}; fitted on {d['fit_n']:,} others"
        f"{failed})"
    )
