"""Success against queries: counted by hand on rounds of known cost."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import saddlepoint as sp
from saddlepoint.audit.asked import asked, spent_at_break
from saddlepoint.audit.evidence import Evidence, Round, code
from saddlepoint.audit.listed import Listed
from saddlepoint.audit.paid import paid
from saddlepoint.audit.plan import Plan
from saddlepoint.audit.report.queries import curve_of
from saddlepoint.core.ledger import Status


def evidence(access: Any = "scores", limit: int | None = None) -> Evidence:  # noqa: ANN401
    """Four samples: wrong when clean, broken at 1 + 4 and at 1 + 9 + 5 queries, and a survivor."""
    plan = Plan(sp.Linf(0.1), Listed((sp.Guess(k=1),)), n=4, access=access, max_queries=limit)
    e = Evidence.empty(plan, 10)
    table = [
        ([0, 1, 2, 3], [1, 1, 1, 1], "bsss"),
        ([1, 2, 3], [4, 9, 9], "bss"),
        ([2, 3], [5, 50], "bs"),
        ([2, 3], [7, 0], "bs"),  # a break again, and later than the first
    ]
    kinds = {"b": code(Status.BROKEN), "s": code(Status.SURVIVED)}
    for name, (rows, forward, status) in enumerate(table):
        r = Round.empty(str(name), "Guess(k=1)", "attack", np.array(rows))
        r.forward[:], r.status[:] = forward, [kinds[s] for s in status]
        e.rounds.append(r)
    return e


def test_the_first_break_counts_and_the_clean_query_with_it() -> None:
    assert spent_at_break(evidence()).tolist() == [1, 5, 15, -1]


def test_the_summary_is_what_a_hand_counts() -> None:
    said = asked(evidence(limit=100))
    assert said is not None
    assert (said["limit"], said["most"], said["broken"]) == (100, 60, 2)
    assert (said["median"], said["mean"]) == (10.0, 10.0)
    left = {a["queries"]: a["robust_accuracy"] for a in said["after"]}
    assert left == {1: 0.75, 10: 0.5, 60: 0.25}
    assert said["curve"] == {"queries": [1, 5, 15, 60], "robust_accuracy": [0.75, 0.5, 0.25, 0.25]}


def test_white_boxes_are_not_counted_in_queries_unless_rationed() -> None:
    assert asked(evidence("gradients")) is None
    assert asked(evidence("gradients", 100)) is not None


def test_the_report_shows_it(tmp_path: Path) -> None:
    from tests.audit.nets import natural

    data = sp.load_data("digits").split("test").batch(range(24))  # type: ignore[arg-type]
    args: Any = (natural().model, data, sp.Linf(0.2))
    result = sp.audit(*args, access="scores", max_queries=40, out=tmp_path / "run", probes=0)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Accuracy against queries" in page
    said = json.loads((tmp_path / "run" / "audit.json").read_text())["queries"]
    assert said["after"][-1]["robust_accuracy"] == result.robust_accuracy
    assert said["most"] <= said["limit"] == 40


@pytest.mark.parametrize(
    "curve",
    [None, 3, {"queries": [1]}, {"queries": [1, 1], "robust_accuracy": [1, 0]}]
    + [{"queries": [1, 2], "robust_accuracy": bad} for bad in ([1], [1, 2], ["a", "b"], [1, None])],
)
def test_curves_that_are_none_are_not_drawn(curve: Any) -> None:  # noqa: ANN401
    assert curve_of({"queries": {"curve": curve}}) is None


@pytest.mark.parametrize("usage", [None, {}, {"queries": "many"}, {"queries": True}])
def test_nothing_is_said_of_what_nobody_counted(usage: Any) -> None:  # noqa: ANN401
    assert paid(usage) == ""


def test_losses_are_named() -> None:
    assert paid({"queries": 5, "lost": 2, "doubtful": 1}) == (
        "5 queries paid for; 2 lost; 1 doubtful"
    )
