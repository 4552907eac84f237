"""Effort and its yield: the Pareto curve, the arms, and what the upper bound leaves open."""

import json
from pathlib import Path
from typing import Any

import pytest

from saddlepoint.audit.report import Run, write_report
from saddlepoint.audit.report.arms import arms, overlap
from saddlepoint.audit.report.effort import effort, points, short
from saddlepoint.audit.report.intervals import ranges
from saddlepoint.audit.report.lights import lights, summary
from saddlepoint.audit.report.numerals import count, percent, span
from saddlepoint.audit.report.untested import untested
from tests.audit.test_report_runs import (
    PILOT,
    STRONG,
    WEAK,
    Fake,
    add_pilot,
    audit_of,
    incompleteness,
    make_run,
)

FAKE = Fake(gallery=0, figures=False)


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("effort") / "run"
    bound = {**audit_of(FAKE)["robust_accuracy"], "incompleteness": incompleteness(0.75)}
    return Run.load(add_pilot(make_run(folder, FAKE, robust_accuracy=bound), FAKE))


@pytest.fixture(scope="module")
def page(run: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "r.html"
    return write_report([run], path).read_text(encoding="utf-8")


def test_the_curve_adds_passes_up(run: Run) -> None:
    xs = [x for x, _ in points(run.audit)]
    assert xs == pytest.approx([1, 4, 4 + 88.04 + 87.04, 180.58, 182.08])
    figure = effort([run], ["net"], "r1")["effort"]
    assert len(figure.rows) == len(run.audit["attacks"])
    assert plain(figure.rows[-1][2]) == "75.0 %"
    assert "98.5\u00a0% before any attack, 75.0\u00a0% after 182.1 passes" in figure.alt
    assert "what was spent since broke nothing" in figure.caption
    assert "APGD cross-entropy" in figure.svg


def test_runs_without_passes_have_no_curve(run: Run) -> None:
    audit = json.loads(json.dumps(run.audit))
    audit["attacks"][1]["forward"] = None
    assert points(audit) == []
    bare = Run(run.folder, audit, run.evidence, run.witnesses, {}, {})
    assert effort([bare], ["net"], "r1") == {}
    both = effort([run, bare], ["a", "b"], "all")["effort"]
    assert [key.text for key in both.keys] == ["a"]


def test_a_chart_never_holds_text_from_outside() -> None:
    assert short("$\\frac{1}{0}$(<b>)") == ""
    assert short("PGD(steps=20, loss='<script>')") == "PGD"
    audit = audit_of(FAKE)
    for row in audit["attacks"]:
        row["spec"] += "$\\oops</svg>$("
    run = Run(Path(), audit, {}, None, {}, {})  # type: ignore[arg-type]
    assert "oops" not in effort([run], ["n"], "r1")["effort"].svg


def test_arms_group_their_rounds(run: Run) -> None:
    audit = json.loads(json.dumps(run.audit))
    audit["attacks"].append({**audit["attacks"][1], "spec": f"{WEAK} #2", "newly_broken": 3})
    found = {arm.name: arm for arm in arms(audit)}
    assert list(found) == [WEAK, STRONG, *PILOT]
    weak = found[WEAK]
    assert (weak.rounds, weak.newly, weak.tried) == (2, 23 + 3, 2 * 197)
    assert weak.passes == pytest.approx(2 * 3.0 * 200)
    assert weak.per_thousand == pytest.approx(1000 * 26 / 1200)
    assert sum(arm.newly for arm in arms(run.audit)) == FAKE.broken - FAKE.wrong


def test_old_runs_have_arms_of_their_own(tmp_path: Path) -> None:
    old = Run.load(make_run(tmp_path / "run", FAKE))
    assert [arm.name for arm in arms(old.audit)] == [WEAK, STRONG]
    assert [arm.newly for arm in arms(old.audit)] == [23, 24]
    assert overlap(old) is None


def test_the_pilot_shows_who_breaks_what_alone(run: Run) -> None:
    found = overlap(run)
    assert found is not None
    assert found.samples == 20
    assert found.arms == ((PILOT[0], 8, 4), (PILOT[1], 5, 1))
    assert found.times == (11, 5, 4)


def test_a_pilot_of_one_arm_has_nothing_to_overlap(run: Run) -> None:
    evidence = {**run.evidence, "stages": run.evidence["stages"].copy()}
    evidence["stages"][4] = "attack"
    assert overlap(Run(run.folder, run.audit, evidence, run.witnesses, {}, {})) is None


def test_the_page_shows_the_numbers_of_the_file(run: Run, page: str) -> None:
    for arm in arms(run.audit):
        row = page[page.index('class="arms"') :]
        row = row[row.index(arm.name.replace("'", "&#39;")) :][:600]
        assert f"<b>{count(arm.newly)}</b>" in row
        assert f">{count(arm.passes)}<" in row
    bound = run.audit["robust_accuracy"]
    assert span(bound["interval"]) in page
    assert span([bound["incompleteness"]["low"], bound["upper"]]) in page
    assert percent(bound["incompleteness"]["share_at_most"]) in page
    assert "Arms on the same images" in page
    assert page.count('<span class="stage">pilot</span>') == 2


def test_both_intervals_say_what_they_cover(run: Run) -> None:
    fresh, stronger = ranges(run.audit)
    assert fresh.title == "Fresh images from the same source"
    assert "nothing about stronger attacks" in fresh.covers
    assert "95 %" in plain(fresh.how)
    assert stronger.title == "Stronger attacks on these images"
    assert "nothing about other images" in stronger.covers
    assert plain(stronger.how).startswith(
        "30 random survivors met the full standard suite, 0 fell: at most 9.5 % of the surviving "
        "images can, one-sided. How often arms broke the same images suggests that 4.1 (1 to 14)"
    )


def test_what_was_not_measured_is_said(run: Run) -> None:
    audit = audit_of(FAKE)
    stronger = ranges(audit)[1]
    assert stronger.said == "not measured"
    assert "from 0.0 %, as far as is proven, to 75.0 %" in plain(stronger.covers)
    audit["robust_accuracy"] |= {"interval": None, "incompleteness": {"words": "Only words."}}
    fresh, stronger = ranges(audit)
    assert fresh.said == stronger.said == "not measured"
    assert stronger.how == "Only words."
    audit["robust_accuracy"]["incompleteness"] = {"audited": 1, "broken": 1, "low": 0.1}
    assert ranges(audit)[1].how == "1 random survivor met the full standard suite, 1 fell."


BAD: dict[str, dict[str, Any]] = {
    "share_at_most": {"share_at_most": 1.2},
    "audited": {"audited": -1},
    "residual": {"residual": []},
    "interval": {"residual": {"interval": [2, 1]}},
}


@pytest.mark.parametrize("case", BAD)
def test_an_impossible_incompleteness_is_refused(case: str, tmp_path: Path) -> None:
    from saddlepoint.core.errors import BadData

    bound = {**audit_of(FAKE)["robust_accuracy"], "incompleteness": BAD[case]}
    folder = make_run(tmp_path / "run", FAKE, robust_accuracy=bound)
    with pytest.raises(BadData, match=case):
        Run.load(folder)


def test_hostile_arms_are_escaped(run: Run, tmp_path: Path) -> None:
    audit = json.loads(json.dumps(run.audit).replace("Square(", "<script>alert($x)</script>("))
    audit["robust_accuracy"]["incompleteness"]["words"] = "<img src=x onerror=alert(1)>"
    arm = run.evidence["arms"].astype("U80")
    arm[4] = "<script>alert(2)</script>"
    evil = Run(run.folder, audit, {**run.evidence, "arms": arm}, run.witnesses, {}, {})
    page = write_report([evil], tmp_path / "r.html").read_text()
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(2)" in page


def test_failing_findings_come_first(run: Run, page: str) -> None:
    assert summary(run.audit) == [("ok", 1), ("warn", 1), ("fail", 1), ("inconclusive", 1)]
    assert [light.verdict for light in lights(run.audit)] == ["fail", "warn", "inconclusive", "ok"]
    findings = page[page.index('id="r1-findings"') :]
    places = [findings.index(text) for text in ("gradients", "one step beats", "8-bit", "clean ac")]
    assert places == sorted(places)
    assert "add restarts" in findings


def test_untested_follows_what_was_done(run: Run) -> None:
    said = plain(" ".join(untested(run.audit)))
    assert "Adaptive attacks" in said
    assert "Survivors: 120 of 150 images did not meet the full suite." in said
    assert "300.1 forward and 298.0 backward passes per image were spent." in said
    assert "no search without gradients" not in said
    audit = audit_of(FAKE)
    audit["plan"] |= {"max_passes": 600, "attacks": [WEAK, STRONG, "DDN()"]}
    said = plain(" ".join(untested(audit)))
    assert "none of the 150 met a second" in said
    assert "of 600.0 passes allowed" in said
    assert "planned but never run: DDN(); no search without gradients" in said


@pytest.mark.parametrize(
    ("left", "said"), [(0.0, "Nothing was left to break."), (0.5, "more effort may break more")]
)
def test_a_last_round_that_broke_the_rest_asks_for_no_more(
    run: Run, left: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from saddlepoint.audit.report import effort as module

    monkeypatch.setattr(module, "newly", lambda row: 1)
    assert said in module._caption(
        [run], [[(1.0, 1.0)] * (len(run.audit["attacks"]) - 1) + [(9.0, left)]], 0
    )
