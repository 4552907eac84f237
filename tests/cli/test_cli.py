"""The command line as a user meets it."""

import functools
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.cli.kit import run, said

THREAT = "Linf(eps=0.05)"
FACTORY = "tests.cli.nets:linear"


@pytest.fixture
def quick(weights: Path, tmp_path: Path) -> list[object]:
    return [
        *("--model", weights, "--arch", FACTORY, "--threat", THREAT, "--n", 40),
        *("--attack", "PGD(steps=5)", "--device", "cpu", "--out", tmp_path / "run"),
    ]


@pytest.fixture(scope="module")
def finished(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    words = ("--model", weights, "--arch", FACTORY, "--threat", THREAT, "--n", 40, "--out", out)
    result = run("audit", *words, "--attack", "FGSM()", "--attack", "PGD(steps=5)", "--figures", 4)
    assert "clean accuracy: 9" in result.output
    assert "robust accuracy after FGSM(): " in result.output
    assert "robust accuracy after PGD(steps=5): " in result.output
    return out


def test_audit_leaves_a_run(finished: Path) -> None:
    names = {p.name for p in finished.iterdir()}
    assert names >= {"audit.json", "evidence.npz", "witnesses.safetensors", "report.html"}
    document = json.loads((finished / "audit.json").read_text())
    assert document["threat"]["spec"] == THREAT
    assert document["counts"]["broken"] > 0


def test_replay_holds_and_does_not(finished: Path, weights: Path) -> None:
    arch = ("--arch", FACTORY, "--device", "cpu")
    result = run("replay", finished, "--model", weights, *arch)
    assert "witnesses hold" in result.output
    other = run("replay", finished, "--model", "tests.cli.nets:blind", code=1)
    assert "hash differs" in said(other)


def test_replay_without_a_run(tmp_path: Path, weights: Path) -> None:
    result = run("replay", tmp_path, "--model", weights, "--arch", FACTORY, code=2)
    assert "is no finished run" in said(result)


def test_replay_imports_no_code_on_a_files_word(
    finished: Path, weights: Path, tmp_path: Path
) -> None:
    evil = tmp_path / "evil"
    shutil.copytree(finished, evil)
    document = json.loads((evil / "audit.json").read_text())
    document["model"]["arch"] = "tests.cli.nets:never"
    (evil / "audit.json").write_text(json.dumps(document))
    result = run("replay", evil, "--model", weights, code=2)
    assert "pass it as --arch" in said(result)


def test_a_crash_is_one_line_and_exit_code_three(
    quick: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saddlepoint.cli.audit.audit", None)
    assert "internal error: TypeError" in said(run("audit", *quick, code=3))


def test_report_compares(finished: Path, tmp_path: Path) -> None:
    run("report", finished, finished, "--out", tmp_path / "both.html", "--title", "Two")
    assert "<title>" in (tmp_path / "both.html").read_text()


def test_attack_saves_witnesses(quick: list[object], tmp_path: Path) -> None:
    result = run("attack", *quick)
    assert "witnesses: " in result.output
    assert (tmp_path / "run/witnesses.safetensors").exists()
    assert "exactly one" in said(run("attack", *quick, "--attack", "FGSM()", code=2))


def test_draws_of_a_randomised_model(quick: list[object], tmp_path: Path) -> None:
    run("audit", *quick, "--eot", 2, "--votes", 3, "--probes", 0, "--figures", 0)
    document = json.loads((tmp_path / "run/audit.json").read_text())
    assert (document["plan"]["eot"], document["plan"]["votes"]) == (2, 3)
    assert document["probes"]["samples"] == 0
    assert "votes" in said(run("audit", *quick, "--votes", 0, code=2))


def test_plan_file_and_flags_that_win(quick: list[object], weights: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        f'model = "{weights}"\narch = "{FACTORY}"\nthreat = "{THREAT}"\nn = 40\nseed = 3\n'
        f'attack = "PGD(steps=5)"\nfigures = 0\nbatch-size = 16\nout = "{tmp_path}/plan"\n'
    )
    run("audit", plan, "--seed", 4)
    document = json.loads((tmp_path / "plan/audit.json").read_text())
    assert (document["seed"], document["plan"]["batch_size"]) == (4, 16)
    run("audit", plan, "--out", tmp_path / "again")
    assert json.loads((tmp_path / "again/audit.json").read_text())["seed"] == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modle = 'x'", "did you mean model"),
        ("n = 'many'", "n = 'many'"),
        ("n = ", "no readable TOML"),
        ("model = 'x'", "threat = <nothing>: must be given: pass --threat"),
        ("split = 'valid'", "split = 'valid'"),
    ],
)
def test_bad_plans(tmp_path: Path, text: str, message: str) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(text)
    assert message in said(run("audit", plan, code=2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--threat", "Linf(eps=-1)"], "eps = -1: must be a finite number >= 0"),
        (["--threat", "Linf(eps=8)"], "did you mean 8/255?"),
        (["--attack", "PGDD()"], "did you mean PGD?"),
        (["--model", "no/such.safetensors"], "no such file"),
        (["--arch", "conv-smal"], "did you mean conv-small?"),
        (["--arch", "conv-small"], "does not fit conv-small"),
        (["--data", "minst"], "did you mean mnist?"),
        (["--device", "tpu9"], "device = 'tpu9'"),
        (["--n", "501"], "at most 500"),
        (["--n", "0"], "n = 0"),
        (["--access", "telepathy"], "access"),
        (["--access", "scores"], "PGD needs access to gradients"),
        (["--precision", "float8"], "precision"),
        (["--model", "tests.cli.nets:softmax", "--arch", ""], "arch"),
    ],
)
def test_bad_input_is_said_in_words(
    quick: list[object], tmp_path: Path, change: list[str], message: str
) -> None:
    words = [*quick, *change]
    if change[0] == "--attack":
        words = [w for w in quick if w not in ("--attack", "PGD(steps=5)")] + change
    result = run("audit", *words, code=2)
    assert message in said(result)
    assert "Traceback" not in said(result)
    assert not (tmp_path / "run/audit.json").exists()


