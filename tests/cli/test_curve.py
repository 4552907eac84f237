"""``saddlepoint curve`` as a user meets it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.kit import run, said

FACTORY = "tests.cli.nets:linear"


@pytest.fixture
def words(weights: Path, tmp_path: Path) -> list[object]:
    return [
        *("curve", "--model", weights, "--arch", FACTORY, "--data", "digits", "--device", "cpu"),
        *("--n", 40, "--out", tmp_path / "run"),
    ]


def test_a_curve_is_printed_and_written(words: list[object], tmp_path: Path) -> None:
    result = run(*words, "--threat", "L2(eps=0.5)", "--at", "0.1, 1/4")
    shown = said(result)
    assert "robust accuracy <=" in shown
    assert "0.25" in shown
    assert "median distance <= " in shown
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert names == {
        *("curve.json", "curve.svg", "curve.png", "distances.npz", "witnesses.safetensors"),
        *("run.json", "journal"),
    }
    document = json.loads((tmp_path / "run/curve.json").read_text())
    assert document["threat"]["spec"] == "L2(eps=0.5)"
    assert document["model"]["arch"] == FACTORY
    again = run(*words, "--threat", "L2(eps=0.5)", "--at", "0.1,0.25")
    assert said(again) == shown


def test_quarters_of_the_radius_are_printed_unless_told_otherwise(words: list[object]) -> None:
    shown = said(run(*words, "--threat", "L0(eps=4)", "--attack", "FMN(steps=10)"))
    assert [f" {k} " in shown for k in (1, 2, 3, 4)] == [True] * 4


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--threat", "L2(eps=0.5)", "--at", "0.7"), "radii in [0, 0.5]"),
        (("--threat", "L2(eps=0.5)", "--at", "x"), "at = 'x'"),
        (("--threat", "L2(eps=0)"), "above 0"),
        (("--threat", "L2(eps=0.5)", "--attack", "FNM()"), "did you mean FMN?"),
        (("--threat", "L0(eps=1.5)"), "whole number"),
        (("--threat", "L0(eps=2)", "--attack", "FAB()"), "GradedConvex"),
        (("--threat", "L2(eps=0.5)", "--n", 9999), "at most"),
        ((), "--threat"),
    ],
)
def test_errors_are_for_people(words: list[object], more: tuple[object, ...], message: str) -> None:
    result = run(*words, *more, code=2)
    assert message in said(result)
    assert "Traceback" not in said(result)


def test_another_run_in_the_folder_is_refused(words: list[object]) -> None:
    run(*words, "--threat", "L2(eps=0.5)", "--attack", "FMN(steps=3)")
    result = run(*words, "--threat", "L2(eps=0.4)", "--attack", "FMN(steps=3)", code=2)
    assert "another run" in said(result)


def test_a_plan_file_says_the_same(words: list[object], tmp_path: Path) -> None:
    plan = tmp_path / "curve.toml"
    plan.write_text('threat = "L2(eps=0.5)"\nattack = "FMN(steps=5)"\nat = ["0.2", "0.4"]\n')
    shown = said(run("curve", plan, *words[1:]))
    assert " 0.4 " in shown


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished(words: list[object], tmp_path: Path) -> None:
    slow = ("--threat", "L2(eps=0.5)", "--attack", "FMN(steps=1500)", "--batch-size", "2")
    command = [sys.executable, "-m", "saddlepoint", *map(str, words), *slow]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    journal = tmp_path / "run/journal/0000.records"
    for _ in range(1200):
        if (journal.exists() and journal.stat().st_size) or process.poll() is not None:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert "the same command continues" in output
    assert journal.stat().st_size > 0
    assert not (tmp_path / "run/curve.json").exists()
