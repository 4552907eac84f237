"""The study of defences that fell, on digits: what it finds, how it goes on, what it draws."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from saddlepoint import load_data, presets
from saddlepoint.audit.probing import rivals
from saddlepoint.cli.main import app
from saddlepoint.core.errors import Invalid
from saddlepoint.models import load_model
from saddlepoint.studies import Arms, ArmsPlan, Link, draw_arms, run_arms

SMALL: dict[str, Any] = {
    "net": "mlp",
    "width": 16,
    "small_width": 8,
    "train_n": 600,
    "held_n": 200,
    "test_n": 20,
    "epochs": 12,
    "batch_size": 64,
    "lr": 2e-2,
    "l2": 1.0,
    "wide": 1.5,
    "bits": 3,
    "pixels": 6,
    "steps": 10,
    "probes": 8,
}


class Two(ArmsPlan):
    """The links that are measured in a second or two."""

    @property
    def links(self) -> tuple[Link, ...]:
        kept = ("squeezing", "outlier class")
        return tuple(link for link in super().links if link.name in kept)


class Stop(Exception):
    pass


class StopAfter:
    def __init__(self, links: int = -1) -> None:
        self.left, self.kept = links, 0

    def link(self, row: dict[str, Any], kept: bool) -> None:
        self.kept += kept
        self.left -= not kept
        if self.left == 0:
            raise Stop


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Arms:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rivals, "QUERIES", 50)
        return run_arms(Two(**SMALL), load_data("digits"), tmp_path_factory.mktemp("study"))


def test_every_row_is_made_of_audits(study: Arms) -> None:
    assert json.loads((study.folder / "arms-race.json").read_text()) == study.document
    assert study.document["status"] == "complete"
    assert study.document["settings"] == Two(**SMALL).settings()
    squeezed, outlier = study.document["cells"]
    for row in (squeezed, outlier):
        for key in ("clean", "naive", "undefended", "claimed", "true"):
            low, high = row[key]["interval"]
            assert low <= row[key]["accuracy"] <= high
        held = row["replayed"]
        assert held["witnesses"] == held["hold"] == round((1 - row["true"]["accuracy"]) * 20)
    assert outlier["claimed"]["accuracy"] > outlier["true"]["accuracy"] + 0.1
    assert "incomplete optimisation: warn" in outlier["flagged"]["claimed"]
    assert squeezed["claimed"]["accuracy"] >= squeezed["true"]["accuracy"]
    assert 0 <= squeezed["rejected"] <= 0.3


def test_the_nets_are_models_that_an_audit_loads(study: Arms) -> None:
    x, _ = load_data("digits").split("test").batch(slice(0, 4))
    for name, scores in (("undefended", 10), ("outlier-class", 11), ("squeezing", 11)):
        loaded = load_model(study.folder / "nets" / name)
        assert loaded.model(x).shape == (4, scores)
    told, true = (load_model(study.folder / "nets" / n) for n in ("squeezing-smooth", "squeezing"))
    assert (told.model(x) == true.model(x)).all()
    audits, nets = study.folder / "audits", study.folder / "nets"
    words = f"replay {audits}/squeezing --data digits --model {nets}/squeezing"
    run = CliRunner().invoke(app, words)
    assert run.exit_code == 0, run.output + run.stderr


@pytest.mark.slow
def test_a_stopped_study_goes_on(study: Arms, tmp_path: Path, monkeypatch: Any) -> None:  # noqa: ANN401
    monkeypatch.setattr(rivals, "QUERIES", 50)
    data = load_data("digits")
    with pytest.raises(Stop):
        run_arms(Two(**SMALL), data, tmp_path, watch=StopAfter(1))
    document = json.loads((tmp_path / "arms-race.json").read_text())
    assert (len(document["cells"]), document["status"]) == (1, "running")
    again = StopAfter()
    finished = run_arms(Two(**SMALL), data, tmp_path, watch=again)
    assert (again.kept, finished.document["status"]) == (1, "complete")
    rows = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in one.document["cells"]]
        for one in (study, finished)
    ]
    assert rows[0] == rows[1]
    with pytest.raises(Invalid, match="holds a study by another plan"):
        run_arms(Two(**SMALL | {"seed": 1}), data, tmp_path)


@pytest.mark.slow
def test_every_claim_is_flagged_by_name_and_the_control_by_nothing(tmp_path: Path) -> None:
    more = {"epochs": 40, "width": 32, "train_n": 900, "test_n": 30, "steps": 40, "probes": 24}
    study = run_arms(ArmsPlan(**SMALL | more | {"wide": 1.0}), load_data("digits"), tmp_path)
    rows = {row["name"]: row for row in study.document["cells"]}
    assert len(rows) == len(ArmsPlan().links)
    for name, row in rows.items():
        assert row["true"]["accuracy"] <= 0.1, name
        assert row["flagged"]["undefended"] == [], name
        wanted = (
            "gradients: fail" if name.startswith("distill") else "incomplete optimisation: warn"
        )
        assert wanted in row["flagged"]["claimed"], name
    for name in ("distillation, L2", "detector", "outlier class"):
        assert rows[name]["claimed"]["accuracy"] > rows[name]["true"]["accuracy"] + 0.2


def test_equal_documents_give_equal_bytes(study: Arms) -> None:
    first, second = draw_arms(study.document), draw_arms(copy.deepcopy(study.document))
    assert first == second
    assert b"what flags the audit of the claim" in first["arms-race.svg"]
    assert draw_arms(study.document | {"cells": []})["arms-race.png"][:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("test_n", 0),
        ("epochs", True),
        ("probes", -1),
        ("false_alarms", 1.0),
        ("temperature", 0.5),
        ("l2", -1.0),
        ("pixels", -2),
    ],
)
def test_a_bad_plan_is_refused(name: str, value: object) -> None:
    with pytest.raises(Invalid):
        ArmsPlan(**{name: value})  # type: ignore[arg-type]


def test_too_few_samples_are_refused(tmp_path: Path) -> None:
    for name in ("test_n", "held_n"):
        with pytest.raises(Invalid, match="the number of samples there are"):
            run_arms(ArmsPlan(**SMALL | {name: 5000}), load_data("digits"), tmp_path)


def test_links_say_what_they_are() -> None:
    said = [link.describe() for link in ArmsPlan().links]
    assert [s["chain"] for s in said] == [1, 1, 2, 2, 2, 2]
    assert all(presets.parse_threat(s["threat"]) for s in said)
    for s in said:
        for text in (*s["naive"], *s["adaptive"]):
            assert repr(presets.parse_attack(text)) == text


def test_the_command_ends_in_a_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class One(Two):
        @property
        def links(self) -> tuple[Link, ...]:
            return super().links[:1]

    monkeypatch.setattr(rivals, "QUERIES", 50)
    small = SMALL | {"test_n": 20, "probes": 4}
    monkeypatch.setattr(ArmsPlan, "quick", classmethod(lambda cls, seed=0: One(**small, seed=seed)))
    words = ["study", "arms-race", "--quick", "--data", "digits", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output + result.stderr
    assert "squeezing" in result.stdout
    assert "claimed" in result.stderr
    assert (tmp_path / "arms-race.svg").exists()
