"""A class of one's own is known by its module, its name and its file, not by its repr alone."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import saddlepoint as sp
from saddlepoint.audit.compare import compare
from saddlepoint.core.origin import code_of
from saddlepoint.train import TrainPlan
from tests.cli import own
from tests.cli.kit import run, said

SOURCE = """
from dataclasses import dataclass
from tests.laws.toy import Shade

@dataclass(frozen=True, repr=False)
class Dim(Shade):
    pass
"""
MODEL = ("--model", "tests.cli.nets:linear", "--device", "cpu", "--n", 10)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with two modules that have a class of one name; forgotten at the end."""
    monkeypatch.chdir(tmp_path)
    for name in ("first_dim", "other_dim"):
        (tmp_path / f"{name}.py").write_text(SOURCE)
    yield tmp_path
    for name in ("first_dim", "other_dim"):
        sys.modules.pop(name, None)


def audit(threat: str, out: str = "run", code: int = 0) -> str:
    words = ("--threat", threat, "--attack", "tests.cli.own:Darkest", "--out", out)
    return said(run("audit", *MODEL, *words, "--figures", 0, "--probes", 0, code=code))


def test_another_class_of_that_repr_is_another_run(folder: Path) -> None:
    audit("first_dim:Dim(eps=0.3)")
    document = json.loads((folder / "run/audit.json").read_text())
    names = {"first_dim:Dim", "tests.laws.toy:Shade", "tests.cli.own:Darkest"}
    assert set(document["plan"]["code"]) == names
    assert "code of other_dim:Dim None there" in audit("other_dim:Dim(eps=0.3)", code=2)
    told = ("replay", "run", *MODEL[:4], "--threat")
    assert "not the code" not in said(run(*told, "first_dim:Dim(eps=0.3)"))
    replayed = said(run(*told, "other_dim:Dim(eps=0.3)"))
    assert "not the code of the run" in replayed
    assert "other_dim:Dim" in replayed


def test_an_edited_file_is_another_run(folder: Path) -> None:
    audit("first_dim:Dim(eps=0.3)")
    (folder / "first_dim.py").write_text(SOURCE + "# edited\n")
    del sys.modules["first_dim"]
    importlib.invalidate_caches()
    assert "code of first_dim:Dim" in audit("first_dim:Dim(eps=0.3)", code=2)
    audit("first_dim:Dim(eps=0.3)", out="edited")
    assert any(note.startswith("code differs") for note in compare("run", "edited").notes)


def test_every_class_within_is_named_and_ours_are_not() -> None:
    assert code_of(sp.Linf(eps=0.1) | sp.L2(eps=1), sp.Restarts(sp.PGD(), n=2)) == {}
    union = code_of(sp.Linf(eps=0.1) | own.Shade(0.1), sp.Restarts(own.Darkest(), n=2))
    assert set(union) == {"tests.laws.toy:Shade", "tests.cli.own:Darkest"}
    assert all(len(digits) == 16 for digits in union.values())
    plan = TrainPlan(
        arch="mlp", shape=(1, 8, 8), classes=10, threat=own.Shade(0.1), loss=own.Twice()
    )
    assert set(plan.describe()["code"]) == {"tests.laws.toy:Shade", "tests.cli.own:Twice"}
