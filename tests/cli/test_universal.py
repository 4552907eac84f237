"""``saddlepoint universal`` as a user meets it, and ``replay`` after it."""

import json
from pathlib import Path

import pytest

from tests.cli.kit import run, said

WORDS = ("universal", "--model", "tests.cli.nets:linear", "--data", "digits", "--device", "cpu")
SHORT = ("--fit-n", 100, "--n", 50, "--epochs", 1)


def test_a_run_is_printed_written_and_replayed(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = (*WORDS, *SHORT, "--threat", "Patch(size=4, at=(2, 2))", "--target", 3, "--out", out)
    shown = said(run(*words))
    for part in ("others taken for class 3", "fooling rate", "fitted on 100 others", "random"):
        assert part in shown
    assert {p.name for p in out.iterdir()} == {
        *("universal.json", "universal.safetensors", "universal.npz", "universal.png"),
        *("run.json", "journal"),
    }
    document = json.loads((out / "universal.json").read_text())
    assert document["threat"] == "Patch(size=4, at=(2, 2))"
    assert document["data"] == {"name": "digits", "split": "test", "fit_split": "train"}
    assert said(run(*words)) == shown
    replay = ("replay", out, "--model", "tests.cli.nets:linear", "--device", "cpu")
    assert "50 of 50 answers hold" in said(run(*replay))
    other = said(run("replay", out, "--model", "tests.cli.nets:relu", "--device", "cpu", code=1))
    assert "not the model of the run" in other


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--threat", "Patch(size=3)"), "at='random'"),
        (("--threat", "Linf(eps=0.1)", "--fit-split", "test"), "another split"),
        (("--threat", "Linf(eps=0.1)", "--target", 99), "0 … 9"),
        (("--threat", "Linf(eps=0.1)", "--epochs", 0), "epochs = 0"),
        (("--threat", "Patch(size=3, at=(7, 0))"), "at = (7, 0)"),
        (("--threat", "Linf(eps=0.1)", "--loss", "margn"), "did you mean margin"),
    ],
    ids=str,
)
def test_bad_words_are_explained(more: tuple[object, ...], message: str, tmp_path: Path) -> None:
    result = run(*WORDS, *SHORT, *more, "--out", tmp_path / "run", code=2)
    assert message in said(result)
    assert not (tmp_path / "run").exists()
