"""Options that several verbs share, and the plan files that stand for them."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import typer
from pydantic import BaseModel, ConfigDict, StrictInt, ValidationError

from saddlepoint.cli.complete import (
    arch_names,
    attack_names,
    data_names,
    either,
    threat_names,
)
from saddlepoint.core.errors import BadData, Invalid, closest
from saddlepoint.core.named import lifted

__all__ = [
    "ArchOption",
    "AttackOption",
    "BatchOption",
    "DataOption",
    "DeviceOption",
    "EotOption",
    "LoggerName",
    "LoggerOption",
    "ModelOption",
    "NOption",
    "OutOption",
    "PlanArgument",
    "PrecisionOption",
    "ProbesOption",
    "SeedOption",
    "Settings",
    "SplitOption",
    "SubjectSettings",
    "TargetOption",
    "ThreatOption",
    "VotesOption",
    "settle",
]

PlanArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[PLAN.toml]", help="A plan file; flags given beside it win."),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="A .safetensors, .pt or .onnx file, a folder written by `saddlepoint train`, "
        "a .toml that describes a model behind HTTP, package.module:factory, or "
        "robustbench:DATASET/THREAT/NAME.",
    ),
]
ArchOption = Annotated[
    str | None,
    typer.Option(
        "--arch",
        help="Architecture of a weights file: conv-small, conv-medium, madry-mnist, mlp, resnet9, "
        "preact-resnet18, or package.module:factory.",
        autocompletion=arch_names,
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="digits, mnist, cifar10, an .npz file or a folder of images.",
        autocompletion=data_names,
    ),
]
SplitOption = Annotated[
    str | None,
    typer.Option(
        "--split", help="test (default) or train.", autocompletion=either("test", "train")
    ),
]
ThreatOption = Annotated[
    str | None,
    typer.Option(
        "--threat",
        help='What the adversary may change: "Linf(eps=8/255)", "L2(0.5)", "Patch(size=6)", '
        '"RotateTranslate(30, 3)"; a | b: either, a >> b: both in turn; a class of your own: '
        '"package.module:Name(…)".',
        autocompletion=threat_names,
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        "--target",
        help="The class that the adversary wants: 3, next (after the label), runner-up or "
        "least-likely (of the clean scores), or an .npz or .txt file with one for each sample; "
        "default: any but the label.",
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="float32 (default), or bfloat16: search fast, confirm exactly.",
        autocompletion=either("float32", "bfloat16"),
    ),
]
AttackOption = Annotated[
    list[str] | None,
    typer.Option(
        "--attack",
        help='Such as "PGD(steps=40)", "Restarts(APGD(loss=\'dlr\'), n=5)" or, of your own, '
        '"package.module:Name(…)"; repeat for several.',
        autocompletion=attack_names,
    ),
]
NOption = Annotated[int | None, typer.Option("--n", help="Use the first N samples.")]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Seed of all randomness (0).")]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="cpu, cuda, cuda:1 …; default: cuda where there is.")
]
BatchOption = Annotated[
    int | None, typer.Option("--batch-size", help="Samples per batch; changes memory and speed.")
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Folder for the run's files.")]
LoggerName = Literal["tensorboard", "csv", "wandb", "mlflow"]
LoggerOption = Annotated[
    str | None,
    typer.Option(
        "--logger",
        help="Where a dashboard reads the numbers: tensorboard or csv, in the run's folder, wandb "
        "or mlflow (default none).",
        autocompletion=either(*get_args(LoggerName)),
    ),
]
EotOption = Annotated[
    int | None,
    typer.Option(
        "--eot",
        help="Randomised models: passes that each answer is averaged over (1; --under: 16).",
    ),
]
VotesOption = Annotated[
    int | None,
    typer.Option(
        "--votes", help="Randomised models: draws whose majority is a verdict (1; --under: 100)."
    ),
]
ProbesOption = Annotated[
    int | None,
    typer.Option(
        "--probes", help="Samples that health checks measure on (64; of a paid service 0); 0: none."
    ),
]


class Settings(BaseModel):
    """Fields that a verb understands; unknown keys of a plan file are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SubjectSettings(Settings):
    """Which model and which samples, for the verbs that look at one model."""

    model: str
    arch: str | None = None
    data: str = "digits"
    split: Literal["test", "train"] = "test"
    n: StrictInt | None = None
    seed: StrictInt = 0
    device: str | None = None


S = TypeVar("S", bound=Settings)
_COMPONENTS = ("threat", "attack", "check", "loss")
_ALLOWED = {
    "bool_type": "true or false",
    "dict_type": "a table, such as { width = 32 }",
    "int_type": "a whole number",
    "path_type": "a path, in quotes",
}


def settle(kind: type[S], plan: Path | None, flags: dict[str, Any]) -> S:
    """Read the plan file, let flags win, and validate; of a table, flags replace what they name.

    Raises ``BadData`` for a file that is no TOML, ``Invalid`` for an unknown key or a wrong type,
    and for a set, an attack or an objective of the user's own that no flag has named.
    """
    values = _read(plan) if plan else {}
    unknown = sorted(set(values) - set(kind.model_fields))
    if unknown:
        hint = closest(unknown[0], kind.model_fields)
        raise Invalid(f"key in {plan}", unknown[0], "a known key", hint)
    given = {name: value for name, value in flags.items() if value is not None}
    _refuse_code(plan, {name: v for name, v in values.items() if name not in given})
    for name, value in given.items():
        values[name] = _over(values.get(name), value)
    try:
        return kind(**values)
    except ValidationError as error:
        # A wrong value is worth more than a missing one: the user has typed it.
        first = min(error.errors(), key=lambda e: e["type"] == "missing")
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            flag = "--" + name.replace("_", "-")
            raise Invalid(
                name, "<nothing>", f"given: pass {flag}, or {name} = … in a plan"
            ) from None
        allowed = _ALLOWED.get(first["type"], first["msg"].removeprefix("Input should be "))
        raise Invalid(name, first["input"], allowed) from None


def _refuse_code(plan: Path | None, planned: dict[str, Any]) -> None:
    """Refuse components of the user's own in a file: a flag alone has them imported."""
    for name in _COMPONENTS:
        value = planned.get(name)
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and lifted(text)[1]:
                hint = f"it names code, which no file has imported: give it as a flag, --{name}"
                raise Invalid(f"{name} in {plan}", text, "made of names that saddlepoint has", hint)


def _over(planned: object, flag: object) -> object:
    both = isinstance(planned, dict) and isinstance(flag, dict)
    return {**planned, **flag} if both else flag  # type: ignore[dict-item]


def _read(plan: Path) -> dict[str, Any]:
    try:
        with plan.open("rb") as f:
            raw = tomllib.load(f)
    except FileNotFoundError as error:
        raise BadData(f"{plan}: no such plan file") from error
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadData(f"{plan} is no readable TOML: {error}") from error
    return {k.replace("-", "_"): v for k, v in raw.items()}
