"""The verb ``train``."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import Field, StrictBool, StrictInt
from rich.text import Text

from saddlepoint.cli.after import audit_and_card, card_of_stopped
from saddlepoint.cli.complete import attack_names, either, loss_names, recipe_names
from saddlepoint.cli.console import OUT, percent
from saddlepoint.cli.options import (
    ArchOption,
    BatchOption,
    DataOption,
    DeviceOption,
    LoggerName,
    LoggerOption,
    OutOption,
    SeedOption,
    Settings,
    TargetOption,
    ThreatOption,
    settle,
)
from saddlepoint.cli.recipes import find_recipe
from saddlepoint.cli.subject import pick_device
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.presets import (
    number,
    parse_attack,
    parse_inner_attack,
    parse_objective,
    parse_threat,
)
from saddlepoint.train import Trained, TrainPlan, train
from saddlepoint.train.device import rank

__all__ = ["TrainSettings", "plan_of", "run_train", "train_command"]


class TrainSettings(Settings):
    """Everything that ``train`` takes, with its default; see ``TrainPlan`` for meanings."""

    threat: str
    data: str = "digits"
    arch: str = "conv-small"
    options: dict[str, Any] = Field(default_factory=dict)
    loss: str = "madry"
    attack: str = "PGD(steps=10, step_size=0.25)"
    keep: Literal["auto", "worst", "last"] = "auto"
    check: str = "PGD(steps=20)"
    epochs: StrictInt = 20
    batch_size: StrictInt = 128
    lr: float = 1e-3
    optimizer: Literal["adam", "sgd"] = "adam"
    weight_decay: float = 0.0
    momentum: float = 0.9
    schedule: Literal["constant", "cosine", "one-cycle"] = "one-cycle"
    ema: float = 0.0
    eps_ramp: float = 0.0
    guard: StrictBool = True
    held_out: float | int = 0.1
    check_n: StrictInt = 1000
    augment: Literal["crop", "flip-crop"] | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    target: int | str | None = None
    seed: StrictInt = 0
    device: str | None = None
    compiled: StrictBool = False
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    logger: LoggerName | None = None
    audit_n: StrictInt = Field(1000, ge=0)
    out: Path = Path("model")


def train_command(
    plan: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RECIPE|PLAN.toml]",
            help="A plan file, or a name that `saddlepoint recipes` lists; flags beside it win.",
            autocompletion=recipe_names,
        ),
    ] = None,
    data: DataOption = None,
    arch: ArchOption = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", help="Of the architecture, such as width=32; repeat for several."),
    ] = None,
    threat: ThreatOption = None,
    loss: Annotated[
        str | None,
        typer.Option(
            "--loss",
            help="madry (default), natural, trades, mart, free, awp, gaussian, sampled, ibp, "
            "crownibp, sabr, mtlibp; or TRADES(beta=6).",
            autocompletion=loss_names,
        ),
    ] = None,
    attack: Annotated[
        str | None,
        typer.Option(
            "--attack",
            help="Inner attack: PGD(steps=10, step_size=0.25).",
            autocompletion=attack_names,
        ),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep", help="Train on its worst point or its last (auto: last of one step)."
        ),
    ] = None,
    check: Annotated[
        str | None, typer.Option("--check", help="Attack on held-out samples each epoch.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="Passes over the data (20).")
    ] = None,
    batch_size: BatchOption = None,
    lr: Annotated[float | None, typer.Option("--lr", help="Peak learning rate (0.001).")] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            "--optimizer", help="adam (default) or sgd.", autocompletion=either("adam", "sgd")
        ),
    ] = None,
    weight_decay: Annotated[
        float | None, typer.Option("--weight-decay", help="Of the optimizer (0).")
    ] = None,
    momentum: Annotated[float | None, typer.Option("--momentum", help="Of sgd (0.9).")] = None,
    schedule: Annotated[
        str | None, typer.Option("--schedule", help="one-cycle (default), cosine or constant.")
    ] = None,
    ema: Annotated[
        float | None, typer.Option("--ema", help="Decay of the weights' average (0: none).")
    ] = None,
    eps_ramp: Annotated[
        float | None, typer.Option("--eps-ramp", help="Share of the run over which eps grows (0).")
    ] = None,
    guard: Annotated[
        bool | None,
        typer.Option("--guard/--no-guard", help="Undo a collapse and strengthen the attack (on)."),
    ] = None,
    held_out: Annotated[
        str | None, typer.Option("--held-out", help="Samples kept for measuring: share or number.")
    ] = None,
    check_n: Annotated[
        int | None, typer.Option("--check-n", help="How many of them are attacked (1000).")
    ] = None,
    augment: Annotated[
        str | None, typer.Option("--augment", help="crop or flip-crop, for images.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="float32 (default) or bfloat16.")
    ] = None,
    target: TargetOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    compiled: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="Fuse passes by torch.compile.")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option("--strategy", help="Under torchrun: auto (default), ddp or fsdp.")
    ] = None,
    logger: LoggerOption = None,
    audit_n: Annotated[
        int | None,
        typer.Option("--audit-n", help="Test samples of the audit that follows (1000; 0: none)."),
    ] = None,
    out: OutOption = None,
) -> None:
    """Train a natural, adversarial or certified model, measured on held-out samples each epoch.

    The folder holds the weights of the epoch with the best held-out robust accuracy, a model card
    and an audit on test samples; `saddlepoint audit --model FOLDER` takes it. The same command
    continues a run that was stopped. Under torchrun it trains data-parallel.

    Example: saddlepoint train --data digits --threat "Linf(eps=0.15)" --out robust
    """
    flags = {k: v for k, v in locals().items() if k not in ("plan", "option", "held_out")}
    flags["options"] = _options(option)
    flags["held_out"] = None if held_out is None else number(held_out, "held_out")
    settings = settle(TrainSettings, find_recipe(plan), flags)
    with card_of_stopped(settings.out):
        trained = run_train(settings)
    if rank():
        return  # under torchrun the first process speaks, audits and writes for all
    best = trained.history[trained.best_epoch - 1]
    proved = "" if best.certified is None else f", certified {percent(best.certified)}"
    OUT.print(
        Text(
            f"best epoch {trained.best_epoch}: held-out clean {percent(best.clean)}, "
            f"robust {percent(best.robust)}{proved}\nmodel: {trained.folder}"
        )
    )
    audit_and_card(trained.folder, settings)


def _options(given: list[str] | None) -> dict[str, float] | None:
    """Read ``width=32`` and the like."""
    options = {}
    for text in given or []:
        name, equals, value = text.partition("=")
        if not equals:
            raise Invalid("option", text, "NAME=NUMBER, such as width=32")
        options[name.strip()] = number(value, name)
    return options or None


def plan_of(settings: TrainSettings, shape: tuple[int, ...], classes: int) -> TrainPlan:
    """Return the plan that the settings come to for samples of that shape."""
    parts = {
        "threat": parse_threat(settings.threat, own=True),
        "attack": parse_inner_attack(settings.attack, own=True),
        "check": parse_attack(settings.check, own=True),
        "loss": parse_objective(settings.loss, own=True),
    }
    elsewhere = {*parts, "data", "device", "out", "audit_n", "compiled", "strategy", "logger"}
    given: dict[str, Any] = settings.model_dump(exclude=elsewhere)
    if isinstance(settings.target, str) and settings.target.isdecimal():
        given["target"] = int(settings.target)
    return TrainPlan(shape=shape, classes=classes, **parts, **given)


def run_train(settings: TrainSettings, progress: bool = True) -> Trained:
    """Load the data, build the model, train it."""
    from saddlepoint.data import load_data
    from saddlepoint.models import build

    device, data = pick_device(settings.device), load_data(settings.data)
    if 0 < len(data.y_train) < data.classes:  # a net of as many outputs may not even fit in memory
        raise BadData(
            f"{settings.data} has labels up to {data.classes - 1}, but {len(data.y_train)} "
            "training samples: labels count from 0 without gaps, as in "
            "np.unique(y, return_inverse=True)[1]"
        )
    plan = plan_of(settings, data.shape, data.classes)
    seeded(plan.seed)
    model = build(settings.arch, data.shape, data.classes, settings.options)
    samples = data.split("train")
    return train(
        plan,
        model,
        samples.x,
        samples.y,
        settings.out,
        device=str(device),
        progress=progress,
        data=settings.data,
        data_sha256=samples.sha256(),
        compiled=settings.compiled,
        strategy=settings.strategy,
        logger=settings.logger,
    )


def seeded(seed: int) -> None:
    """Fix the initial weights; a command owns its process, so the global seed is its to set."""
    import torch

    torch.manual_seed(seed)
