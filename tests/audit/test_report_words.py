"""The sentences: upper-bound wording in every case, and plain words for the threat model."""

from copy import deepcopy
from typing import Any

import pytest

from saddlepoint.audit.report import Run, words
from saddlepoint.audit.report.card import card, size
from saddlepoint.audit.report.figures import landscape_words, maxima_words
from saddlepoint.audit.report.numerals import percent, radius
from saddlepoint.audit.report.untested import untested
from saddlepoint.audit.report.versus import caveats, comparison, names, paired, paired_words
from tests.audit.test_report_runs import Fake, audit_of, make_run


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def verdict(fake: Fake, witnesses: int | None = None) -> str:
    stored = fake.broken if witnesses is None else witnesses
    return plain(words.verdict(audit_of(fake), stored))


def test_the_verdict_is_an_upper_bound_with_its_interval() -> None:
    said = verdict(Fake(n=1000, robust=846, wrong=15))
    assert said.startswith(
        "Of 1,000 test images, at most 84.6 % withstand this adversary (95 % interval 81.6 % to"
    )
    assert said.endswith(
        "154 were broken, each with a witness; 15 of these fail without any change."
    )


@pytest.mark.parametrize(
    ("fake", "end"),
    [
        (Fake(robust=200, wrong=0), "none was broken, which does not prove that none can be."),
        (Fake(robust=199, wrong=0), "1 was broken, with a witness."),
        (Fake(robust=0, wrong=0), "all 200 were broken, each with a witness."),
    ],
)
def test_edge_cases_of_the_verdict(fake: Fake, end: str) -> None:
    said = verdict(fake)
    assert "at most" in said
    assert said.endswith(end)


def test_missing_witnesses_are_admitted() -> None:
    assert "50 were broken, 7 of them with a stored witness" in verdict(Fake(), 7)
    assert "each with a witness" in verdict(Fake(wrong=3), 47)


def test_no_interval_no_words_about_one() -> None:
    audit = audit_of(Fake())
    audit["robust_accuracy"]["interval"] = None
    assert "interval" not in words.verdict(audit, 50)


def test_the_lower_bound_says_when_nothing_was_proven() -> None:
    audit = audit_of(Fake())
    assert plain(words.proven(audit)) == "proven: 0.0 % (no verification was run)"
    audit["robust_accuracy"]["lower"] = 0.12
    assert plain(words.proven(audit)) == "proven: 12.0 %"


def test_errors_are_inconclusive_never_robust() -> None:
    assert words.unsettled(audit_of(Fake())) == ""
    assert words.unsettled(audit_of(Fake(errors=1))).startswith("1 image is inconclusive")
    assert words.unsettled(audit_of(Fake(errors=2))).startswith("2 images are inconclusive")


def test_a_partial_run_says_so() -> None:
    assert words.interrupted(audit_of(Fake())) == ""
    said = words.interrupted(audit_of(Fake(not_run=20)))
    assert "This run is partial" in said
    assert "20 images met no attack at all" in said
    audit = audit_of(Fake(not_run=20))
    audit["counts"]["not_run"] = 0
    assert "did not reach every sample" in words.interrupted(audit)


def test_what_was_not_tested_follows_the_threat_model() -> None:
    audit = audit_of(Fake())
    usual = " ".join(untested(audit))
    assert "Proof: none was attempted" in usual
    assert "8 bits" in usual
    assert "model's weights" not in usual
    assert "changes of another kind" in usual
    assert "rotations" not in usual, "the set may be one"
    audit["threat"] |= {"access": "scores", "quantize": "uint8", "goal": "targeted"}
    audit["robust_accuracy"]["lower"] = 0.1
    unusual = " ".join(untested(audit))
    assert "Proof" not in unusual
    assert "8 bits" not in unusual
    assert "model's weights" in unusual
    assert "Goals other than" in unusual


@pytest.mark.parametrize(
    ("threat", "shape", "said"),
    [
        (("Linf", 0.3), [1, 28, 28], "at most 0.3: 76.5 of the 255 steps"),
        (("Linf", 8 / 255), [3, 32, 32], "at most 8/255: 8 of the 255 steps"),
        (("Linf", 0.05), [30], "at most 0.05: 5.0 % of its range."),
        (("L2", 0.5), [3, 32, 32], "length at most 0.5: one value by 0.5, or all 3,072 values by"),
        (("L2", 0.5), [30], "all 30 values by 0.09129 each."),
        (("L1", 12.0), [3, 32, 32], "add up to at most 12: 12 of 3,072 values"),
    ],
)
def test_sizes_in_plain_words(threat: tuple[str, float], shape: list[int], said: str) -> None:
    audit = {"threat": {"name": threat[0], "eps": threat[1]}, "data": {"shape": shape}}
    assert said in plain(size(audit))


