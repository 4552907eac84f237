"""The verb ``verify``: one model, data set and threat, or one VNN-LIB property."""

import json
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from pydantic import Field, StrictInt
from rich.text import Text

from saddlepoint.audit import About, Audit, Radii, RadiusSearch, audit
from saddlepoint.audit.proving import Verification
from saddlepoint.audit.team import Team
from saddlepoint.cli.console import OUT, AuditProgress, percent
from saddlepoint.cli.joined import joined
from saddlepoint.cli.options import (
    ArchOption,
    BatchOption,
    DataOption,
    DeviceOption,
    ModelOption,
    NOption,
    OutOption,
    SeedOption,
    SplitOption,
    SubjectSettings,
    ThreatOption,
    settle,
)
from saddlepoint.cli.outcome import proof_table
from saddlepoint.cli.property import verify_property
from saddlepoint.cli.radius import columns, find_radii, print_radii, search_of
from saddlepoint.cli.subject import load_subject
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.files import write_bytes
from saddlepoint.presets import parse_attack, parse_threat

__all__ = ["verify_command"]

# What falls to a short attack costs no search.
_QUICK = "PGD(steps=20, start='clean', loss='probability-margin', reach=1.0)"
SCHEMA_VERSION = "1.1"


class VerifySettings(SubjectSettings):
    """Everything that ``verify`` takes for samples, with its default."""

    threat: str
    attack: str = _QUICK
    seconds: float = Field(10.0, ge=0, allow_inf_nan=False)
    subproblems: StrictInt | None = Field(None, ge=0)
    radius: bool = False
    radius_tolerance: float = Field(0.01, gt=0, lt=1)
    batch_size: StrictInt | None = None
    out: Path = Path("run-verify")


SubjectArgument = Annotated[
    str | None,
    typer.Argument(metavar="[MODEL|PLAN.toml]", help="As --model takes it, or a plan file."),
]
SecondsOption = Annotated[
    float | None,
    typer.Option("--seconds", help="CPU seconds of branch and bound for each sample (10)."),
]
SubproblemsOption = Annotated[
    int | None,
    typer.Option(
        "--subproblems",
        help="Subproblems for each sample: verdicts that this limit ends are the same everywhere.",
    ),
]
RadiusOption = Annotated[
    bool | None,
    typer.Option(
        "--radius", help="Then look for the largest size that is proved of each sample, too."
    ),
]
RadiusToleranceOption = Annotated[
    float | None,
    typer.Option("--radius-tolerance", help="Relative width at which that search ends (0.01)."),
]
FirstOption = Annotated[
    str | None, typer.Option("--attack", help="What runs first; default: PGD with 20 steps.")
]
OnnxOption = Annotated[
    Path | None, typer.Option("--onnx", help="With --vnnlib: the network, an .onnx file.")
]
VnnlibOption = Annotated[
    Path | None, typer.Option("--vnnlib", help="The property, a .vnnlib or .vnnlib.gz file.")
]
TimeoutOption = Annotated[
    float | None, typer.Option("--timeout", help="Of a property: seconds, of wall time (60).")
]
CheckOption = Annotated[
    Path | None,
    typer.Option("--check", help="Verify no property: check the counterexample in this answer."),
]


def verify_command(
    subject: SubjectArgument = None,
    model: ModelOption = None,
    arch: ArchOption = None,
    data: DataOption = None,
    split: SplitOption = None,
    threat: ThreatOption = None,
    seconds: SecondsOption = None,
    subproblems: SubproblemsOption = None,
    radius: RadiusOption = None,
    radius_tolerance: RadiusToleranceOption = None,
    attack: FirstOption = None,
    n: NOption = None,
    seed: SeedOption = None,
    device: DeviceOption = None,
    batch_size: BatchOption = None,
    out: OutOption = None,
    onnx: OnnxOption = None,
    vnnlib: VnnlibOption = None,
    timeout: TimeoutOption = None,
    check: CheckOption = None,
) -> None:
    """Prove that no change within the threat model makes a model err, sample by sample.

    A short attack goes first; then intervals, CROWN, optimised slopes, and branch and bound on what
    is left. The folder is a run like an audit's: `replay` checks its witnesses. The same
    command continues an interrupted run. With --radius the size of the threat is bisected for each
    sample as well, within --seconds again.

    Example: saddlepoint verify net.safetensors --arch conv-small --data mnist
    --threat "Linf(eps=0.1)" --n 100 --seconds 10 --out run-verify

    With --onnx and --vnnlib it tells whether a network can violate a VNN-LIB property: sat, unsat,
    unknown or timeout. sat means that it can, by a counterexample that ONNX Runtime confirms; unsat
    that it cannot, by a proof. Exit codes: 10 sat, 20 unsat, 30 unknown, 40 timeout, 2 bad input.
    With --check: 0 when the counterexample holds with no tolerance, else 1.
    """
    flags = {k: v for k, v in locals().items() if v is not None}
    about_property = {k: flags.pop(k, None) for k in ("onnx", "vnnlib", "timeout", "check")}
    if any(v is not None for v in about_property.values()):
        _only_property(flags)
        verify_property(**about_property, out=out)
        return
    plan = _subject(flags)
    with joined() as team:
        _verify_samples(settle(VerifySettings, plan, flags), team)


