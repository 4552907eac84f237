"""The same command in two processes: the curve of one, one folder, and one end for all."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from saddlepoint import Linf
from saddlepoint.core.errors import Invalid
from saddlepoint.train import AWP, train
from saddlepoint.train.device import launch, processes, rank
from saddlepoint.train.sharding import check_sharded
from tests.train.kit import Digits, MakeNet, MakePlan
from tests.train.scenes import CURVES, SCENES, play

ROOT = Path(__file__).parents[2]
TWO = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone")
Seen = Mapping[str, list[dict[str, Any]]]


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What each of two processes saw in each scene."""
    folder = tmp_path_factory.mktemp("two")
    command = (*TWO, "tests/train/scenes.py", str(folder), *SCENES)
    done = subprocess.run(
        command, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    told = {name: [folder / f"{name}.{rank}.json" for rank in (0, 1)] for name in SCENES}
    return {name: [json.loads(path.read_text()) for path in two] for name, two in told.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CURVES)
def test_two_processes_have_the_curve_of_one(seen: Seen, name: str, tmp_path: Path) -> None:
    first, second = seen[name]
    assert first == second
    one = play(tmp_path, name.removeprefix("sharded-").replace("sharded", "madry"))
    for a, b in zip(one["curve"], first["curve"], strict=True):
        # A bound has no attack of its own to succeed: its place holds None.
        assert [v is None for v in a] == [v is None for v in b]
        told = [v for v in a if v is not None]
        assert told == pytest.approx([v for v in b if v is not None], rel=1e-5)
    assert first["weights"] == pytest.approx(one["weights"], rel=1e-3)
    assert first["best"] == one["best"]


@pytest.mark.slow
def test_bfloat16_is_near_and_sharding_does_not_change_it(seen: Seen, tmp_path: Path) -> None:
    one = play(tmp_path, "low-precision")
    two, sharded = seen["low-precision"][0], seen["sharded-low-precision"][0]
    losses = [[epoch[0] for epoch in told["curve"]] for told in (one, two, sharded)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    # Nearer than the weights of one process and of two are to each other: 6 % apart.
    assert sharded["weights"] == pytest.approx(two["weights"], rel=1e-4)


@pytest.mark.slow
def test_awp_agrees_between_processes(seen: Seen) -> None:
    first, second = seen["awp"]
    assert first == second
    losses = [epoch[0] for epoch in first["curve"]]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.slow
def test_rows_of_a_weight_perturbation_are_those_of_the_whole_batch(
    seen: Seen, tmp_path: Path
) -> None:
    """Of both processes together, so that the curve is that of one, and not that of all rows."""
    one = [epoch[0] for epoch in play(tmp_path, "awp-rows")["curve"]]
    all_rows = [epoch[0] for epoch in seen["awp"][0]["curve"]]
    for told in seen["awp-rows"]:
        losses = [epoch[0] for epoch in told["curve"]]
        assert losses == pytest.approx(one, rel=1e-5)
        assert losses != pytest.approx(all_rows, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resumed", "sharded-resumed", "sharded-to-whole"])
def test_a_stopped_run_of_two_ends_bit_identical(seen: Seen, name: str) -> None:
    for told in seen[name]:
        curves = [run["curve"] for run in (told["straight"], told["resumed"])]
        if name == "sharded-to-whole":  # a sum of two is the same in any order
            assert curves[1] == [pytest.approx(row, rel=1e-5) for row in curves[0]]
        else:
            assert told["straight"] == told["resumed"]


@pytest.mark.slow
def test_the_first_process_decides_about_a_collapse(seen: Seen) -> None:
    first, second = seen["guarded"]
    assert first == second
    four = "PGD(steps=4, step_size=0.5)"
    assert first["attacks"] == ["PGD(steps=1)", "PGD(steps=1)", four, four]
    assert [row[1] for row in first["curve"]] == [0.01, 0.03, 0.04]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said", "wrote"),
    [
        ("other-seeds", "1 of 2 processes differ from the first", [False, False]),
        ("other-data", "1 of 2 processes differ from the first", [False, False]),
        ("unseen-folder", "a folder that all can see", [True, False]),
        ("diverged", "Diverged: the loss is", [True, True]),
        ("too-small", "batch_size = 1: must be at least 2", [False, False]),
    ],
)
def test_all_stop_where_one_has_to(seen: Seen, name: str, said: str, wrote: list[bool]) -> None:
    assert all(said in told["error"] for told in seen[name])
    assert [told["wrote"] for told in seen[name]] == wrote


# -- by the command line ---------------------------------------------------------------------------


def train_command(out: Path, epochs: int) -> list[str]:
    plan = {
        "threat": "Linf(eps=0.1)", "arch": "mlp", "epochs": str(epochs), "batch-size": "256",
        "attack": "PGD(steps=2, step_size=0.75)", "check": "PGD(steps=2)", "check-n": "50",
        "audit-n": "0", "device": "cpu", "out": str(out),
    }  # fmt: skip
    return ["train", *(word for k, v in plan.items() for word in (f"--{k}", v))]


def start(words: list[str], log: Path) -> "subprocess.Popen[bytes]":
    command = (*TWO, "-m", "saddlepoint", *words)
    with log.open("wb") as to:
        return subprocess.Popen(
            command, env=environment(), stdout=to, stderr=to, start_new_session=True
        )


def curve(out: Path) -> list[list[float]]:
    with (out / "history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    return [[float(r[k]) for k in ("epoch", "loss", "clean", "robust", "own", "lr")] for r in rows]


def stop_in_the_middle(words: list[str], out: Path, how: signal.Signals, log: Path) -> int:
    """Start, send the signal to all once an epoch is saved, and return the exit status."""
    process = start(words, log)
    until = time.monotonic() + 60
    while not (out / "state.pt").exists():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until
        time.sleep(0.02)
    os.killpg(process.pid, how)
    return process.wait(60)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[list[float]]:
    """The curve of the command in one process."""
    out = tmp_path_factory.mktemp("alone")
    command = [sys.executable, "-m", "saddlepoint", *train_command(out, 12)]
    subprocess.run(command, env=environment(), check=True, capture_output=True, timeout=120)
    return curve(out)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_command_in_two_processes_is_stopped_and_continued(
    how: signal.Signals, alone: list[list[float]], tmp_path: Path
) -> None:
    two, epochs = tmp_path / "two", len(alone)
    words = train_command(two, epochs)
    assert stop_in_the_middle(words, two, how, tmp_path / "log") != 0
    done = len(torch.load(two / "state.pt", weights_only=True)["history"])
    assert 0 < done < epochs
    assert start(words, tmp_path / "log").wait(120) == 0
    said = (tmp_path / "log").read_text()
    assert said.count(f"epoch {epochs}: loss") == 1, said  # the line of one bar
    assert said.count(f"epoch {done}: loss") == 0
    assert "Initializing distributed" not in said
    for a, b in zip(alone, curve(two), strict=True):
        assert b[:2] == pytest.approx(a[:2], rel=1e-4)
        assert b[2:5] == pytest.approx(a[2:5], abs=0.021)  # one sample of 50 near the boundary
    assert json.loads((two / "model.json").read_text())["status"] == "complete"
    assert not [p.name for p in two.iterdir() if p.name.endswith(".part") and how != signal.SIGKILL]


# -- before any work -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "compiled", "said"),
    [
        ({"ema": 0.9}, False, "ema = 0.9: must be 0 with strategy='fsdp'"),
        ({}, True, "compiled = True"),
        ({"loss": "free"}, False, r"loss = Free\(\)"),
        ({"loss": AWP()}, False, "loss = AWP"),
        ({"attack": lambda oracle, draw: None}, False, "attack = .*must be PGD, FGSM or NFGSM"),
    ],
    ids=["ema", "compiled", "free", "awp", "attack"],
)
def test_what_sharding_cannot_do_is_refused(
    plan: MakePlan, changed: dict[str, Any], compiled: bool, said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        check_sharded(plan(**changed), compiled)


def test_a_strategy_needs_its_processes(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    with pytest.raises(Invalid, match=r"strategy = 'fsdp'.*torchrun"):
        train(plan(), net(), x, y, tmp_path / "a", progress=False, strategy="fsdp")
    with pytest.raises(Invalid, match=r"strategy = 'fdsp'.*did you mean fsdp"):
        train(plan(), net(), x, y, tmp_path / "a", progress=False, strategy="fdsp")
    assert not (tmp_path / "a").exists()


def test_launching_is_silent_and_leaves_the_logs_alone(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    import logging

    fabric = launch("cpu", "bfloat16", "ddp")
    assert fabric.world_size == 1
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    talker = logging.getLogger("lightning_utilities.core.rank_zero")
    assert not talker.filters
    with caplog.at_level("INFO", talker.name):
        talker.info("later")
    assert [r.message for r in caplog.records] == ["later"]


def test_the_guard_asks_sharding_for_nothing_new(plan: MakePlan) -> None:
    """Each stronger attack of an allowed one is allowed too."""
    from saddlepoint.train.guard import escalated

    for events in range(5):
        check_sharded(plan(attack=escalated(plan().attack, Linf(eps=0.1), events)), False)


def test_a_rank_that_is_not_torchruns_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")  # of a batch system, say
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert (rank(), processes()) == (0, 1)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert (rank(), processes()) == (1, 2)
