"""What a pipeline asks: is it worse than last time, and does it hold what it promised?"""

import json
from pathlib import Path

import jsonschema
import numpy as np

import saddlepoint as sp
from tests.audit.test_compare import SCHEMA, write
from tests.cli.kit import run, said


def test_compare_prints_and_writes(runs: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "compare.json"
    words = said(run("compare", runs["small"], runs["large"], "--out", out))
    document = json.loads(out.read_text())
    jsonschema.validate(document, SCHEMA)
    broken = document["newly_broken"]
    assert len(broken) > 20
    assert f"{len(broken)} newly broken, 0 newly safe, 0 undecided" in words
    assert (
        f"newly broken: {', '.join(map(str, broken[:20]))} … and {len(broken) - 20} more" in words
    )
    assert f"{100 * document['difference']:+.2f} points (95 % interval" in words
    assert "more than luck explains (exact McNemar test, p < 0.001)" in words
    assert "threat differs: Linf(eps=0.02) in the first run" in words
    assert "robust in A" in words
    for letter, side in zip("AB", document["runs"], strict=True):
        shares = [f"{100 * x:.2f} %" for x in (side["robust_accuracy"], *side["interval"])]
        assert f"{letter} {side['folder']}: tests.cli.nets:linear under {side['threat']}" in words
        assert "<= {} (95 % interval {} to {}); clean 9".format(*shares) in words
    full = said(run("compare", runs["small"], runs["large"], "--samples"))
    assert f"newly broken: {', '.join(map(str, broken))} " in full
    assert document == sp.compare(str(runs["small"]), runs["large"]).as_json()


def test_only_a_regression_fails(runs: dict[str, Path]) -> None:
    small, large = runs["small"], runs["large"]
    words = said(run("compare", small, large, "--fail-on-regression", code=1))
    assert "regression: more samples are newly broken" in words
    assert "newly safe" in said(run("compare", large, small, "--fail-on-regression"))
    assert "no change in any of 60" in said(run("compare", small, small, "--fail-on-regression"))


def test_what_failed_to_look_does_not_pass(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", "r" * 30), write(tmp_path / "b", "r" * 10 + "e" * 20)
    words = said(run("compare", a, b, "--fail-on-regression", code=1))
    assert "20 undecided samples may be newly broken" in words
    assert "0 newly broken, 0 newly safe, 20 undecided" in words
    run("compare", a, b)


def test_many_classes_are_cut_short(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", "r" * 30), write(tmp_path / "b", "r" * 5 + "b" * 25)
    evidence = dict(np.load(a / "evidence.npz")) | {"label": np.arange(30) // 2}
    np.savez(a / "evidence.npz", **evidence)
    words = said(run("compare", a, b))
    # Class 2 lost one of its two, classes 3 to 14 both: ten are shown, the worst first.
    assert "newly safe 3 2 100.00 % 0.00 % 2 0 4 2" in words
    assert "12 2 100.00 % 0.00 % 2 0 … 3 more classes changed" in words


def test_compare_refuses(runs: dict[str, Path], tmp_path: Path) -> None:
    words = said(run("compare", runs["small"], runs["fewer"], code=2))
    assert "the first 60 of digits test there, the first 30 of digits test here" in words
    assert "no such folder" in said(run("compare", runs["small"], tmp_path / "none", code=2))
    words = said(run("compare", runs["small"], runs["small"], "--out", tmp_path, code=2))
    assert "a file, not a folder; try" in words
