"""``saddlepoint study`` as a user meets it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from saddlepoint.cli.main import app
from saddlepoint.core.lock import alone
from saddlepoint.studies import CapacityPlan
from saddlepoint.studies.record import Record
from saddlepoint.train import run as runs
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


def test_ctrl_c_in_the_middle_of_a_net_says_how_to_go_on(
    quick: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*rest: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "measure", interrupted)
    assert "the same command continues" in said(run(*quick, "--widths", "1", code=130))


def test_a_refused_study_leaves_nothing_that_refuses_the_next(
    quick: list[object], tmp_path: Path
) -> None:
    np.savez(
        tmp_path / "few.npz",
        x_train=np.zeros((20, 8, 8), np.uint8),
        y_train=np.arange(20) % 10,
        x_test=np.zeros((10, 8, 8), np.uint8),
        y_test=np.arange(10),
    )
    few = [tmp_path / "few.npz" if w == "digits" else w for w in quick]
    assert "the study needs more of them" in said(run(*few, code=2))
    assert not (tmp_path / "study").exists()
    (tmp_path / "study").mkdir()
    begun = Record(tmp_path / "study/capacity.json", {"epochs": 3}, {"data": "few"}, "cpu")
    begun.write(["x1-natural"])
    net = tmp_path / "study/x1-natural"
    net.mkdir()  # begun by that other plan
    told = said(run(*quick, "--widths", "1", "--trainings", "natural", code=2))
    assert "holds a study by another plan" in told
    net.rmdir()
    run(*quick, "--widths", "1", "--trainings", "natural")


def test_a_folder_takes_one_study_at_a_time(quick: list[object], tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    (tmp_path / "study").mkdir()
    with alone(tmp_path / "study"):
        assert "no other process is using" in said(run(*quick, "--widths", "1", code=2))


def test_a_quick_study_has_a_folder_and_any_study_a_precision_of_its_own(
    quick: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    chosen = ("--widths", "1", "--trainings", "natural", "--precision", "float32")
    run(*quick[:4], *chosen)
    document = json.loads(Path("runs/study-capacity-quick/capacity.json").read_text())
    assert document["settings"]["precision"] == "float32"
    refused = run(*quick[:4], *chosen[:-1], "float8", code=2)
    assert "precision = 'float8'" in said(refused)


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
