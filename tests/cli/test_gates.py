"""What an audit must show for a pipeline to go on."""

import json
import shutil
from pathlib import Path

import pytest

from tests.audit.test_compare import write
from tests.cli.conftest import WORDS
from tests.cli.kit import run, said


@pytest.fixture
def gated(tmp_path: Path) -> list[object]:
    own = ("--threat", "Linf(eps=0.08)", "--out", tmp_path / "run", "--probes", 0)
    return ["audit", *WORDS, *own]


def test_fail_under(runs: dict[str, Path], tmp_path: Path) -> None:
    words = ("audit", *WORDS, "--threat", "Linf(eps=0.08)", "--out", tmp_path / "run")
    shutil.copytree(runs["large"], tmp_path / "run")
    upper = json.loads((runs["large"] / "audit.json").read_text())["robust_accuracy"]["upper"]
    at = round(60 * upper)
    assert "holds" in said(run(*words, "--fail-under", f"{at}/60"))
    fault = said(run(*words, "--fail-under", f"{at + 1}/60", code=1))
    assert f"robust accuracy is at most {100 * upper:.2f} %" in fault


def test_a_crashed_attack_holds_nothing_up(gated: list[object], tmp_path: Path) -> None:
    gated[2] = "tests.cli.nets:crashing"
    words = said(run(*gated, "--fail-under", 0.5, "--fail-on", "fail", code=1))
    assert "samples are undecided, and only 0.00 % withstood" in words
    assert "fail-on fail: attack errors (fail)" in words
    assert (tmp_path / "run/report.html").exists()
    run(*gated)  # without a gate a crash is a finding, and the run is done


def test_fail_on(gated: list[object]) -> None:
    assert "fail-on warn: holds" in said(run(*gated, "--fail-on", "warn"))
    assert "'warn' or 'fail'" in said(run(*gated, "--fail-on", "never", code=2))


def test_warnings_fail_only_where_asked(gated: list[object], tmp_path: Path) -> None:
    gated[2] = "tests.cli.nets:restless"
    assert "fail-on fail: holds" in said(run(*gated, "--fail-on", "fail"))
    words = said(run(*gated, "--fail-on", "warn", code=1))
    assert "fail-on warn: repeatability (warn)" in words


def test_baseline(gated: list[object], runs: dict[str, Path], tmp_path: Path) -> None:
    words = said(run(*gated, "--baseline", runs["small"], code=1))
    assert "baseline: regression: more samples are newly broken" in words
    assert "threat differs" in words
    assert (tmp_path / "run/report.html").exists()
    assert "baseline: holds" in said(run(*gated, "--baseline", runs["large"]))


def test_bad_baselines_cost_no_audit(
    gated: list[object], runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saddlepoint.cli.audit.audit", lambda *a, **k: 1 / 0)
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    partial = write(tmp_path / "partial", "rn", status="partial")
    for baseline, message in (
        (tmp_path / "none", "no such folder"),
        (unfinished, "is this the folder of a finished audit?"),
        (partial, "this baseline is partial: run its own command again"),
        (runs["fewer"], "the first 30 of digits test there, the first 60 of digits test here"),
        (tmp_path / "run", "another folder than --out"),
    ):
        assert message in said(run(*gated, "--baseline", baseline, code=2))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("80", "fail-under = '80': must be a share in [0, 1]; did you mean 0.8?"),
        ("82.5%", "did you mean 0.825?"),
        ("-0.1", "a share in [0, 1]; such as 0.80"),
        ("most", "a share in [0, 1]; such as 0.80"),
        ("101", "a share in [0, 1]; such as 0.80"),
    ],
)
def test_shares_that_are_none(
    gated: list[object], tmp_path: Path, value: str, message: str
) -> None:
    assert message in said(run(*gated, f"--fail-under={value}", code=2))
    assert not (tmp_path / "run").exists()


def test_gates_in_a_plan(runs: dict[str, Path], tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    text = (
        'model = "tests.cli.nets:linear"\nthreat = "Linf(eps=0.08)"\nn = 60\nfigures = 0\n'
        f'attack = "PGD(steps=5)"\nout = "{tmp_path}/run"\nfail-on = "fail"\n'
        f'baseline = "{runs["small"]}"\n'
    )
    plan.write_text(text + "fail-under = 0.99\n")
    words = said(run("audit", plan, code=1))
    assert "fail-under 0.99: robust accuracy is at most" in words
    assert "fail-on fail: holds" in words
    assert "baseline: regression" in words
    words = said(run("audit", plan, "--fail-under", 0, "--baseline", runs["large"]))
    assert "fail-under 0: holds" in words
    assert "fail-under 0.99" in said(run("attack", plan, code=1))
    plan.write_text(text + "fail-under = true\n")
    assert "fail_under" in said(run("audit", plan, code=2))
