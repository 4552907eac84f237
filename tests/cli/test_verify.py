"""Verification from the command line: the verb, the options of an audit, the gate."""

import json
from pathlib import Path

import pytest

from tests.cli.kit import run, said

MODEL = ("--model", "tests.cli.nets:relu", "--device", "cpu", "--n", 40)
AUDIT = ("audit", *MODEL, "--figures", 0, "--probes", 0, "--attack", "FGSM()")


def test_verify_counts_every_sample(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("tests.cli.nets:relu", *MODEL[2:], "--threat", "Linf(eps=0.06)", "--seconds", 5)
    result = said(run("verify", *words, "--out", out))
    content = json.loads((out / "verify.json").read_text())
    counts = content["verification"]["counts"]
    assert sum(counts.values()) == 40 == len(content["samples"]["proof"])
    assert content["samples"]["proof"].count("certified") == counts["certified"] > 0
    assert f"certified accuracy {2.5 * counts['certified']:.2f} %" in result
    assert f"{counts['certified']} certified, {counts['broken']} broken" in result
    replayed = said(run("replay", out, "--model", "tests.cli.nets:relu", "--device", "cpu"))
    assert f"{counts['certified']} of {counts['certified']} certificates hold" in replayed
    again = json.loads((out / "verify.json").read_text())
    assert said(run("verify", *words, "--out", out)).count("certified accuracy")
    assert json.loads((out / "verify.json").read_text())["samples"] == again["samples"]


def test_no_seconds_leave_the_bounds(tmp_path: Path) -> None:
    words = ("verify", *MODEL, "--threat", "Linf(eps=0.06)", "--seconds", 0)
    run(*words, "--out", tmp_path / "run")
    found = json.loads((tmp_path / "run/verify.json").read_text())["verification"]
    assert found["subproblems"] == 0
    assert found["certified_by"]["CROWN"] > 0 == found["certified_by"]["BRANCH"]


def test_subproblems_make_verdicts_repeatable(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    lines = (
        "model = 'tests.cli.nets:relu'",
        "threat = 'Linf(eps=0.1)'",
        "device = 'cpu'",
        "n = 40",
    )
    plan.write_text("\n".join((*lines, "seconds = 1000.0", "subproblems = 30")))
    for name in ("a", "b"):
        run("verify", plan, "--out", tmp_path / name)
    a, b = (json.loads((tmp_path / k / "verify.json").read_text()) for k in ("a", "b"))
    assert a["samples"] == b["samples"]
    for name in ("evidence.npz", "certificates.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--threat", "L0(eps=3)", "--attack", "RandomSearch(n_queries=5)"), "convex"),
        (("--threat", "Linf(0.1)", "--seconds", -1), "seconds = -1"),
        (("--threat", "Linf(0.1)", "--seconds", "inf"), "seconds"),
        (("--threat", "Linf(0.1)", "--subproblems", -1), "subproblems = -1"),
        (("--threat", "Linf(0.1)", "--onnx", "a.onnx"), "left out beside --onnx"),
        ((), "threat"),
    ],
)
def test_bad_input(tmp_path: Path, words: tuple[object, ...], fault: str) -> None:
    assert fault in said(run("verify", *MODEL, *words, "--out", tmp_path / "run", code=2))


def test_properties_need_both_files() -> None:
    assert "pass --vnnlib" in said(run("verify", "--onnx", "a.onnx", code=2))
    assert "pass --onnx" in said(run("verify", "--vnnlib", "a.vnnlib", code=2))


def test_an_audit_prints_both_ends_and_gates_on_either(tmp_path: Path) -> None:
    words = (*AUDIT, "--threat", "Linf(eps=0.06)", "--out", tmp_path / "run")
    result = said(run(*words, "--verify-subproblems", 2, "--fail-under-certified", 0.5))
    document = json.loads((tmp_path / "run/audit.json").read_text())
    low, high = document["robust_accuracy"]["lower"], document["robust_accuracy"]["upper"]
    assert 0.5 < low <= high
    assert f"{100 * low:.2f} % <= robust accuracy <= {100 * high:.2f} %" in result
    assert "fail-under-certified 0.5: holds" in result
    more = ("--verify-subproblems", 2, "--fail-under-certified", "99%")
    assert "did you mean 0.99?" in said(run(*words, *more, code=2))
    more = ("--verify-subproblems", 2, "--fail-under-certified", low + 0.01)
    assert f"{100 * low:.2f} % is proved robust" in said(run(*words, *more, code=1))


def test_a_gate_on_proofs_without_any(tmp_path: Path) -> None:
    words = (*AUDIT, "--threat", "Linf(eps=0.06)", "--out", tmp_path / "run")
    assert "pass --verify" in said(run(*words, "--fail-under-certified", 0.1, code=1))


def test_runs_with_and_without_proofs_compare(tmp_path: Path) -> None:
    words = (*AUDIT, "--threat", "Linf(eps=0.06)")
    run(*words, "--out", tmp_path / "a")
    run(*words, "--verify-subproblems", 2, "--out", tmp_path / "b")
    for pair in (("a", "b"), ("b", "a")):
        assert "no change" in said(run("compare", *(tmp_path / p for p in pair)))
    baseline = (
        *words,
        "--verify-seconds",
        30,
        "--out",
        tmp_path / "c",
        "--baseline",
        tmp_path / "a",
    )
    assert "baseline: holds" in said(run(*baseline))
    run("report", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "both.html")
    page = (tmp_path / "both.html").read_text()
    assert page.count('-proof">Proof</h3>') == 1
