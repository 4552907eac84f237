"""What follows a training on the command line: an audit of the result, and the model card."""

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from saddlepoint.cli.audit import run_audit
from saddlepoint.cli.audit_settings import AuditSettings
from saddlepoint.cli.console import OUT
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.core.interrupts import interrupts, is_told, told
from saddlepoint.train import Diverged
from saddlepoint.train.card import write_card
from saddlepoint.train.device import rank
from saddlepoint.train.record import record_audit

if TYPE_CHECKING:
    from saddlepoint.cli.train import TrainSettings

__all__ = ["audit_and_card", "card_of_stopped"]


@contextlib.contextmanager
def card_of_stopped(folder: Path) -> Iterator[None]:
    """Write the card, without audit, of a run that stops, diverges or collapses in here.

    Nothing about the card may hide why the run ended.
    """
    try:
        yield
    except (KeyboardInterrupt, Diverged) as error:
        # Otherwise the run was stopped before the folder was its own.
        if (
            (isinstance(error, Diverged) or is_told(error))
            and not rank()
            and (folder / "model.json").exists()
        ):
            with contextlib.suppress(Exception):
                _card(folder)
        raise


def audit_and_card(folder: Path, settings: "TrainSettings") -> None:
    """Audit the kept weights on the first ``audit_n`` test samples (0: not), then write the card.

    Under torchrun this is the first process's to do. Raises ``Invalid``, after the card, where
    ``folder`` holds another audit than the one that is asked for. Interrupted, the card is there,
    without an audit.
    """
    if not (folder / "audit").exists():
        record_audit(folder, None)  # of one that was deleted the card says nothing
    if settings.audit_n:
        write_card(folder)
        try:
            with interrupts():
                _audit(folder, settings)
        except BadData as error:
            OUT.print(Text(f"not audited: {error}", style="yellow"))
        except KeyboardInterrupt as stop:
            said = f"stopped: the model in {folder} is complete, its audit is not; "
            OUT.print(Text(f"{said}the same command continues it", style="yellow"))
            told(stop, said)
            raise
        except Invalid as error:
            _card(folder)
            raise _refused(folder / "audit", error) from None
    _card(folder)


def _card(folder: Path) -> None:
    card, page = write_card(folder)
    OUT.print(Text(f"model card: {card}, {page}"))


def _refused(where: Path, error: Invalid) -> Invalid:
    """Say of an audit that stands in the way what to delete, and that it is not the training."""
    found = re.search(r"it holds another run \((.*)\)", str(error), re.DOTALL)
    if not found:
        return error
    hint = (
        f"it holds another audit ({found[1]}): delete {where} and run the same command again, "
        "which audits anew; the training is complete and stays as it is"
    )
    return Invalid("audit", str(where), "an empty folder or one with the same audit", hint)


def _ran(document: Mapping[str, Any]) -> list[str]:
    """The attacks that were run, on how many samples each; a plan may hold more than it needed."""
    counts: dict[str, int] = {}
    for row in document["attacks"]:
        if row["stage"] != "clean" and row["evaluated"]:
            counts[row["spec"]] = max(row["evaluated"], counts.get(row["spec"], 0))
    return [f"{spec} on {n} sample{'s' * (n > 1)}" for spec, n in counts.items()]


def _findings(document: Mapping[str, Any]) -> list[str]:
    """The health checks that were not passed."""
    return [
        f"{row['verdict']}: {row['check']}: {row['measured']}"
        for row in document["findings"]
        if row["verdict"] != "ok"
    ]


def _audit(folder: Path, settings: "TrainSettings") -> None:
    from saddlepoint.data import load_data

    begin = time.monotonic()
    n = min(settings.audit_n, len(load_data(settings.data).split("test")))
    result = run_audit(
        AuditSettings(
            model=str(folder),
            threat=settings.threat,
            data=settings.data,
            n=n,
            seed=settings.seed,
            device=settings.device,
            precision=settings.precision,
            target=settings.target,
            logger=settings.logger,
            out=folder / "audit",
            figures=64,
            probes=64,
            eot=1,
            votes=1,
        )
    )
    summary = {
        "n": n,
        "split": "test",
        "clean": result.clean_accuracy,
        "robust_at_most": result.robust_accuracy,
        "interval": list(result.interval),
        "attacks": _ran(result.document),
        "findings": _findings(result.document),
        "folder": "audit",
        "seconds": round(time.monotonic() - begin, 1),
    }
    record_audit(folder, summary)
