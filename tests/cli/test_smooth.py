"""``saddlepoint smooth`` as a user meets it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from saddlepoint import Smoothing
from saddlepoint.audit.stats import clopper_pearson
from tests.audit.conftest import fitted
from tests.cli.kit import run, said

FACTORY = "tests.cli.nets:linear"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def words(weights: Path, tmp_path: Path) -> list[object]:
    return [
        *("smooth", "--model", weights, "--arch", FACTORY, "--data", "digits", "--device", "cpu"),
        *("--sigma", "0.1", "--samples", 30, "--n", 300, "--out", tmp_path / "run"),
    ]


def test_a_curve_is_printed_and_written(words: list[object], tmp_path: Path) -> None:
    shown = said(run(*words, "--at", "0.05, 1/10"))
    assert "certified accuracy" in shown
    assert "abstained: " in shown
    out = tmp_path / "run"
    names = {"smooth.json", "smooth.npz", "smooth.svg", "smooth.png", "run.json", "journal"}
    assert {p.name for p in out.iterdir()} == names
    document = json.loads((out / "smooth.json").read_text())
    with np.load(out / "smooth.npz", allow_pickle=False) as stored:
        t = dict(stored)
    assert all(len(column) == 30 for column in t.values())
    hits = int(((t["prediction"] == t["label"]) & (t["radius"] > 0.05)).sum())
    assert 0 < hits < 30
    low, high = clopper_pearson(hits, 30)
    row = f"0.05 {100 * hits / 30:.2f} % {100 * low:.2f} % to {100 * high:.2f} %"
    assert row in shown
    sigma = Smoothing(0.1, n=300)
    assert document["smoothing"]["n"] == 300
    assert document["radius"]["largest_possible"] == sigma.largest
    assert document["n"] == 30
    assert document["abstained"] == (t["prediction"] == -1).mean()
    assert said(run(*words, "--at", "0.05,0.1")) == shown


def test_the_columns_are_those_of_python(words: list[object], tmp_path: Path) -> None:
    from saddlepoint import load_data, smooth

    run(*words)
    model, data = fitted().model, load_data("digits").split("test")
    found = smooth(model, data, Smoothing(0.1, n=300), samples=30)
    with np.load(tmp_path / "run/smooth.npz", allow_pickle=False) as stored:
        assert all(np.array_equal(stored[k], found.table[k]) for k in stored.files)
    x, _ = data.batch(slice(11, 12))
    import torch

    alone = Smoothing(0.1, n=300)(model, x, ids=torch.tensor([11]))
    assert float(alone.radius) == found.table["radius"][11]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--sigma", "0"), "sigma = 0.0"),
        (("--n", "0"), "n = 0"),
        (("--n0", "0"), "n0 = 0"),
        (("--alpha", "1"), "alpha = 1.0"),
        (("--samples", "99999"), "samples = 99999"),
        (("--at", "-1"), "at = -1"),
        (("--at", "x"), "at = 'x'"),
        (("--seed", "-1"), "seed"),
        (("--data", "mnist.npz"), "mnist.npz"),
    ],
)
def test_errors_are_for_people(words: list[object], more: tuple[object, ...], message: str) -> None:
    result = run(*words, *more, code=2)
    assert message in said(result)
    assert "Traceback" not in said(result)


def test_sigma_is_asked_for(words: list[object]) -> None:
    at = words.index("--sigma")
    assert "pass --sigma" in said(run(*words[:at], *words[at + 2 :], code=2))


@pytest.mark.parametrize(
    "more", [("--sigma", "0.2"), ("--n", "301"), ("--samples", "29"), ("--seed", "1")]
)
def test_another_run_in_the_folder_is_refused(words: list[object], more: tuple[object]) -> None:
    run(*words)
    assert "another run" in said(run(*words, *more, code=2))


def test_a_plan_file_says_the_same(words: list[object], tmp_path: Path) -> None:
    plan = tmp_path / "smooth.toml"
    plan.write_text('sigma = 0.1\nn = 300\nsamples = 30\nat = ["0.03", "0.04"]\n')
    shown = said(run("smooth", plan, *words[1:9], "--out", tmp_path / "run"))
    assert "0.04" in shown


@pytest.mark.slow
def test_killed_at_any_moment_ends_the_same(words: list[object], tmp_path: Path) -> None:
    more = ("--n", "20000", "--samples", "24")

    def start(out: Path) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "saddlepoint", *map(str, words), *more, "--out", str(out)]
        path = {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
        return subprocess.Popen(command, env=os.environ | path, stdout=subprocess.DEVNULL)

    straight, out = tmp_path / "straight", tmp_path / "killed"
    assert start(straight).wait(200) == 0

    def size() -> int:
        journal = out / "journal/0000.records"
        return journal.stat().st_size if journal.exists() else 0

    kills = 0
    for wait in (0.0, 0.05, 0.2):
        before, process = size(), start(out)
        while process.poll() is None and size() <= before:
            time.sleep(0.002)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        if process.wait(60) == -signal.SIGKILL:
            kills += 1
            assert not (out / "smooth.json").exists()
    assert kills >= 2, "the run is too short to be killed in the middle"
    assert start(out).wait(200) == 0
    assert (out / "smooth.npz").read_bytes() == (straight / "smooth.npz").read_bytes()
