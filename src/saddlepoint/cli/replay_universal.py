"""``replay`` on the folder of a universal perturbation."""

from pathlib import Path

import typer
from rich.text import Text

from saddlepoint.audit.universal_replay import Claimed, replay_universal
from saddlepoint.cli.console import OUT
from saddlepoint.cli.replayed import known, note_code, note_judge, stated, tell
from saddlepoint.cli.subject import load_subject

__all__ = ["check_universal"]


def check_universal(
    run: Path,
    model: str,
    arch: str | None,
    data: str | None,
    split: str | None,
    device: str | None,
    own: str | None = None,
) -> None:
    """Put the perturbation on every sample again; exit 1 when a claim does not hold.

    own: the threat model, where it is a set of the user's own.
    """
    claimed = Claimed.load(run)
    said = claimed.document
    arch = known(model, arch, said)
    subject = load_subject(
        model, arch, data or said["data"]["name"], split or said["data"]["split"], device
    )
    threat = stated(said["threat"], own)
    note_judge(threat)
    note_code(threat, said.get("code", {}))
    result = replay_universal(claimed, subject.model, subject.samples, threat, subject.sha256)
    if not result.same_model:
        OUT.print(Text("note: this is not the model of the run: its hash differs", style="yellow"))
    tell("answers", result.checked, result.failed)
    if not result.holds:
        raise typer.Exit(1)
