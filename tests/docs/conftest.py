"""What ``make demo`` leaves behind, made once, of nets that are trained for seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from saddlepoint.audit.report import Run, write_report
from saddlepoint.cli.audit import run_audit
from saddlepoint.cli.audit_settings import AuditSettings
from saddlepoint.cli.demo import LOSSES, RECIPE, THREAT
from saddlepoint.cli.options import settle
from saddlepoint.cli.train import TrainSettings, run_train

from .reader import Reader


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder ``demo``: its names and files are the real ones, its nets are worse."""
    out = tmp_path_factory.mktemp("made") / "demo"
    short = {"epochs": 8, "audit_n": 0}
    audited = {"n": 30, "effort": "quick", "figures": 2, "device": "cpu", "threat": THREAT}
    for name, loss in LOSSES.items():
        model = out / f"{name}-model"
        run_train(settle(TrainSettings, None, {**RECIPE, **short, "loss": loss, "out": model}))
        made = {"model": str(model), "out": out / name}
        run_audit(settle(AuditSettings, None, {**audited, **made}))
    write_report([Run.load(out / name) for name in LOSSES], out / "report.html", "demo")
    return out


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    (tmp_path / "checkout").mkdir()
    found = Reader(tmp_path / "checkout", tmp_path / "bin", monkeypatch)
    yield found
    found.close()