def _only_property(flags: dict[str, Any]) -> None:
    other = sorted(set(flags) - {"out"})
    if other:
        name = "MODEL" if other[0] == "subject" else "--" + other[0].replace("_", "-")
        raise Invalid(name, flags[other[0]], "left out beside --onnx and --vnnlib")


def _subject(flags: dict[str, Any]) -> Path | None:
    """Take the argument for a plan file or a model; return the plan."""
    named = flags.pop("subject", None)
    if named is None:
        return None
    if named.endswith(".toml"):
        return Path(named)
    if "model" in flags:
        raise Invalid("MODEL", named, "left out beside --model")
    flags["model"] = named
    return None


def _verify_samples(settings: VerifySettings, team: Team) -> None:
    threat: Any = parse_threat(settings.threat, own=True)
    attack = parse_attack(settings.attack, own=True)
    search = _radius_search(settings, threat)
    how = Verification(seconds=None, each=settings.seconds, subproblems=settings.subproblems)
    subject = load_subject(
        settings.model, settings.arch, settings.data, settings.split, settings.device
    )
    if subject.access != "gradients":
        raise Unsupported("bounds need the model's operators, and this model grants scores only")
    n = len(subject.samples) if settings.n is None else settings.n
    origin = (settings.model, subject.arch, settings.data, settings.split, subject.sha256)
    with AuditProgress(max(n, 1)) as progress:
        result = audit(
            subject.model,
            subject.samples,
            threat,
            (attack,),
            n=n,
            seed=settings.seed,
            batch_size=settings.batch_size,
            out=settings.out,
            about=About(*origin),
            figures=0,
            probes=0,
            verify=how,
            progress=progress,
            team=team,
        )
    if reason := result.document["verification"]["reason"]:
        raise Unsupported(reason)
    if team.first:
        write_bytes(settings.out / "verify.json", _json(result).encode())
    _print(result)
    if search is not None and team.first:
        x, y = subject.samples.batch(torch.arange(n))
        radii = find_radii(result, subject.model, (x, y), search, settings.out)
        write_bytes(settings.out / "verify.json", _json(result, radii).encode())
        print_radii(result, radii)


def _radius_search(settings: VerifySettings, threat: object) -> RadiusSearch | None:
    limits = settings.radius_tolerance, settings.seconds, settings.subproblems
    return search_of(threat, *limits) if settings.radius else None


def _json(result: Audit, radii: Radii | None = None) -> str:
    """verify.json: the numbers, and one entry per sample in columns."""
    said, table = result.document, result.table()
    bound = [float(b) if abs(b) < float("inf") else None for b in table["bound"].tolist()]
    content = {
        "schema_version": SCHEMA_VERSION,
        **{k: said[k] for k in ("saddlepoint", "created", "model", "data", "threat", "n")},
        "clean_accuracy": said["clean_accuracy"],
        "certified_accuracy": result.certified_accuracy,
        "robust_accuracy": {
            k: said["robust_accuracy"][k] for k in ("lower", "upper", "bracket", "confidence")
        },
        "verification": said["verification"],
        "samples": {
            **{k: table[k].tolist() for k in ("index", "label", "proof", "rung")},
            "bound": bound,
            **({} if radii is None else columns(result, radii)),
        },
        **{k: said[k] for k in ("model_sha256", "data_sha256", "plan", "seed", "environment")},
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _print(result: Audit) -> None:
    said = result.document
    found = said["verification"]
    counts, (low, high) = found["counts"], found["certified_interval"]
    OUT.print()
    OUT.print(proof_table(found))
    OUT.print()
    OUT.print(
        Text(
            f"certified accuracy {percent(result.certified_accuracy)}  "
            f"({100 * said['robust_accuracy']['confidence']:g} % interval {percent(low)} to "
            f"{percent(high)}; n = {said['n']})",
            style="bold",
        )
    )
    OUT.print(
        Text(
            f"{counts['certified']} certified, {counts['broken']} broken, {counts['undecided']} "
            f"undecided, {counts['wrong']} wrong without any attack; robust accuracy between "
            f"{percent(result.certified_accuracy)} and {percent(result.robust_accuracy)}"
        )
    )
    OUT.print(Text(f"verdicts: {result.folder}/verify.json"))
