"""``verify --radius`` from the command line."""

import json
from pathlib import Path

import pytest

from tests.cli.kit import run, said

NET = ("verify", "tests.cli.nets:linear", "--device", "cpu")


def test_radii_are_columns_and_a_second_call_goes_on(tmp_path: Path) -> None:
    words = (*NET, "--n", 12, "--threat", "L2(eps=0.1)", "--radius", "--out", tmp_path)
    text = said(run(*words))
    assert "certified radius: median" in text
    assert "no break known" in text
    samples = json.loads((tmp_path / "verify.json").read_text())["samples"]
    for proof, low, by, high in zip(
        *(samples[k] for k in ("proof", "radius", "radius_by", "breaks_at")), strict=True
    ):
        if proof == "wrong":
            assert (low, by, high) == (0, None, 0)
            continue
        assert low < high <= low * 1.0102
        assert by == "search"
        assert (low >= 0.1) == (proof == "certified")
    assert "certified" in samples["proof"]
    kept = json.loads((tmp_path / "radii.json").read_text())
    kept["samples"][0] = {"radius": 0.0, "breaks_at": 9.0, "state": "limit"}
    kept["samples"] = kept["samples"][:5]
    (tmp_path / "radii.json").write_text(json.dumps(kept))
    run(*words)
    again = json.loads((tmp_path / "verify.json").read_text())["samples"]
    assert again["breaks_at"][0] == 9.0  # taken from the file, and nothing else is
    assert again["radius"][1:] == samples["radius"][1:]
    run(*words, "--radius-tolerance", 0.02)  # another search: nothing of the file is taken
    other = json.loads((tmp_path / "verify.json").read_text())["samples"]
    assert other["breaks_at"][0] != 9.0


def test_without_radius_there_is_no_column(tmp_path: Path) -> None:
    run(*NET, "--n", 2, "--threat", "L2(eps=0.1)", "--out", tmp_path)
    assert "radius" not in json.loads((tmp_path / "verify.json").read_text())["samples"]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--threat", "L0(eps=3)"), "not convex"),
        (("--threat", "L2(eps=0.1)", "--seconds", 0), "above 0 with --radius"),
        (("--threat", "L2(eps=0.1)", "--radius-tolerance", 1), "radius_tolerance"),
    ],
)
def test_bad_radii(tmp_path: Path, words: tuple[object, ...], fault: str) -> None:
    assert fault in said(run(*NET, "--n", 2, "--radius", *words, "--out", tmp_path / "r", code=2))
