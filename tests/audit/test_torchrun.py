"""``torchrun`` with the command line: one evidence, one message, one end."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ONE = (sys.executable, "-m", "saddlepoint")
TWO = (
    *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"),
    *("-m", "--", "saddlepoint"),  # without the dashes torchrun takes --n for its own
)
WORDS = (
    *("audit", "--model", "tests.cli.nets:linear", "--threat", "Linf(eps=0.05)", "--n", "200"),
    *("--device", "cpu", "--batch-size", "16", "--figures", "0"),
)
LISTED = (*WORDS, "--attack", "PGD(steps=5)", "--attack", "APGD(steps=10)")
CASCADE = (*WORDS, "--max-passes", "120", "--survivors", "0")
VERIFIED = (*LISTED, "--verify-subproblems", "50")
LONG = (*WORDS, "--attack", "PGD(steps=5)", "--attack", "RandomSearch(n_queries=1200)")
EVIDENCE = ("evidence.npz", "witnesses.safetensors", "samples.npz")

pytestmark = pytest.mark.slow


def environment() -> dict[str, str]:
    path = f"{ROOT / 'src'}:{ROOT}"
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path, "COLUMNS": "200"}


def start(*words: object, log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as to:
        command = [str(w) for w in words]
        return subprocess.Popen(
            command, env=environment(), stdout=to, stderr=to, start_new_session=True
        )


def end(*words: object, log: Path) -> tuple[int, str]:
    """Exit status, and what was said."""
    return start(*words, log=log).wait(200), re.sub(r"\s+", " ", log.read_text())


def same(a: Path, b: Path) -> None:
    for name in EVIDENCE:
        assert (a / name).read_bytes() == (b / name).read_bytes(), name


@pytest.mark.parametrize(
    "words", [LISTED, CASCADE, VERIFIED], ids=["listed", "cascade", "verified"]
)
def test_two_processes_leave_what_one_leaves(words: tuple[str, ...], tmp_path: Path) -> None:
    log = tmp_path / "log"
    code, one = end(*ONE, *words, "--out", tmp_path / "one", log=log)
    assert code == 0, one
    code, two = end(*TWO, *words, "--out", tmp_path / "two", "--fail-under", "0.1", log=log)
    assert code == 0, two
    same(tmp_path / "one", tmp_path / "two")
    for line in ("clean accuracy: 95.00 %", "report: ", "robust accuracy <= ", "0.1: holds"):
        assert two.count(line) == 1, two
    assert (tmp_path / "two/journal/0001.records").stat().st_size > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--n", "501"), "at most 500"),  # both fail
        (("--threat", "Linf(eps=8)"), "did you mean 8/255?"),  # before any work
        (("--model", "tests.cli.nets:forsaken"), "no memory left on this GPU"),  # the second
        (("--fail-under", "0.99"), "fail-under 0.99: robust accuracy is at most"),  # the first
    ],
)
def test_all_end_and_one_says_why(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    words = (*TWO, *LISTED, *change, "--out", tmp_path / "run")
    code, said = end(*words, log=tmp_path / "log")
    assert code != 0
    assert said.count(message) == 1, said
    assert said.count("error: ") == (change[0] != "--fail-under"), said


def stopped(how: signal.Signals, everyone: bool, out: Path, log: Path) -> str:
    """Start two processes, send a signal in the middle of the second attack."""
    process = start(*TWO, *LONG, "--out", out, log=log)
    deadline = time.monotonic() + 100
    while "PGD" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is None, log.read_text()
    workers = {rank: worker(process.pid, rank) for rank in (0, 1)}
    hit = [workers[1]] if how is signal.SIGKILL else [process.pid]
    if everyone and how is signal.SIGKILL:
        hit = [process.pid, *workers.values()]
    for pid in hit:
        os.kill(pid, how)
    assert process.wait(100) != 0
    assert not (out / "audit.json").exists(), "the audit ended too soon to be stopped"
    return re.sub(r"\s+", " ", log.read_text())


def worker(parent: int, rank: int) -> int:
    """The process that torchrun has given this rank."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    for child in map(int, children):
        if f"\0RANK={rank}\0".encode() in Path(f"/proc/{child}/environ").read_bytes():
            return child
    raise AssertionError(children)


@pytest.mark.parametrize(
    ("how", "everyone", "then"),
    [
        (signal.SIGINT, True, TWO),
        (signal.SIGKILL, True, ONE),
        (signal.SIGKILL, False, TWO),
    ],
)
def test_stopped_and_gone_on_with(
    how: signal.Signals, everyone: bool, then: tuple[str, ...], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    said = stopped(how, everyone, tmp_path / "stopped", log)
    if how is signal.SIGINT:
        assert said.count("interrupted: what was finished is kept") == 1, said
    code, said = end(*then, *LONG, "--out", tmp_path / "stopped", log=log)
    assert code == 0, said
    code, said = end(*ONE, *LONG, "--out", tmp_path / "straight", log=log)
    assert code == 0, said
    same(tmp_path / "stopped", tmp_path / "straight")


def test_one_goes_on_with_two(tmp_path: Path) -> None:
    """The first half by one process, the rest by two."""
    log = tmp_path / "log"
    process = start(*ONE, *LONG, "--out", tmp_path / "run", log=log)
    records = tmp_path / "run/journal/0000.records"
    while not records.exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait(20)
    code, said = end(*TWO, *LONG, "--out", tmp_path / "run", log=log)
    assert code == 0, said
    code, said = end(*ONE, *LONG, "--out", tmp_path / "straight", log=log)
    assert code == 0, said
    same(tmp_path / "run", tmp_path / "straight")
