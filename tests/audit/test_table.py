"""The result as columns."""

import numpy as np
import pytest

import saddlepoint as sp
from tests.audit.conftest import Subject


@pytest.fixture(scope="module")
def result(subject: Subject) -> sp.Audit:
    data = (subject.x, (subject.y + (subject.y == 3)) % 10)  # some are wrong as they are
    attacks = (sp.FGSM(), sp.PGD(steps=5))
    return sp.audit(subject.model, data, sp.Linf(eps=0.05), attacks)


def test_one_row_per_sample(result: sp.Audit, subject: Subject) -> None:
    table, e = result.table(), result.evidence
    assert {len(column) for column in table.values()} == {60}
    predicted = subject.model(subject.x).argmax(1).numpy()
    assert np.array_equal(table["prediction"], predicted)
    wrong = predicted != table["label"]
    assert wrong.any()
    assert np.array_equal(table["broken_by"] == "clean", wrong)
    assert np.array_equal(table["status"] == "broken", table["margin"] > 0)
    assert np.array_equal(table["broken_by"] == "", table["status"] == "survived")
    assert set(table["broken_by"]) >= {"", "clean", "FGSM()"}
    assert table["forward"].sum() == sum(r.forward.sum() for r in e.rounds)
    assert (table["status"] != "broken").mean() == result.robust_accuracy


def test_one_row_per_round(result: sp.Audit) -> None:
    rounds = result.rounds()
    assert rounds["name"].tolist() == ["clean", "FGSM()", "PGD(steps=5)"]
    assert {len(column) for column in rounds.values()} == {3}
    assert rounds["newly_broken"].sum() == (result.table()["status"] == "broken").sum()
    assert rounds["robust_accuracy_after"][-1] == result.robust_accuracy


def test_pandas_takes_both(result: sp.Audit) -> None:
    pandas = pytest.importorskip("pandas")
    assert pandas.DataFrame(result.table()).shape == (60, 8)
    assert len(pandas.DataFrame(result.rounds())) == 3
