"""The verb ``demo``: a natural and a robust net on digits, audited side by side."""

from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.table import Table
from rich.text import Text

from saddlepoint.audit.report import Run, write_report
from saddlepoint.cli.audit import run_audit
from saddlepoint.cli.audit_settings import AuditSettings
from saddlepoint.cli.console import OUT, percent
from saddlepoint.cli.options import settle
from saddlepoint.cli.train import TrainSettings, run_train

__all__ = ["demo_command"]

THREAT = "Linf(eps=0.15)"
RECIPE: dict[str, Any] = {
    "threat": THREAT,
    "attack": "PGD(steps=5, step_size=0.5)",
    "epochs": 40,
    "lr": 8e-3,
    "device": "cpu",
}
QUICK: dict[str, Any] = {"epochs": 12}  # robust enough to differ from the natural net
QUICK_AUDIT: dict[str, Any] = {"n": 100, "effort": "quick", "survivors": 0, "figures": 8}
LOSSES = {"natural": "natural", "robust": "madry"}


def demo_command(
    out: Annotated[Path, typer.Option("--out", help="Folder for models, runs and report.")] = Path(
        "demo"
    ),
    quick: Annotated[
        bool, typer.Option("--quick", help="Less of everything: to see that it works here.")
    ] = False,
) -> None:
    """Train a natural and a robust net on digits, audit both, and write one report.

    Takes a minute on one core, with --quick ten seconds. Running it again continues or repeats
    nothing.
    """
    # On nets this small a second thread waits more than it works, above all on a busy machine.
    torch.set_num_threads(1)
    recipe, less = ({**RECIPE, **QUICK}, QUICK_AUDIT) if quick else (RECIPE, {})
    runs = {}
    for name, loss in LOSSES.items():
        OUT.rule(Text(f"{name} training"))
        model = out / f"{name}-model"
        run_train(settle(TrainSettings, None, {**recipe, "loss": loss, "out": model}))
        OUT.rule(Text(f"audit of the {name} net under {THREAT}"))
        run = out / name
        asked = {"model": str(model), "threat": THREAT, "out": run, "device": "cpu", **less}
        runs[name] = run_audit(settle(AuditSettings, None, asked))
    path = write_report(
        [Run.load(out / name) for name in LOSSES],
        out / "report.html",
        "What adversarial training buys: two nets on handwritten digits",
    )
    OUT.rule()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("training", "clean accuracy", f"robust accuracy under {THREAT}, at most"):
        table.add_column(heading, justify="left" if heading == "training" else "right")
    for name, result in runs.items():
        table.add_row(name, percent(result.clean_accuracy), percent(result.robust_accuracy))
    OUT.print(table)
    OUT.print(Text(f"report: {path}"))
