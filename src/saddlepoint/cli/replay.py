"""The verb ``replay``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.text import Text

from saddlepoint.audit.certificates import Certificates
from saddlepoint.audit.recheck import recheck
from saddlepoint.audit.replay import Witnesses, replay
from saddlepoint.cli.complete import threat_names
from saddlepoint.cli.console import OUT
from saddlepoint.cli.options import ArchOption, DataOption, DeviceOption, ModelOption, SplitOption
from saddlepoint.cli.replay_universal import check_universal
from saddlepoint.cli.replayed import known, note_code, note_judge, stated, tell
from saddlepoint.cli.subject import Subject, load_subject
from saddlepoint.cli.under import as_written
from saddlepoint.core.errors import Invalid
from saddlepoint.core.threat import ThreatModel

__all__ = ["replay_command"]


def replay_command(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    model: ModelOption = None,
    arch: ArchOption = None,
    data: DataOption = None,
    split: SplitOption = None,
    device: DeviceOption = None,
    threat: Annotated[
        str | None,
        typer.Option(
            "--threat",
            help="The run's threat model, where it is a set of your own: package.module:Name(…). "
            "Nothing is imported on a file's word.",
            autocompletion=threat_names,
        ),
    ] = None,
) -> None:
    """Check every witness and certificate of a run; exit 1 when one does not hold.

    Each perturbed input must lie in the threat model's set around its sample, judged in float64 by
    code that shares nothing with the search, and the model must err on it. Each certificate must
    prove in float64, to a checker that shares nothing with the search either, that no input of the
    set makes the model err. A universal perturbation is put on every sample again, and the model
    must answer as the run says. Data and split are the run's own unless given.
    """
    if model is None:
        raise Invalid("model", "<nothing>", "given: pass --model")
    if (run / "universal.json").exists():
        check_universal(run, model, arch, data, split, device, threat)
        return
    claims, proofs = Witnesses.load(run), Certificates.load(run)
    said = claims.document
    arch = known(model, arch, said)
    subject = load_subject(
        model, arch, data or said["data"]["name"], split or said["data"]["split"], device
    )
    around = stated(said["plan"]["threat"], threat)
    note_judge(around)
    note_code(around, said["plan"].get("code", {}))
    under = as_written(said["plan"].get("under"))
    result = replay(claims, subject.model, subject.samples, around, subject.sha256, under)
    if not result.same_model:
        OUT.print(Text("note: this is not the model of the run: its hash differs", style="yellow"))
    tell("witnesses", result.checked, result.failed)
    proved = proofs is None or _rechecked(claims, proofs, subject, around)
    if not (result.holds and proved):
        raise typer.Exit(1)


def _rechecked(
    claims: Witnesses, proofs: Certificates, subject: Subject, threat: ThreatModel
) -> bool:
    """Check the certificates under a bar, and say how many hold."""
    with Progress(console=OUT, transient=True) as bar:
        task = bar.add_task("certificates", total=len(proofs.index))

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done)

        again = recheck(claims, proofs, subject.model, subject.samples, threat, progress)
    tell("certificates", again.checked, again.failed)
    return again.holds