def test_sets_without_a_radius_have_no_size() -> None:
    audit: dict[str, Any] = {"threat": {"name": "Patch", "eps": None}, "data": {"shape": [3, 8, 8]}}
    assert size(audit) == ""
    assert size({"threat": {"name": "Linf", "eps": 0.1}, "data": {"shape": None}}) == ""


def test_the_card_answers_what_an_engineer_asks() -> None:
    rows = dict(card(audit_of(Fake())))
    assert list(rows) == ["May change", "Which means", "May see", "May ask", "Wants"]
    assert "white box" in rows["May see"]
    audit = audit_of(Fake())
    audit["threat"] |= {"quantize": "uint8", "access": "a telephone", "goal": "reach class 3"}
    rows = dict(card(audit))
    assert rows["Stored as"].startswith("uint8")
    assert rows["May see"] == "a telephone."
    assert rows["Wants"] == "reach class 3."


def test_numbers() -> None:
    assert plain(percent(1.0)) == "100.0 %"
    assert percent(None) == percent(float("nan")) == "\u2013"
    assert radius(0.2, in_steps=True) == "0.2"
    assert radius(4 / 255, in_steps=True) == "4/255"


def _land(fgsm: list[float | None], pgd: list[float | None]) -> dict[str, Any]:
    return {"t": [0, 0.5, 1, 1.5], "fgsm": {"mean": fgsm}, "pgd": {"mean": pgd}}


def test_the_landscape_is_put_into_words() -> None:
    assert "overshoots" in landscape_words(_land([0, 3, 1, 0], [0, 2, 4, 5]))
    assert "what one step misses" in landscape_words(_land([0, 1, 2, 3], [0, 2, 4, 5]))
    assert "close to linear" in landscape_words(_land([0, 1, 2, 3], [0, 1, 2, 3]))
    assert landscape_words(_land([0, 1, None, 3], [0, 1, 2, 3])) == ""


def test_the_maxima_are_put_into_words() -> None:
    assert "concentrated" in maxima_words([[5.0, 5.1], [3.0, 3.1, None]])
    assert "spread out" in maxima_words([[1.0, 5.0], [0.5, 3.0]])
    assert maxima_words([[1.0]]) == ""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder = tmp_path_factory.mktemp("words")
    fakes = {
        "natural": Fake(name="natural", robust=14, gallery=0, figures=False),
        "robust": Fake(name="robust", robust=150, gallery=0, figures=False),
        "close": Fake(name="close", robust=148, gallery=0, figures=False),
    }
    return [Run.load(make_run(folder / name, fake)) for name, fake in fakes.items()]


def test_a_comparison_names_the_stronger_first(runs: list[Run]) -> None:
    assert plain(comparison(runs[:2])) == (
        "Against Linf(eps=0.3), at most 75.0 % of images withstand with robust, at most 7.0 % "
        "with natural: these attacks leave robust 68.0 points ahead."
    )


def test_a_lead_that_may_be_chance_is_called_so(runs: list[Run]) -> None:
    said = plain(comparison(runs[1:]))
    assert said.endswith("the lead of 1.0 points is within what chance explains.")


def test_runs_are_paired_sample_by_sample(runs: list[Run]) -> None:
    pair = paired(runs[0], runs[1])
    assert pair is not None
    assert (pair.shared, pair.only_first, pair.only_second) == (200, 136, 0)
    said = plain(paired_words(pair, "natural", "robust", "images"))
    assert said == (
        "Of the 200 images both runs decided, 136 fell only with natural and 0 only with robust: "
        "more than luck explains (exact McNemar test, p < 0.001)."
    )
    same = paired(runs[0], runs[0])
    assert same is not None
    assert "an even split" in paired_words(same, "a", "b", "images")


def test_other_data_cannot_be_paired(runs: list[Run]) -> None:
    audit = deepcopy(dict(runs[1].audit)) | {"data_sha256": "00"}
    other = Run(runs[1].folder, audit, runs[1].evidence, runs[1].witnesses, {}, {})
    assert paired(runs[0], other) is None
    assert "data" in caveats([runs[0], other])[0]
    assert caveats(runs[:2]) == []


def test_names_are_told_apart(runs: list[Run]) -> None:
    assert names(runs[:2]) == ["natural", "robust"]
    assert names([runs[0], runs[0]]) == ["natural (1)", "natural (2)"]