def test_probabilities_and_unsafe_files(tmp_path: Path) -> None:
    words = ["--threat", THREAT, "--n", 40, "--out", tmp_path / "run"]
    result = run("audit", "--model", "tests.cli.nets:softmax", *words, code=2)
    assert "logits, not probabilities" in said(result)
    evil = tmp_path / "evil.pkl"
    evil.write_bytes(b"cos\nsystem\n(S'touch /tmp/never'\ntR.")
    result = run("audit", "--model", evil, "--arch", "conv-small", *words, code=2)
    assert "save_file" in said(result)
    objects = tmp_path / "objects.npz"
    np.savez(objects, x_test=np.array([{}], dtype=object), y_test=np.array([0]))
    words = ["--model", "tests.cli.nets:blind", "--data", objects, *words]
    assert "object" in said(run("audit", *words, code=2))


def test_another_run_in_the_folder(finished: Path, weights: Path) -> None:
    before = (finished / "audit.json").read_bytes()
    words = ("--model", weights, "--arch", FACTORY, "--threat", "Linf(eps=0.1)", "--n", 40)
    result = run("audit", *words, "--out", finished, "--figures", 0, code=2)
    assert "it holds another run" in said(result)
    assert "Linf(eps=0.05) there, Linf(eps=0.1) here" in said(result)
    assert (finished / "audit.json").read_bytes() == before


def test_data_verbs(tmp_path: Path) -> None:
    assert "digits" in run("data", "list").output
    assert "ships with a package" in run("data", "fetch", "digits").output
    assert "test sha256" in said(run("data", "check", "digits"))
    assert "did you mean" in said(run("data", "fetch", "minst", code=2))
    torn = tmp_path / "torn.npz"
    torn.write_bytes(b"PK\x03\x04 not really")
    assert "torn.npz" in said(run("data", "check", torn, code=2))


@pytest.mark.parametrize(
    "verb",
    [
        [],
        ["train"],
        ["audit"],
        ["attack"],
        ["replay"],
        ["compare"],
        ["report"],
        ["demo"],
        ["data"],
        ["study"],
    ],
)
def test_help(verb: list[str]) -> None:
    assert "Usage" in run(*verb, "--help").output


def test_ctrl_c_keeps_what_is_done(weights: Path, tmp_path: Path) -> None:
    words = [
        *("audit", "--model", weights, "--arch", FACTORY, "--threat", THREAT, "--n", "400"),
        *("--attack", "PGD(steps=3)", "--attack", "RandomSearch(n_queries=100000)"),
        *("--device", "cpu", "--out", tmp_path / "run", "--figures", "0"),
    ]
    command = [sys.executable, "-m", "saddlepoint", *map(str, words)]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        # A shell that runs tests in the background has them ignore the signal.
        preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    journal = tmp_path / "run/journal/0000.records"
    deadline = time.monotonic() + 150
    try:
        while not (journal.exists() and journal.stat().st_size):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "nothing was searched in this time"
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()  # one that is left behind would search for hours
        process.wait()
    assert process.returncode == 130, err
    assert b"the same command continues" in err
    assert journal.stat().st_size > 0
    assert not (tmp_path / "run/audit.json").exists()
