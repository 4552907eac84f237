"""Two runs, sample by sample. Letters: r robust, b broken, w wrong as it is, e error, n not run."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from safetensors.numpy import save_file

import saddlepoint as sp
from saddlepoint.audit.comparison import ClassChange
from saddlepoint.audit.report.run import Run
from saddlepoint.audit.report.versus import paired
from saddlepoint.audit.stats import mcnemar, paired_difference
from saddlepoint.audit.store import write_json
from saddlepoint.core.errors import BadData, Invalid
from tests.audit.conftest import Subject
from tests.audit.test_report_runs import Fake, audit_of

SCHEMA = json.loads((Path(sp.__file__).parent / "audit/compare.schema.json").read_text())
PGD = {"r": 1, "b": 2, "e": 3}


def write(folder: Path, letters: str, order: list[int] | None = None, **changes: object) -> Path:
    """Leave a run whose samples, in ``order``, came out as the letters say; index is row * 3."""
    n = len(letters)
    rows = np.arange(n) if order is None else np.array(order)
    fates = [letters[i] for i in rows]
    tried = [i for i, f in enumerate(fates) if f in PGD]
    clean = [2 if f == "w" else 1 for f in fates]
    status = np.array(clean + [PGD[fates[i]] for i in tried], np.int8)
    broken = sum(f in "bw" for f in fates)
    audit = audit_of(Fake(n=n, wrong=fates.count("w"), robust=n - broken))
    audit["model_sha256"] = folder.name
    audit["plan"] = {"attacks": ["PGD()"], "batch_size": 7, "seed": len(folder.name)}
    folder.mkdir(parents=True)
    write_json(folder / "audit.json", {**audit, **changes})
    np.savez(
        folder / "evidence.npz",
        sample=np.array([*range(n), *tried], np.int64),
        attack=np.array([0] * n + [1] * len(tried), np.int16),
        status=status,
        margin=np.zeros(len(status), np.float32),
        attacks=np.array(["clean", "PGD()"]),
        index=rows * 3,
        label=rows % 2,
    )
    x = np.zeros((broken, 1), np.float32)
    save_file({"x_adv": x, "index": np.zeros(broken, np.int64)}, folder / "witnesses.safetensors")
    return folder


def compared(tmp_path: Path, first: str, second: str) -> sp.Comparison:
    return sp.compare(write(tmp_path / "a", first), write(tmp_path / "b", second))


def test_every_pair_of_fates(tmp_path: Path) -> None:
    pairs = list(product("rbwen", repeat=2))
    found = compared(tmp_path, "".join(a for a, _ in pairs), "".join(b for _, b in pairs))
    wanted: dict[str, list[int]] = {"broken": [], "safe": [], "undecided": []}
    both, neither = 0, 0
    for i, (a, b) in enumerate(pairs):
        if a in "en" or b in "en":
            wanted["undecided"].append(3 * i)
        elif a == "r" and b != "r":
            wanted["broken"].append(3 * i)
        elif b == "r" and a != "r":
            wanted["safe"].append(3 * i)
        else:
            both, neither = both + (a == "r"), neither + (a != "r")
    assert found.newly_broken == tuple(wanted["broken"])
    assert found.newly_safe == tuple(wanted["safe"])
    assert found.undecided == tuple(wanted["undecided"])
    assert (found.robust_in_both, found.broken_in_both) == (both, neither) == (1, 4)
    # Robust or unknown before, broken or unknown after, and not known on both sides.
    assert found.may_be_broken == sum(
        a in "ren" and b in "bwen" and (a in "en" or b in "en") for a, b in pairs
    )
    assert (found.first.undecided, found.second.undecided) == (10, 10)


def test_numbers_are_those_of_the_table(tmp_path: Path) -> None:
    found = compared(
        tmp_path, "r" * 30 + "b" * 10 + "ee", "r" * 18 + "b" * 12 + "b" * 8 + "rr" + "rb"
    )
    assert (len(found.newly_broken), len(found.newly_safe), found.decided) == (12, 2, 40)
    assert found.difference == pytest.approx(-10 / 40)
    assert found.interval == paired_difference(2, 12, 40)
    assert found.interval[0] < -0.25 < found.interval[1] < 0
    assert found.p == mcnemar(12, 2) < 0.05
    assert found.regression == "yes"
    assert found.verdict == (
        "worse: of 40 samples decided in both runs, 12 newly broken and 2 newly safe: "
        "more than luck explains (exact McNemar test, p = 0.013)"
    )
    assert repr(found) == f"Comparison({found.verdict})"
    assert found.classes == (
        ClassChange(0, 20, 15, 10, 6, 1),
        ClassChange(1, 20, 15, 10, 6, 1),
    )


@pytest.mark.parametrize(
    ("first", "second", "regression", "word"),
    [
        ("r" * 6, "b" * 6, "yes", "worse"),
        ("r" * 5, "b" * 5, "no", "worse"),
        ("b" * 6, "r" * 6, "no", "better"),
        ("rb", "br", "no", "the same"),
        ("rrb", "rrb", "no", "no change"),
        ("r" * 6, "b" * 5 + "e", "possible", "worse"),
        ("r" * 5 + "n", "b" * 6, "possible", "worse"),
        ("r" * 6, "e" * 6, "possible", "no sample was decided"),
        ("b" * 6, "e" * 6, "no", "no sample was decided"),
        ("e" * 6, "r" * 6, "no", "no sample was decided"),
        ("r" * 20, "r" * 15 + "n" * 5, "no", "no change"),
        ("r" * 20, "r" * 14 + "n" * 6, "possible", "no change"),
    ],
)
def test_what_counts_as_a_regression(
    tmp_path: Path, first: str, second: str, regression: str, word: str
) -> None:
    found = compared(tmp_path, first, second)
    assert found.regression == regression
    assert found.verdict.startswith(word)


def test_rows_are_matched_by_index(tmp_path: Path) -> None:
    first = write(tmp_path / "a", "rrbbrw")
    second = write(tmp_path / "b", "rbbrrr", order=[5, 3, 0, 1, 4, 2])
    found = sp.compare(first, second)
    assert (found.newly_broken, found.newly_safe) == ((3,), (9, 15))
    back = sp.compare(second, first)
    assert (back.newly_broken, back.newly_safe) == ((9, 15), (3,))
    assert back.classes == (ClassChange(0, 3, 2, 2, 0, 0), ClassChange(1, 3, 2, 1, 2, 1))


def test_rows_that_were_not_run_may_be_left_out_or_not(tmp_path: Path) -> None:
    sparse = write(tmp_path / "sparse", "rbwen")
    dense = write(tmp_path / "dense", "rbwen")
    np.savez(
        dense / "evidence.npz",
        sample=np.tile(np.arange(5), 2),
        attack=np.repeat(np.arange(2, dtype=np.int16), 5),
        status=np.array([1, 1, 2, 1, 1, 1, 2, 0, 3, 0], np.int8),
        margin=np.zeros(10, np.float32),
        attacks=np.array(["clean", "PGD()"]),
        index=np.arange(5) * 3,
        label=np.arange(5) % 2,
    )
    a, b = Run.load(sparse), Run.load(dense)
    assert a.undecided.tolist() == b.undecided.tolist() == [False, False, False, True, True]
    assert a.broken.tolist() == b.broken.tolist()


def test_the_report_leaves_undecided_samples_out_as_well(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", "rrbee"), write(tmp_path / "b", "brbbr")
    pair = paired(Run.load(a), Run.load(b))
    assert pair is not None
    assert (pair.shared, pair.only_first, pair.only_second) == (3, 0, 1)
    nothing = write(tmp_path / "c", "eeeee")
    assert paired(Run.load(a), Run.load(nothing)) is None


def test_json_keeps_to_its_schema(tmp_path: Path) -> None:
    found = compared(tmp_path, "r" * 8 + "be", "b" * 8 + "rr")
    said = json.loads(json.dumps(found.as_json()))
    jsonschema.validate(found.as_json(), SCHEMA)
    assert set(said) == set(SCHEMA["properties"])
    assert said["newly_broken"] == list(range(0, 24, 3))
    assert said["runs"][1]["folder"].endswith("b")
    assert (said["decided"], said["regression"]) == (9, "yes")
    empty = compared(tmp_path / "empty", "e", "r").as_json()
    jsonschema.validate(empty, SCHEMA)
    assert empty["difference"] is empty["interval"] is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data_sha256": "00" * 32},
            ".sha256 000000000000…. there, others .* .sha256 dadadadadada…. here",
        ),
        (
            {"data_sha256": "00" * 32, "n": 1},
            "the first 1 of mnist test there, the first 2 of mnist test here; .* same --data",
        ),
        ({"data_sha256": None}, "without data_sha256"),
    ],
)
def test_other_samples_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    letters = "r" * changes.get("n", 2)
    first, second = write(tmp_path / "a", letters, **changes), write(tmp_path / "b", "rb")
    with pytest.raises(BadData, match=message):
        sp.compare(first, second)


def test_evidence_about_other_samples_is_refused(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", "rr"), write(tmp_path / "b", "rr")
    evidence = dict(np.load(second / "evidence.npz")) | {"index": np.array([0, 7])}
    np.savez(second / "evidence.npz", **evidence)
    with pytest.raises(BadData, match="evidence about other samples"):
        sp.compare(first, second)


def test_what_else_differs_is_said(tmp_path: Path) -> None:
    audit = audit_of(Fake(n=2, wrong=0, robust=2))
    attacks = [*audit["attacks"][:2], {**audit["attacks"][2], "spec": "RandomSearch()"}]
    first = write(tmp_path / "a", "rr")
    second = write(
        tmp_path / "bb",
        "rr",
        threat={**audit["threat"], "spec": "Linf(eps=0.1)", "access": "scores"},
        attacks=attacks,
        plan={"precision": "bfloat16", "seed": 9, "batch_size": 1},
        saddlepoint="9.9",
        status="partial",
    )
    assert list(sp.compare(first, second).notes) == [
        "the second run is partial: what it did not attack is undecided",
        "threat differs: Linf(eps=0.3) in the first run, Linf(eps=0.1) in the second",
        "access differs: gradients in the first run, scores in the second",
        "precision differs: None in the first run, bfloat16 in the second",
        "version of saddlepoint differs: 0.1.0 in the first run, 9.9 in the second",
        "only the first run tried APGD(steps=100, loss='cross-entropy')",
        "only the second run tried RandomSearch()",
    ]
    again = sp.compare(first, first)
    assert again.notes == (
        "both runs audited the same weights, so only attacks can explain a change",
    )


def test_real_runs(subject: Subject, tmp_path: Path) -> None:
    data, attacks = (subject.x, subject.y), (sp.PGD(steps=5),)
    small = sp.audit(subject.model, data, sp.Linf(0.02), attacks, out=tmp_path / "a", figures=0)
    large = sp.audit(subject.model, data, sp.Linf(0.08), attacks, out=tmp_path / "b", figures=0)
    found = sp.compare(tmp_path / "a", large)
    fell = (large.evidence.verdict() == 2) & (small.evidence.verdict() == 1)
    assert found.newly_broken == tuple(np.flatnonzero(fell).tolist())
    assert not found.newly_safe
    assert found.difference == pytest.approx(large.robust_accuracy - small.robust_accuracy)
    assert found.regression == "yes"
    assert sum(c.newly_broken for c in found.classes) == len(found.newly_broken)
    with pytest.raises(Invalid, match="pass out="):
        sp.compare(small, replace(large, folder=None))
