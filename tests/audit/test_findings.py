"""Checks on evidence written by hand: thresholds, sampling noise, and what is missing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import saddlepoint as sp
from saddlepoint.audit.checks import CHECKS, Finding, examine
from saddlepoint.audit.evidence import Evidence, Round
from saddlepoint.audit.listed import Listed
from saddlepoint.audit.plan import Plan

N = 100
Change = Callable[[Evidence], None]


def round_(name: str, rows: range, broken: int, backward: int) -> Round:
    """A round that broke the first ``broken`` of its rows."""
    r = Round.empty(name, name, "attack", np.array(rows))
    r.status[:] = 1
    r.status[:broken] = 2
    r.margin[:] = np.where(r.status == 2, 0.5, -0.5)
    r.forward[:], r.backward[:] = 10, backward
    return r


def evidence() -> Evidence:
    """Nothing wrong: PGD broke the first ten of a hundred samples, probes agree."""
    e = Evidence.empty(Plan(sp.Linf(0.1), Listed((sp.PGD(),)), n=N), 10)
    clean = round_("clean", range(N), 0, 0)
    clean.margin[:] = -1.0
    e.rounds = [clean, round_("PGD()", range(N), 10, 10)]
    e.notes = {"input_low": 0.0, "input_high": 1.0}
    fallen, near = list(range(10)), [10, 11, 12]
    steps = {"FGSM()": fallen[:6], "PGD(steps=20)": fallen}
    margin = np.where(np.arange(N) < 10, 0.5, -0.5).tolist()
    e.probes = {
        "n": N,
        "index": list(range(N)),
        "neighbourhood": {"points": 100, "radius": 0.03, "change": 0.05},
        "repeats": {"passes": 5, "disagree": 0, "gap": 0.0},
        "steps": {"broken": steps},
        "progress": {"attack": "PGD()", "margin": margin, "broken": fallen, "blind": 0},
        "radius": {"broken": {"0.5": fallen[:3], "1": fallen, "2": list(range(80))}},
        "unbounded": {"attack": "PGD()", "set": "Linf(eps=1)", "left": []},
        "black_box": {
            "attack": "Square()",
            "index": near,
            "broken": [],
            "climbed": near,
            "gradients": [],
        },
        "transfer": {"source": "a surrogate", "broken": fallen},
        "witnesses": {"broken": 10, "without": []},
        "rounding": {"witnesses": 10, "hold": 9},
    }
    return e


def put(name: str, **changed: Any) -> Change:  # noqa: ANN401
    return lambda e: e.probes[name].update(changed)


def findings(change: Change) -> dict[str, Finding]:
    e = evidence()
    change(e)
    return {f.check: f for f in examine(e)}


def suite_round(broken: int) -> Change:
    """The standard suite on forty survivors."""

    def change(e: Evidence) -> None:
        r = round_("APGD()", range(10, 50), broken, 100)
        r.stage = "suite"
        e.rounds.append(r)

    return change


@pytest.mark.parametrize(("broken", "verdict"), [(0, "ok"), (1, "warn"), (2, "warn"), (3, "fail")])
def test_survivors_that_fall_to_the_standard_suite(broken: int, verdict: str) -> None:
    found = findings(suite_round(broken))["survivors' audit"]
    assert found.verdict == verdict
    assert f"{broken} of 40" in found.measured


def test_nothing_wrong() -> None:
    found = findings(suite_round(0))
    assert {f.verdict for f in found.values()} == {"ok"}


def score_round(broken: int) -> Change:
    """A score search on what PGD left."""
    return lambda e: e.rounds.append(round_("Square()", range(10, N), broken, 0))


def lose(e: Evidence) -> None:
    e.rounds[1].status[3] = 1  # and its margin is still above zero


def blind(rows: int) -> Change:
    def change(e: Evidence) -> None:
        e.rounds[1].zero_gradient[:rows] = 6

    return change


@pytest.mark.parametrize(
    ("change", "check", "verdict"),
    [
        (put("neighbourhood", change=0.11), "unstable predictions", "warn"),
        (put("repeats", gap=0.1), "repeatability", "warn"),
        (put("progress", margin=[-0.45] * N), "incomplete optimisation", "warn"),
        (put("progress", margin=[-0.495] * N), "incomplete optimisation", "ok"),
        (put("progress", broken=[0, 50, 51, 52]), "incomplete optimisation", "warn"),
        (put("progress", broken=[0, 50, 51]), "incomplete optimisation", "ok"),
        (put("steps", broken={"FGSM()": [*range(10, 15)]}), "more steps break more", "ok"),
        (put("steps", broken={"FGSM()": [*range(30)]}), "more steps break more", "warn"),
        (put("radius", broken={"0.5": [1, 2], "1": [3]}), "larger radius breaks more", "ok"),
        (put("radius", broken={"0.5": [*range(5)], "1": []}), "larger radius breaks more", "warn"),
        (put("unbounded", left=[4]), "unbounded attack", "ok"),
        (put("unbounded", left=[4, 5]), "unbounded attack", "warn"),
        (put("unbounded", left=[*range(11)]), "unbounded attack", "fail"),
        (put("black_box", broken=[11]), "black box against gradients", "ok"),
        (put("black_box", broken=[11, 12]), "black box against gradients", "warn"),
        (put("black_box", broken=[11, 12], gradients=[12]), "black box against gradients", "ok"),
        (put("black_box", broken=[11, 12], climbed=[]), "black box against gradients", "warn"),
        (score_round(1), "black box against gradients", "ok"),
        (score_round(2), "black box against gradients", "warn"),
        (score_round(6), "black box against gradients", "fail"),
        (put("transfer", broken=[8, 9, 10]), "transfer against gradients", "ok"),
        (put("transfer", broken=[9, 10, 11]), "transfer against gradients", "warn"),
        (put("transfer", broken=[*range(10, 16)]), "transfer against gradients", "fail"),
        (put("rounding", witnesses=20, hold=15), "8-bit rounding", "ok"),
        (put("rounding", witnesses=20, hold=9), "8-bit rounding", "warn"),
        (put("witnesses", without=[3]), "silent success", "fail"),
        (lose, "silent success", "fail"),
        (blind(5), "gradients", "warn"),
        (blind(11), "gradients", "fail"),
        (lambda e: e.notes.update(training=1.0), "training mode", "fail"),
        (lambda e: e.notes.update(probabilities=1.0), "outputs", "fail"),
        (lambda e: e.notes.update(input_high=0.004), "input range", "warn"),
        (lambda e: e.notes.update(batch_gap=0.01), "batch independence", "fail"),
        (lambda e: e.notes.update(batch_gap=0.01, repeat_gap=0.01), "batch independence", "ok"),
    ],
)
def test_thresholds(change: Change, check: str, verdict: str) -> None:
    assert findings(change)[check].verdict == verdict


def test_without_probes_the_rest_is_still_checked() -> None:
    found = findings(lambda e: e.probes.clear())
    assert [k for k, f in found.items() if f.verdict == "inconclusive"] == [
        "unstable predictions",
        "incomplete optimisation",
        "more steps break more",
        "larger radius breaks more",
        "unbounded attack",
        "black box against gradients",
        "transfer against gradients",
        "survivors' audit",
        "8-bit rounding",
    ]
    assert all(f.verdict in ("ok", "inconclusive") for f in found.values())
    assert "--probes" in found["unbounded attack"].next_step


def test_a_score_round_needs_no_probe() -> None:
    def change(e: Evidence) -> None:
        e.probes.clear()
        score_round(3)(e)

    assert findings(change)["black box against gradients"].verdict == "warn"


def test_gradients_get_another_chance_at_what_scores_broke() -> None:
    def change(e: Evidence) -> None:
        score_round(3)(e)
        e.probes["black_box"].update(climbed=[10, 11, 12], gradients=[10, 11])

    assert findings(change)["black box against gradients"].verdict == "ok"


def test_without_gradients_nothing_is_masked() -> None:
    def change(e: Evidence) -> None:
        e.rounds[1].backward[:] = 0
        for name in ("steps", "progress", "transfer"):
            e.probes[name] = {"skipped": "scores only"}
        e.probes["black_box"].update(broken=[11, 12], climbed=[])

    assert findings(change)["black box against gradients"].verdict == "inconclusive"


def test_a_skipped_probe_says_why() -> None:
    found = findings(lambda e: e.probes.update(unbounded={"skipped": "no radius to change"}))
    assert found["unbounded attack"].verdict == "inconclusive"
    assert "no radius to change" in found["unbounded attack"].measured


def test_a_backward_pass_that_fails_is_said() -> None:
    def change(e: Evidence) -> None:
        e.rounds[1].backward[:] = 0
        e.probes["progress"] = {"skipped": "no differentiable path"}

    found = findings(change)["gradients"]
    assert found.verdict == "fail"
    assert "no differentiable path" in found.measured


def test_every_finding_explains_itself() -> None:
    assert len(findings(lambda e: None)) == len(CHECKS)
    for f in findings(lambda e: None).values():
        assert f.measured
        assert f.meaning
