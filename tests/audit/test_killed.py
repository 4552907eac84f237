"""kill -9, again and again at any moment: the evidence is that of a run that was left in peace."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
import saddlepoint as sp
from tests.audit.conftest import fitted

s = fitted()
loader = ((s.x[i : i + 7], s.y[i : i + 7]) for i in range(0, 60, 7))
attacks, more = {
    "listed": ((sp.PGD(steps=5), sp.RandomSearch(n_queries=3000), sp.APGD(steps=20)), {}),
    "cascade": (None, {"max_passes": 150.0, "survivors": 0}),
}[sys.argv[1]]
sp.audit(
    s.model, loader, sp.Linf(eps=0.05), attacks, batch_size=4, figures=4, out=sys.argv[2], **more
)
"""
FILES = ("evidence.npz", "witnesses.safetensors", "samples.npz", "figures.json", "gallery.npz")
KILLS = 4

pytestmark = pytest.mark.slow


def start(kind: str, out: Path) -> "subprocess.Popen[bytes]":
    path = {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-c", SCRIPT, kind, str(out)]
    with said(out).open("wb") as to:
        return subprocess.Popen(command, env=os.environ | path, stderr=to)


def said(out: Path) -> Path:
    return out.with_suffix(".log")


def size(out: Path) -> int:
    records = out / "journal/0000.records"
    return records.stat().st_size if records.exists() else 0


def killed(kind: str, out: Path, chance: random.Random) -> bool:
    """Start, let it get some way on, kill it; False where it ended before."""
    before, process = size(out), start(kind, out)
    while process.poll() is None and size(out) <= before:
        time.sleep(0.002)
    until = time.monotonic() + chance.choice([0.0, 0.02, 0.1, 0.4])
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait(60) in (0, -signal.SIGKILL), said(out).read_text()
    return process.returncode != 0


@pytest.mark.parametrize("kind", ["listed", "cascade"])
def test_killed_at_any_moment_ends_the_same(kind: str, tmp_path: Path) -> None:
    straight, out, chance = tmp_path / "straight", tmp_path / "killed", random.Random(kind)  # noqa: S311 - not a secret
    assert start(kind, straight).wait(200) == 0
    kills = 0
    while kills < KILLS and killed(kind, out, chance):
        kills += 1
        assert not (out / "audit.json").exists()
    assert kills >= 2, "the audit is too short to be killed in the middle"
    assert start(kind, out).wait(200) == 0, said(out).read_text()
    for name in FILES:
        assert (out / name).read_bytes() == (straight / name).read_bytes(), name
    assert {p.name for p in out.iterdir()} == {p.name for p in straight.iterdir()}
