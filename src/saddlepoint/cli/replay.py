"""The verb ``replay``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.text import Text

from saddlepoint.audit.certificates import Certificates
from saddlepoint.audit.membership import independent
from saddlepoint.audit.recheck import recheck
from saddlepoint.audit.replay import Witnesses, replay
from saddlepoint.cli.console import OUT
from saddlepoint.cli.options import ArchOption, DataOption, DeviceOption, ModelOption, SplitOption
from saddlepoint.cli.subject import load_subject
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.core.expectation import Expectation
from saddlepoint.models import ARCHITECTURES
from saddlepoint.presets import parse_threat, parse_under

__all__ = ["replay_command"]

SHOWN = 10


def replay_command(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    model: ModelOption = None,
    arch: ArchOption = None,
    data: DataOption = None,
    split: SplitOption = None,
    device: DeviceOption = None,
) -> None:
    """Check every witness and certificate of a run; exit 1 when one does not hold.

    Each perturbed input must lie in the threat model's set around its sample, judged in float64 by
    code that shares nothing with the search, and the model must err on it. Each certificate must
    prove in float64, to a checker that shares nothing with the search either, that no input of the
    set makes the model err. Data and split are the run's own unless given.
    """
    if model is None:
        raise Invalid("model", "<nothing>", "given: pass --model")
    claims, proofs = Witnesses.load(run), Certificates.load(run)
    said = claims.document
    if arch is None and _is_weights(model):
        arch = _known(str(said["model"]["arch"]))
    subject = load_subject(
        model, arch, data or said["data"]["name"], split or said["data"]["split"], device
    )
    threat = parse_threat(said["plan"]["threat"])
    if not independent(threat):
        kind = type(threat).__name__
        note = f"note: no independent check knows {kind}: its own verbs judged membership"
        OUT.print(Text(note, style="yellow"))
    under = _under(said["plan"].get("under"))
    result = replay(claims, subject.model, subject.samples, threat, subject.sha256, under)
    if not result.same_model:
        OUT.print(Text("note: this is not the model of the run: its hash differs", style="yellow"))
    _tell("witnesses", result.checked, result.failed)
    holds = result.holds
    if proofs is not None:
        with Progress(console=OUT, transient=True) as bar:
            task = bar.add_task("certificates", total=len(proofs.index))
            again = recheck(
                claims,
                proofs,
                subject.model,
                subject.samples,
                threat,
                lambda done, total: bar.update(task, completed=done),
            )
        _tell("certificates", again.checked, again.failed)
        holds = holds and again.holds
    if not holds:
        raise typer.Exit(1)


def _under(said: Any) -> Expectation | None:  # noqa: ANN401 - what a file says
    """Transformations that the run's witnesses are judged under."""
    if said is None:
        return None
    try:
        given = {k: v for k, v in said.items() if k != "distribution"}
        return Expectation(parse_under(said["distribution"]), **given)
    except (AttributeError, KeyError, TypeError) as error:
        raise BadData(f"audit.json names no transformations: {error}") from error


def _tell(what: str, checked: int, failed: Mapping[int, str]) -> None:
    """Say why some do not hold, and how many do."""
    for row, reason in list(failed.items())[:SHOWN]:
        OUT.print(Text(f"sample {row}: {reason}"))
    if len(failed) > SHOWN:
        OUT.print(Text(f"… and {len(failed) - SHOWN} more"))
    OUT.print(Text(f"{checked - len(failed)} of {checked} {what} hold", style="bold"))


def _known(arch: str) -> str:
    """The run's architecture, if it is ours: code is not imported on a file's word."""
    if arch not in ARCHITECTURES:
        hint = f"the run names {arch!r}; if you trust that code, pass it as --arch"
        raise Invalid("arch", "<nothing>", "given", hint)
    return arch


def _is_weights(model: str) -> bool:
    """Whether a model file needs an architecture beside it."""
    return Path(model).suffix in (".safetensors", ".pt", ".pth", ".bin", ".ckpt")
