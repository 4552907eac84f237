"""The verb ``train``."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.text import Text

from saddlepoint.cli.console import OUT, percent
from saddlepoint.cli.options import (
    ArchOption,
    BatchOption,
    DataOption,
    DeviceOption,
    OutOption,
    PlanArgument,
    SeedOption,
    Settings,
    ThreatOption,
    settle,
)
from saddlepoint.cli.subject import pick_device
from saddlepoint.presets import parse_attack, parse_threat
from saddlepoint.train import Trained, TrainPlan, train

__all__ = ["TrainSettings", "run_train", "train_command"]


class TrainSettings(Settings):
    """Everything that ``train`` takes, with its default; see ``TrainPlan`` for meanings."""

    threat: str
    data: str = "digits"
    arch: str = "conv-small"
    loss: Literal["natural", "madry"] = "madry"
    attack: str = "PGD(steps=10, step_size=0.25)"
    check: str = "PGD(steps=20)"
    epochs: int = 20
    batch_size: int = 128
    lr: float = 1e-3
    optimizer: Literal["adam", "sgd"] = "adam"
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "one-cycle"] = "one-cycle"
    held_out: float | int = 0.1
    check_n: int = 1000
    augment: Literal["flip-crop"] | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0
    device: str | None = None
    out: Path = Path("model")


def train_command(
    plan: PlanArgument = None,
    data: DataOption = None,
    arch: ArchOption = None,
    threat: ThreatOption = None,
    loss: Annotated[
        str | None, typer.Option("--loss", help="madry (adversarial, default) or natural.")
    ] = None,
    attack: Annotated[
        str | None, typer.Option("--attack", help="Inner attack: PGD(steps=10, step_size=0.25).")
    ] = None,
    check: Annotated[
        str | None, typer.Option("--check", help="Attack on held-out samples each epoch.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="Passes over the data (20).")
    ] = None,
    batch_size: BatchOption = None,
    lr: Annotated[float | None, typer.Option("--lr", help="Peak learning rate (0.001).")] = None,
    schedule: Annotated[
        str | None, typer.Option("--schedule", help="one-cycle (default), cosine or constant.")
    ] = None,
    augment: Annotated[str | None, typer.Option("--augment", help="flip-crop, for images.")] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="float32 (default) or bfloat16.")
    ] = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    out: OutOption = None,
) -> None:
    """Train a model, natural or adversarial, and measure it on held-out samples each epoch.

    The folder holds model.safetensors and model.json of the epoch with the best held-out robust
    accuracy; `saddlepoint audit --model FOLDER` takes it. The same command continues a run that was
    stopped. A plan file may also set optimizer, weight-decay, held-out and check-n.

    Example: saddlepoint train --data digits --threat "Linf(eps=0.15)" --out robust
    """
    flags = {k: v for k, v in locals().items() if k != "plan"}
    settings = settle(TrainSettings, plan, flags)
    trained = run_train(settings)
    best = trained.history[trained.best_epoch - 1]
    OUT.print(
        Text(
            f"best epoch {trained.best_epoch}: held-out clean {percent(best.clean)}, "
            f"robust {percent(best.robust)}\nmodel: {trained.folder}"
        )
    )


def run_train(settings: TrainSettings, progress: bool = True) -> Trained:
    """Load the data, build the model, train it."""
    from saddlepoint.data import load_data
    from saddlepoint.models import build

    threat, attack = parse_threat(settings.threat), parse_attack(settings.attack)
    check, device = parse_attack(settings.check), pick_device(settings.device)
    data = load_data(settings.data)
    named = ("threat", "attack", "check", "data", "device", "out")
    given: dict[str, Any] = settings.model_dump(exclude=set(named))
    plan = TrainPlan(
        shape=data.shape, classes=data.classes, threat=threat, attack=attack, check=check, **given
    )
    seeded(plan.seed)
    model = build(settings.arch, data.shape, data.classes)
    samples = data.split("train")
    return train(
        plan,
        model,
        samples.x,
        samples.y,
        settings.out,
        device=str(device),
        progress=progress,
        data_sha256=samples.sha256(),
    )


def seeded(seed: int) -> None:
    """Fix the initial weights; a command owns its process, so the global seed is its to set."""
    import torch

    torch.manual_seed(seed)
