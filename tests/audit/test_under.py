"""Audits of inputs that are seen under transformations: verdicts, files, replay, refusals."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch

import saddlepoint as sp
from saddlepoint.audit.listed import Listed
from saddlepoint.audit.plan import Plan
from saddlepoint.audit.replay import Witnesses, replay
from saddlepoint.audit.samples import Pair
from saddlepoint.audit.suites import cascade
from saddlepoint.core.errors import Invalid
from saddlepoint.views import Brightness, Noise, Render, Rotate
from tests.audit.conftest import Subject
from tests.audit.test_randomised import Always
from tests.audit.test_resume import stop_after

SCHEMA = Path(sp.__file__).parent / "audit/audit.schema.json"
UNDER = sp.Expectation(Rotate(20) >> Noise(0.05), draws=3, trials=30)


def run(s: Subject, **more: Any) -> sp.Audit:  # noqa: ANN401
    options: dict[str, Any] = {"under": UNDER, "probes": 0, "figures": 0, **more}
    return sp.audit(s.model, (s.x, s.y), sp.Linf(0.1), (sp.FGSM(), sp.PGD(steps=3)), **options)


@pytest.fixture(scope="module")
def finished(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> sp.Audit:
    return run(subject, out=tmp_path_factory.mktemp("under"))


def test_the_result_says_what_it_is_about(finished: sp.Audit) -> None:
    document = finished.document
    jsonschema.validate(document, json.loads(SCHEMA.read_text()))
    said = document["randomness"]
    assert said["under"] == document["plan"]["under"] == UNDER.describe()
    assert (said["eot"], said["votes"], said["randomised"]) == (3, 30, True)
    assert said["witnesses"] > 5
    assert said["success"] > UNDER.level
    assert "Rotate(degrees=20) >> Noise(sigma=0.05)" in document["threat"]["description"]
    assert "more than 50% of 30 fresh draws" in document["threat"]["description"]
    assert finished.folder is not None
    page = (finished.folder / "report.html").read_text()
    assert "Rotate(degrees=20)" in page
    finding = next(f for f in finished.findings if f.check == "repeatability")
    assert finding.verdict == "ok"
    assert "random transformations" in finding.meaning


def test_chunks_change_nothing(finished: sp.Audit, subject: Subject) -> None:
    again = run(subject, batch_size=7)
    assert (again.evidence.verdict() == finished.evidence.verdict()).all()
    assert again.evidence.hits == finished.evidence.hits


def test_the_same_witness_is_weaker_than_one_without_views(
    finished: sp.Audit, subject: Subject
) -> None:
    plain = run(subject, under=None)
    assert plain.robust_accuracy < finished.robust_accuracy


def test_witnesses_hold_at_other_draws(finished: sp.Audit, subject: Subject) -> None:
    assert finished.folder is not None
    found, data = Witnesses.load(finished.folder), Pair(subject.x, subject.y)
    said = replay(found, subject.model, data, sp.Linf(0.1), under=UNDER)
    assert said.checked == finished.document["counts"]["broken"]
    assert said.holds
    right = Always(int(subject.y[found.index[0]]))
    failed = replay(found, right, data, sp.Linf(0.1), under=UNDER).failed
    assert failed[int(found.index[0])] == "the model is right about it in 30 of 30 draws"
    for other in (None, sp.Expectation(Rotate(20), draws=3, trials=30)):
        with pytest.raises(Invalid, match="what the run was judged under"):
            replay(found, subject.model, data, sp.Linf(0.1), under=other)


@pytest.mark.slow
def test_a_plain_witness_fails_the_replay_of_views(subject: Subject, tmp_path: Path) -> None:
    still = sp.Expectation(Brightness((0.0, 1e-6)), draws=1, trials=10)
    run(subject, under=still, out=tmp_path)
    found = Witnesses.load(tmp_path)
    wild = sp.Expectation(Rotate((170, 190)), draws=1, trials=30)
    found.document["plan"]["under"] = wild.describe()
    data = Pair(subject.x, subject.y)
    said = replay(found, subject.model, data, sp.Linf(0.1), under=wild)
    assert 0 < len(said.failed) < said.checked or said.holds is False


@pytest.mark.slow
def test_interrupted_ends_the_same(finished: sp.Audit, subject: Subject, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(subject, out=tmp_path, batch_size=16, progress=stop_after(4))
    again = run(subject, out=tmp_path, batch_size=16)
    assert (again.evidence.verdict() == finished.evidence.verdict()).all()
    assert again.evidence.hits == finished.evidence.hits
    with pytest.raises(Invalid, match=r"distribution Rotate.* there, Rotate"):
        run(subject, out=tmp_path, under=sp.Expectation(Rotate(20), draws=3, trials=30))


@pytest.mark.slow
def test_textures_are_audited_as_pictures_of_a_solid(subject: Subject) -> None:
    under = sp.Expectation(Render("cube", size=8, yaw=20, pitch=10), draws=2, trials=10)
    result = run(subject, under=under, force=True)
    assert result.document["data"]["shape"] == [1, 8, 8]
    assert result.evidence.count(sp.Status.ERROR) == 0
    assert result.evidence.count(sp.Status.BROKEN) > 0


@pytest.mark.slow
def test_probes_and_figures_run(subject: Subject, tmp_path: Path) -> None:
    few = {"probes": 3, "figures": 2, "n": 20}
    result = run(subject, under=sp.Expectation(Noise(0.1), draws=1, trials=6), out=tmp_path, **few)
    said = {k: v for k, v in result.evidence.probes.items() if isinstance(v, dict)}
    assert not {k for k, v in said.items() if "skipped" in v} - {"rounding"}
    assert "landscape" in json.loads((tmp_path / "figures.json").read_text())


def test_nothing_is_proved_about_one_view(subject: Subject) -> None:
    result = run(subject, verify=1.0)
    assert result.certified_accuracy == 0
    assert "bounds hold for one view only" in result.document["verification"]["reason"]


def test_a_plan_without_views_reads_as_ever() -> None:
    plan = Plan(sp.Linf(0.1), Listed((sp.PGD(),)), n=3)
    assert "under" not in plan.describe()
    assert cascade(price=4).max_passes == 4 * cascade().max_passes
    assert cascade(max_passes=50, price=4).max_passes == 50


@pytest.mark.parametrize(("name", "value"), [("eot", 4), ("votes", 9)])
def test_counts_beside_views_are_refused(subject: Subject, name: str, value: int) -> None:
    with pytest.raises(Invalid, match=f"{name} = {value}: must be left out"):
        run(subject, **{name: value})


def test_what_cannot_be_seen_so_is_refused_before_any_work(subject: Subject) -> None:
    model = torch.nn.Linear(64, 10)
    data = (subject.x.flatten(1), subject.y)
    with pytest.raises(Invalid, match="must be images"):
        sp.audit(model, data, sp.Linf(0.1), (sp.FGSM(),), under=UNDER)


def test_targets_by_rank_depend_on_the_sample_alone_and_replay(
    subject: Subject, tmp_path: Path
) -> None:
    """Which class is second is itself uncertain under views: replay cannot ask for the same."""
    first = run(subject, target="runner-up", out=tmp_path / "run")
    again = run(subject, target="runner-up", batch_size=7)
    assert first.table()["target"].tolist() == again.table()["target"].tolist()
    found, data = Witnesses.load(tmp_path / "run"), Pair(subject.x, subject.y)
    assert replay(found, subject.model, data, sp.Linf(0.1), under=UNDER).holds
    assert len(found.index)
