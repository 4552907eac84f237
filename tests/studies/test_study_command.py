"""``saddlepoint study`` as a user meets it."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from saddlepoint.cli.main import app
from saddlepoint.studies import CapacityPlan
from tests.studies.kit import tiny


def run(*words: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["study", *map(str, words)])
    assert result.exit_code == code, result.output + result.stderr
    return result


def said(result: Result) -> str:
    return re.sub(r"\s+", " ", result.output + result.stderr)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[object]:
    def small(cls: type[CapacityPlan], seed: int = 0) -> CapacityPlan:
        return tiny(epochs=1, seed=seed)

    monkeypatch.setattr(CapacityPlan, "quick", classmethod(small))
    return ["capacity", "--quick", "--data", "digits", "--out", tmp_path / "study"]


def test_alone_it_lists_the_experiments() -> None:
    result = CliRunner().invoke(app, ["study"])
    assert re.search(r"capacity +Show how much capacity", result.output)


def test_a_study_ends_in_a_table_and_is_kept(quick: list[object], tmp_path: Path) -> None:
    result = run(*quick, "--widths", "1", "--seed", 3)
    assert re.search(r"training +width +parameters +clean +FGSM +PGD +loss", result.stdout)
    assert re.search(r"natural +x1 +1,994 +\d+\.\d\d %", result.stdout)
    assert "x1-fgsm: clean" in result.stderr
    assert "(kept)" not in result.stderr
    document = json.loads((tmp_path / "study/capacity.json").read_text())
    assert document["settings"]["seed"] == 3
    again = run(*quick, "--widths", "1", "--seed", 3, "--trainings", "fgsm")
    assert re.search(r"x1-fgsm: .*\(kept\)", said(again))
    assert "natural" in again.stdout


def test_a_folder_of_another_study_is_refused(quick: list[object]) -> None:
    chosen = ("--widths", "1", "--trainings", "natural")
    run(*quick, *chosen)
    refused = run(*(w for w in quick if w != "--quick"), *chosen, code=2)
    assert "holds a study by another plan" in said(refused)
    assert "epochs = 1 there, 18 here" in said(refused)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--widths", "1,x"), "widths = '1,x': must be whole numbers"),
        (("--widths", "3"), "must be one of 1, 2, 4, 8, 16"),
        (("--trainings", "natural,pdg"), "did you mean pgd?"),
        (("--device", "abacus"), "device = 'abacus'"),
        (("--data", "minst"), "did you mean mnist?"),
    ],
    ids=["words", "width", "training", "device", "data"],
)
def test_mistakes_are_explained(quick: list[object], flags: tuple[str, str], words: str) -> None:
    assert words in said(run(*quick, *flags, code=2))


def test_ctrl_c_keeps_the_finished_cells(
    quick: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from saddlepoint.studies import capacity

    measure = capacity.measure_cell

    def interrupted(plan, cell, *rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN202
        if cell.name == "x1-fgsm":
            raise KeyboardInterrupt
        return measure(plan, cell, *rest)

    monkeypatch.setattr(capacity, "measure_cell", interrupted)
    assert "the same command continues" in said(run(*quick, "--widths", "1", code=130))
    document = json.loads((tmp_path / "study/capacity.json").read_text())
    assert [c["name"] for c in document["cells"]] == ["x1-natural"]
    monkeypatch.undo()
