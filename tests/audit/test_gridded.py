"""Audits of sets of few parameters: arms by protocol, checks that know their place, witnesses."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor

import saddlepoint as sp
from saddlepoint.audit.membership import independent, inspect
from saddlepoint.audit.replay import Witnesses, replay
from saddlepoint.audit.samples import Pair
from saddlepoint.audit.suites import autoattack, cascade, strategy
from saddlepoint.core.draw import Draw
from saddlepoint.presets import parse_threat
from tests.audit.conftest import Subject
from tests.audit.nets import natural

TURN = sp.RotateTranslate(degrees=15, pixels=1)
N = 24


class Dim:
    """One parameter: x times 1 - u, u in [0, 1/2]; named like no set of the library."""

    counts = (9,)
    box = (0.0, 1.0)
    parametric = True

    def start(self, x: Tensor) -> Tensor:
        return x.new_zeros(len(x), 1)

    def place(self, x: Tensor, t: Tensor) -> Tensor:
        return t.to(x) / 2

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        return self.place(x, draw.uniform(1))

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        return u.clamp(0, 0.5)

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        return g.sign() / 2

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        return x * (1 - u[:, :, None, None])

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        return ((u >= -tol) & (u <= 0.5 + tol)).all(1) & (x.abs() <= 1 + tol).flatten(1).all(1)

    def __getitem__(self, keep: Tensor) -> "Dim":
        return self

    def __repr__(self) -> str:
        return "Dim()"


def arms(threat: Any, access: Any = "gradients") -> set[str]:  # noqa: ANN401
    return {type(a).__name__ for a in cascade(access, threat=threat).attacks()}


@pytest.mark.parametrize("threat", [TURN, Dim()], ids=repr)
def test_arms_are_chosen_by_what_the_set_can_do(threat: Any) -> None:  # noqa: ANN401
    assert arms(threat) == {"Grid", "WorstOf", "Refine", "PGD", "Restarts"}
    assert arms(threat, "scores") == {"Grid", "WorstOf", "Refine"}
    assert arms(threat, "labels") == arms(threat, "none") == {"Grid", "WorstOf"}
    assert "Grid" not in arms(sp.Linf(0.1)) | arms(sp.L0(3)) | arms(None)
    assert {type(a) for a in autoattack("scores", threat)} == {sp.Grid, sp.Refine}
    strategy("autoattack", threat, "gradients").check(threat, "gradients")


def test_ladders_are_paid_what_they_cost() -> None:
    for ladder in cascade(threat=TURN).ladders:
        for attack, passes in zip(ladder.rungs, ladder.passes, strict=True):
            if hasattr(attack, "passes"):
                assert passes == attack.passes(TURN)
    assert cascade(threat=TURN).suite_passes == 775 + 175 + 360


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[sp.Audit, Path, Subject]:
    folder, subject = tmp_path_factory.mktemp("turned"), natural()
    data = (subject.x[:N], subject.y[:N])
    audit = sp.audit(subject.model, data, TURN, effort="quick", out=folder, figures=4, probes=4)
    return audit, folder, subject


def test_an_audit_breaks_what_the_grid_breaks(
    finished: tuple[sp.Audit, Path, Subject],
) -> None:
    audit, _, subject = finished
    grid = sp.search(sp.Grid(counts=(5, 3, 3)), subject.model, subject.x[:N], subject.y[:N], TURN)
    assert audit.evidence.count(sp.Status.ERROR) == 0
    assert audit.robust_accuracy <= grid.robust_accuracy + 1 / N
    assert audit.document["counts"]["broken"] > 0


def test_checks_that_make_no_sense_say_so(finished: tuple[sp.Audit, Path, Subject]) -> None:
    findings = {f.check: f for f in finished[0].findings}
    assert not [f for f in findings.values() if f.verdict == "fail"]
    for name in (
        "more steps break more",
        "larger radius breaks more",
        "unbounded attack",
        "transfer against gradients",
        "black box against gradients",
    ):
        assert findings[name].verdict == "inconclusive"
        assert "a grid searches the few parameters" in findings[name].measured
    assert "Refine()" in findings["incomplete optimisation"].measured
    assert "does not hang on gradients" in findings["gradients"].meaning


def test_the_report_says_what_the_adversary_may_do_and_did(
    finished: tuple[sp.Audit, Path, Subject],
) -> None:
    _, folder, _ = finished
    said = json.loads((folder / "audit.json").read_text())["threat"]
    assert said["description"].startswith("the image may be turned by at most 15 degrees")
    page = (folder / "report.html").read_text()
    assert "turned clockwise by " in page
    assert "no search without gradients" not in page
    figures = json.loads((folder / "figures.json").read_text())
    assert figures["eps_curve"]["attack"] == "Refine(rounds=1, keep=2)"
    assert "steps_curve" not in figures


def test_replay_makes_every_witness_again(finished: tuple[sp.Audit, Path, Subject]) -> None:
    _, folder, subject = finished
    samples = Pair(subject.x[:N], subject.y[:N])
    run, threat = Witnesses.load(folder), parse_threat("RotateTranslate(degrees=15, pixels=1)")
    assert run.u is not None
    assert run.u.shape == (len(run.index), 3)
    assert independent(threat)
    assert replay(run, subject.model, samples, threat).holds
    smaller = parse_threat("RotateTranslate(degrees=10, pixels=0.5)")
    assert len(replay(run, subject.model, samples, smaller).failed) > 1


@pytest.mark.parametrize("part", ["u", "x_adv"])
def test_replay_refuses_what_was_altered(
    finished: tuple[sp.Audit, Path, Subject], part: str, tmp_path: Path
) -> None:
    _, folder, subject = finished
    tensors = load_file(folder / "witnesses.safetensors")
    row = int(np.flatnonzero(np.abs(tensors["u"]).max(1) > 0.5)[0])
    tensors[part][row] *= 0.9
    save_file(tensors, tmp_path / "witnesses.safetensors")
    (tmp_path / "audit.json").write_bytes((folder / "audit.json").read_bytes())
    samples = Pair(subject.x[:N], subject.y[:N])
    result = replay(Witnesses.load(tmp_path), subject.model, samples, TURN)
    (reason,) = result.failed.values()
    assert "away from the turned and shifted image" in reason


X = torch.rand(1, 2, 5, 7, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("threat", "u", "fault"),
    [
        (sp.RotateTranslate(30, 2), [1.0, -1.0, 0.5], ""),
        (sp.RotateTranslate(30, 2, "reflect"), [-0.3, 1.0, 0.5], ""),
        (sp.RotateTranslate(30, 2), [1.001, 0, 0], "of 30 and 2"),
        (sp.RotateTranslate(30, 2), [0, -1.001, 0], "of 30 and 2"),
        (sp.RotateTranslate(30, 0), [0.5, 0.1, 0], "of 30 and 0"),
        (sp.RotateTranslate(30, 2, eps=0.5), [0.6, 0, 0], "of 15 and 1"),
        (sp.RotateTranslate(30, 2, eps=torch.tensor([0.5])), [0, 0, 0.6], "of 15 and 1"),
        (sp.RotateTranslate(30, 2), [float("nan"), 0, 0], "turned by nan"),
    ],
    ids=str,
)
def test_the_checker_knows_the_ranges(threat: Any, u: list[float], fault: str) -> None:  # noqa: ANN401
    way = torch.tensor([u])
    moved = threat.apply(X, way).numpy()
    (said,) = inspect(X.numpy(), moved, threat, np.array([0]), way.numpy())
    assert (fault in said) if fault else said == ""


def test_the_checker_wants_finite_values_and_parameters() -> None:
    way, bad = np.zeros((1, 3), np.float32), np.full(X.shape, np.nan, np.float32)
    assert inspect(X.numpy(), bad, TURN, np.array([0]), way) == ["values that are not finite"]
    (said,) = inspect(X.numpy(), X.numpy(), TURN, np.array([0]), way[:, :2])
    assert "missing" in said
