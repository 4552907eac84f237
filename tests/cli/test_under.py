"""``--under`` on the command line: audit, attack, replay, and what is wrong with it."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import LINEAR
from tests.cli.kit import run, said

VIEWS = ("--under", "Rotate(10) >> Noise(0.05)", "--eot", 2, "--votes", 20)
THREAT = ("--threat", "Linf(0.1)", "--attack", "PGD(steps=3)", "--n", 30)


def test_audit_and_replay(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run("audit", *LINEAR, *THREAT, *VIEWS, "--level", 0.4, "--probes", 0, "--out", out)
    plan = json.loads((out / "audit.json").read_text())["plan"]
    assert plan["under"] == {
        "distribution": "Rotate(degrees=10) >> Noise(sigma=0.05)",
        "draws": 2,
        "trials": 20,
        "level": 0.4,
        "confidence": 0.95,
    }
    result = run("replay", out, "--model", "tests.cli.nets:linear", "--device", "cpu")
    assert "witnesses hold" in result.output


@pytest.mark.slow
def test_attack_takes_views_too(tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = run("attack", *LINEAR[:-2], *THREAT, *VIEWS, "--out", out)
    assert "witnesses" in result.output


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("--under", "Rotate(0)"), "leaves the identity at some draw"),
        (("--under", "Rotate((30, 10))"), "in order: (10, 30)"),
        (("--under", "Rotat(30)"), "did you mean Rotate?"),
        (("--under", "Rotate(30) >> 5"), "transformations, such as Rotate(30)"),
        (("--under", "Rotate(30) | Noise(0.1)"), "a call such as Rotate(30) >> Noise(0.05)"),
        (("--under", "Rotate(30)", "--votes", 4), "trials = 4: must be at least 6"),
        (("--under", "Rotate(30)", "--eot", 0), "eot"),
        (("--level", 0.5), "left out without --under"),
    ],
)
def test_bad_views_are_named(words: tuple[object, ...], wanted: str, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "run")
    result = run("audit", *LINEAR, *THREAT, *words, *out, code=2)
    assert wanted in said(result)
