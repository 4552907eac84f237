"""What follows a training on the command line: an audit of the result, and the model card."""

import time
from pathlib import Path

from rich.text import Text

from saddlepoint.cli.audit import AuditSettings, run_audit
from saddlepoint.cli.console import OUT
from saddlepoint.core.errors import BadData
from saddlepoint.train.card import write_card
from saddlepoint.train.record import record_audit

__all__ = ["audit_and_card"]


def audit_and_card(
    folder: Path, data: str, threat: str, n: int, seed: int, device: str | None, precision: str
) -> None:
    """Audit the kept weights on the first ``n`` test samples (0: not), then write the card.

    Under torchrun this is the first process's to do.
    """
    if n:
        try:
            _audit(folder, data, threat, n, seed, device, precision)
        except BadData as error:
            OUT.print(Text(f"not audited: {error}", style="yellow"))
    card, page = write_card(folder)
    OUT.print(Text(f"model card: {card}, {page}"))


def _audit(
    folder: Path, data: str, threat: str, n: int, seed: int, device: str | None, precision: str
) -> None:
    from saddlepoint.data import load_data

    begin = time.monotonic()
    n = min(n, len(load_data(data).split("test")))
    result = run_audit(
        AuditSettings(
            model=str(folder),
            threat=threat,
            data=data,
            n=n,
            seed=seed,
            device=device,
            precision=precision,  # type: ignore[arg-type]
            out=folder / "audit",
            figures=64,
        )
    )
    summary = {
        "n": n,
        "split": "test",
        "clean": result.clean_accuracy,
        "robust_at_most": result.robust_accuracy,
        "interval": list(result.interval),
        "attacks": list(result.document["plan"]["attacks"]),
        "folder": "audit",
        "seconds": round(time.monotonic() - begin, 1),
    }
    record_audit(folder, summary)
