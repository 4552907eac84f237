"""Surrogates and warm starts on the command line."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import LINEAR
from tests.cli.kit import run, said

OWN = ("--threat", "Linf(eps=0.08)", "--n", 60, "--probes", 0)


@pytest.mark.slow
def test_an_audit_that_asks_nothing(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    surrogate = ("--surrogate", "tests.cli.nets:relu")
    words = run(
        *("audit", *LINEAR, *OWN, "--access", "none", "--max-queries", 9, *surrogate),
        *("--out", first),
    )
    assert "Points made on surrogates alone broke" in said(words)
    document = json.loads((first / "audit.json").read_text())
    assert document["cost"]["backward"] == 0
    assert document["queries"]["most"] <= 9
    broken = document["counts"]["broken"]
    assert broken > document["counts"]["clean_wrong"]
    warm = ("--attack", "Earlier()", "--warm", first, "--access", "none", "--out", second)
    assert "Earlier witnesses alone broke" in said(run("audit", *LINEAR, *OWN, *warm))
    again = json.loads((second / "audit.json").read_text())
    assert again["counts"]["broken"] == broken
    assert "witnesses hold" in said(run("replay", second, "--model", "tests.cli.nets:linear"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--surrogate-arch", "mlp"), "beside --surrogate"),
        (("--surrogate", "nowhere"), "an architecture"),
        (("--warm", "nowhere"), "no finished run"),
        (("--surrogate", "tests.cli.nets:relu", "--attack", "FGSM()"), "no use for them"),
        (("--attack", "Transfer()"), "has no surrogates"),
        (("--attack", "Transfer(views=Scale((2, 1)))"), "in order"),
    ],
    ids=lambda w: w if isinstance(w, str) else w[0],
)
def test_refused(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    out = tmp_path / "run"
    assert message in said(run("audit", *LINEAR, *OWN, *words, "--out", out, code=2))
    assert not out.exists()
