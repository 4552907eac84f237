"""Probes: what is measured after the search, where it is skipped, and that it is done once."""

import json
from pathlib import Path

import jsonschema
import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.audit.probing import PROBES, rivals
from tests.audit.conftest import Subject

ATTACKS = (sp.PGD(steps=5),)
SCHEMA = Path(sp.__file__).parent / "audit/audit.schema.json"


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "QUERIES", 20)


def run(s: Subject, threat: object = None, **more: object) -> sp.Audit:
    options: dict[str, object] = {"attacks": ATTACKS, "probes": 8, "figures": 0, **more}
    return sp.audit(s.model, (s.x, s.y), threat or sp.Linf(0.05), **options)  # type: ignore[arg-type]


def skipped(result: sp.Audit) -> set[str]:
    said = result.evidence.probes
    return {name for name in PROBES if "skipped" in said[name]}


def test_measured_once_and_kept(subject: Subject, tmp_path: Path) -> None:
    first = run(subject, out=tmp_path)
    path = tmp_path / "probes.json"
    assert json.loads(path.read_text()) == first.evidence.probes
    jsonschema.validate(first.document, json.loads(SCHEMA.read_text()))
    assert first.document["probes"]["samples"] == 8
    assert first.document["probes"]["rows_forward"] > 1000
    before = path.stat().st_mtime_ns
    assert run(subject, out=tmp_path).evidence.probes == first.evidence.probes
    assert path.stat().st_mtime_ns == before
    assert run(subject, out=tmp_path, probes=4).evidence.probes["n"] == 4
    path.write_text("{")
    assert run(subject, out=tmp_path).evidence.probes == first.evidence.probes


def test_cost_is_not_the_audits(subject: Subject) -> None:
    with_, without = run(subject), run(subject, probes=0)
    assert with_.evidence.passes() == without.evidence.passes()
    for key in ("forward", "backward", "rows_forward", "rows_backward"):
        assert with_.document["cost"][key] == without.document["cost"][key]
    assert without.document["probes"] == {"samples": 0, "rows_forward": 0, "rows_backward": 0}
    assert (with_.evidence.verdict() == without.evidence.verdict()).all()


def test_access_to_scores(subject: Subject) -> None:
    result = run(subject, attacks=(sp.Square(n_queries=20),), access="scores")
    climbing = {"steps", "progress", "radius", "unbounded", "transfer"}
    assert skipped(result) - {"rounding"} == climbing
    assert result.evidence.probes["black_box"]["climbed"] == []
    found = {f.check: f.verdict for f in result.findings}
    assert found["unbounded attack"] == found["gradients"] == "inconclusive"
    assert found["black box against gradients"] == "inconclusive"
    assert found["unstable predictions"] == "ok"


class Blocked(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.detach())


def test_a_model_without_gradients(subject: Subject) -> None:
    model = Blocked(subject.model)
    result = run(Subject(model, subject.x, subject.y), attacks=(sp.Square(n_queries=20),))
    found = {f.check: f for f in result.findings}
    assert found["gradients"].verdict == "fail"
    assert "differentiable" in found["gradients"].measured
    assert "neighbourhood" not in skipped(result)


class Bare:
    """A set with the verbs of every threat model and no other."""

    def __init__(self) -> None:
        self._ball = sp.Linf(0.05)

    def __getitem__(self, keep: Tensor) -> "Bare":
        return self

    def __getattr__(self, name: str) -> object:
        if name in ("start", "sample", "project", "steepest", "apply", "contains"):
            return getattr(self._ball, name)
        raise AttributeError(name)


def test_a_set_without_a_radius(subject: Subject) -> None:
    result = run(subject, Bare())
    assert skipped(result) == {"radius", "unbounded", "rounding"}
    assert list(result.evidence.probes["steps"]["broken"]) == [
        "PGD(steps=1)",
        "PGD(steps=5)",
        "PGD(steps=20)",
    ]


@pytest.mark.parametrize(
    "threat",
    [
        sp.L2(0.5),
        sp.L1(1.0),
        sp.Quantize(sp.Linf(12 / 255)),
        sp.Linf(torch.linspace(0.01, 0.1, 60)),
        sp.Linf(0.05, box=(-float("inf"), float("inf"))),
    ],
    ids=repr,
)
def test_every_ball_is_measured(subject: Subject, threat: object) -> None:
    assert skipped(run(subject, threat)) <= {"rounding"}


def test_a_radius_of_zero(subject: Subject) -> None:
    assert skipped(run(subject, sp.Linf(0.0))) == {"radius", "rounding"}


class Fragile(nn.Module):
    """Raises beside the samples, where only probes go."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.calm = inner, False

    def forward(self, x: Tensor) -> Tensor:
        if not self.calm:
            raise RuntimeError("no such input")
        return self.inner(x)


def test_no_probe_costs_the_result(subject: Subject) -> None:
    model = Fragile(subject.model)
    model.calm = True

    def progress(name: str, done: int, todo: int, broken: int) -> None:
        model.calm = name != "health checks"

    result = run(Subject(model, subject.x, subject.y), progress=progress)
    assert "RuntimeError: no such input" in result.evidence.probes["neighbourhood"]["skipped"]
    assert result.document["status"] == "complete"
