"""What every kind of replay says, and asks of the run it is about."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.text import Text

from saddlepoint.audit.membership import independent
from saddlepoint.cli.console import OUT
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.core.origin import code_of
from saddlepoint.core.threat import ThreatModel
from saddlepoint.models import ARCHITECTURES, DEFENCES
from saddlepoint.presets import parse_threat

__all__ = ["known", "note_code", "note_judge", "stated", "tell"]

SHOWN = 10


def tell(what: str, checked: int, failed: Mapping[int, str]) -> None:
    """Say why some do not hold, and how many do."""
    for row, reason in list(failed.items())[:SHOWN]:
        OUT.print(Text(f"sample {row}: {reason}"))
    if len(failed) > SHOWN:
        OUT.print(Text(f"… and {len(failed) - SHOWN} more"))
    OUT.print(Text(f"{checked - len(failed)} of {checked} {what} hold", style="bold"))


def note_judge(threat: object) -> None:
    """Say so where membership is judged by the set itself."""
    if not independent(threat):
        kind = type(threat).__name__
        note = f"note: no independent check knows {kind}: its own verbs judged membership"
        OUT.print(Text(note, style="yellow"))


def note_code(threat: object, said: Mapping[str, str]) -> None:
    """Say so where a set of the user's own is not the run's, by its name and its file's hash."""
    other = [name for name, digits in code_of(threat).items() if said.get(name) != digits]
    if other:
        was = ", ".join(said) or "it does not say which"
        note = f"note: this is not the code of the run ({was}): {', '.join(other)}, or its file"
        OUT.print(Text(f"{note}, differs", style="yellow"))


def known(model: str, arch: str | None, said: Mapping[str, Any]) -> str | None:
    """The run's architecture for a file of weights, if it is ours.

    Code is not imported on a file's word: raises ``Invalid``.
    """
    if arch is not None or Path(model).suffix not in (
        ".safetensors",
        ".pt",
        ".pth",
        ".bin",
        ".ckpt",
    ):
        return arch
    named = str(said["model"]["arch"])
    if named not in ARCHITECTURES | DEFENCES:
        hint = f"the run names {named!r}; if you trust that code, pass it as --arch"
        raise Invalid("arch", "<nothing>", "given", hint)
    return named


def stated(said: str, given: str | None) -> ThreatModel:
    """Return the run's threat model; one of the user's own code has to be given, and be the same.

    said: how the run prints it, which imports nothing. Raises ``BadData`` and ``Invalid``.
    """
    if given is None:
        try:
            return parse_threat(said)
        except Invalid as error:
            hint = "name a set of your own: --threat 'package.module:Name(…)'"
            raise BadData(f"the run's {error}; {hint}") from error
    threat = parse_threat(given, own=True)
    if repr(threat) != said:
        raise Invalid("threat", given, f"the one of the run, {said}", f"it reads {threat!r}")
    return threat
