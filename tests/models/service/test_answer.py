"""Every kind of answer is read as scores (B, K), and what is no answer is refused in words."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saddlepoint.models.service.answer import Reader, Unreadable
from saddlepoint.models.service.settings import read_endpoint

from .kit import written

NAMES = ["cat", "dog", "fox"]
LOG = {"kind": "scores", "scores": "s", "are": "log-probabilities"}
LOGITS = {"kind": "scores", "scores": "s", "are": "logits"}
CHANCES = {"kind": "scores", "scores": "s", "are": "probabilities"}
LABELS = {"kind": "labels", "labels": "l", "scores": None, "are": None}
TOP = {"kind": "top-k", "labels": "l", "scores": "s", "are": "probabilities"}
RANKED = {"kind": "top-k", "labels": "l", "scores": None, "are": None}


def reader(folder: Path, answer: dict[str, Any], classes: Any = 3, one: bool = False) -> Reader:  # noqa: ANN401
    body = {"x": "{instance}", "instances": None} if one else {}
    path = written(folder, answer=answer, classes=classes, body=body)
    return Reader(read_endpoint(path), str(path))


def read(folder: Path, answer: dict[str, Any], said: Any, classes: Any = 3) -> Any:  # noqa: ANN401
    return reader(folder, answer, classes)(json.dumps(said), 1)[0].tolist()


def test_scores(tmp_path: Path) -> None:
    assert read(tmp_path, LOGITS, {"s": [[1, -2.5, 3]]}) == [1, -2.5, 3]
    assert read(tmp_path, LOG, {"s": [[-1, -2.5, -3]]}) == [-1, -2.5, -3]
    logs = read(tmp_path, CHANCES, {"s": [[0.25, 0.75, 0]]})
    assert logs[:2] == [np.log(0.25), np.log(0.75)]
    assert np.isfinite(logs[2])
    assert logs[2] < -20


def test_scores_by_name_in_any_order(tmp_path: Path) -> None:
    named = LOGITS | {"labels": "l"}
    assert read(tmp_path, named, {"s": [[1, 2, 3]], "l": [["fox", "cat", "dog"]]}, NAMES) == [
        2,
        3,
        1,
    ]
    assert read(tmp_path, LOGITS, {"s": [{"fox": 1, "cat": 2, "dog": 3}]}, NAMES) == [2, 3, 1]
    pairs = {"kind": "scores", "scores": "[*][*].p", "labels": "[*][*].c", "are": "logits"}
    listed = [[{"c": "dog", "p": 5}, {"c": "cat", "p": 4}, {"c": "fox", "p": 3}]]
    assert read(tmp_path, pairs, listed, NAMES) == [4, 5, 3]


@pytest.mark.parametrize(
    ("label", "classes"), [("dog", NAMES), (1, 3), ("1", 3), (1.0, 3), (1, NAMES)]
)
def test_labels(label: Any, classes: Any, tmp_path: Path) -> None:  # noqa: ANN401
    assert read(tmp_path, LABELS, {"l": [label]}, classes) == [0, 1, 0]


def test_numbers_that_are_names(tmp_path: Path) -> None:
    assert read(tmp_path, LABELS, {"l": [7]}, ["5", "6", "7"]) == [0, 0, 1]


def test_of_a_top_k_the_rest_scores_lowest(tmp_path: Path) -> None:
    row = read(tmp_path, TOP, {"s": [[0.6, 0.3]], "l": [["fox", "cat"]]}, NAMES)
    assert np.exp(row) == pytest.approx([0.3, 0.1, 0.6])
    row = read(tmp_path, TOP, {"s": [[0.4]], "l": [["fox"]]}, NAMES)
    assert np.exp(row) == pytest.approx(
        [0.2, 0.2, 0.4]
    )  # half of 0.6 would beat it: below the least
    row = read(tmp_path, TOP, {"s": [[0.5, 0.5]], "l": [[1, 0]]})
    assert row[2] < min(row[:2])
    row = read(tmp_path, TOP | {"are": "logits"}, {"s": [[-3, -5]], "l": [[1, 0]]})
    assert row == [-5, -3, -6]


def test_a_ranking_alone(tmp_path: Path) -> None:
    assert read(tmp_path, RANKED, {"l": [[2, 0]]}) == [-1, -2, 0]


def test_one_instance_per_request(tmp_path: Path) -> None:
    assert reader(tmp_path, LOGITS, one=True)('{"s": [1, 2, 3]}', 1).tolist() == [[1, 2, 3]]
    assert reader(tmp_path, LABELS, one=True)('{"l": 2}', 1).tolist() == [[0, 0, 1]]


FAULTS: dict[str, tuple[dict[str, Any], Any, str]] = {
    "nothing there": (LOGITS, {"x": 1}, "answer.scores = 's' finds nothing"),
    "no function": (
        LOGITS | {"scores": "foo(s)"},
        {"s": 1},
        "fails on the answer: Unknown function",
    ),
    "other type": (
        LOGITS | {"scores": "sort(s)"},
        {"s": [[1]]},
        "answer.scores = 'sort(s)' fails on the answer: In function sort(), invalid type",
    ),
    "other count": (LOGITS, {"s": [[1, 2, 3]] * 2}, "finds 2 items for 1 instances"),
    "no list": (LOGITS, {"s": "x"}, "finds str for 1 instances"),
    "few": (LOGITS, {"s": [[1, 2]]}, "there are 2 scores for 3 classes"),
    "many": (LOGITS, {"s": [[1, 2, 3, 4]]}, "there are 4 scores for 3 classes"),
    "nan": (LOGITS, {"s": [[1, 2, float("nan")]]}, "a score is nan, not a finite number"),
    "infinite": (LOGITS, {"s": [[1, float("inf"), 1]]}, "a score is inf, not a finite number"),
    "huge": (LOGITS, {"s": [[1, 10**400, 1]]}, "a score is inf, not a finite number"),
    "null": (LOGITS, {"s": [[1, None, 1]]}, "a score is null, not a number"),
    "text": (LOGITS, {"s": [[1, "2", 1]]}, 'a score is "2", not a number'),
    "truth": (LOGITS, {"s": [[1, True, 1]]}, "a score is true, not a number"),
    "scalar": (LOGITS, {"s": [1]}, "scores of one instance are no list but int"),
    "no chances": (CHANCES, {"s": [[3, 2, 1]]}, 'is it answer.are = "logits"?'),
    "negative": (CHANCES, {"s": [[-0.5, 1, 0.5]]}, "are no probabilities"),
    "unknown": (LABELS, {"l": ["cow"]}, "'cow' is none of the classes (0 to 2)"),
    "out of range": (LABELS, {"l": [3]}, "3 is none of the classes"),
    "half": (LABELS, {"l": [0.5]}, "0.5 is none of the classes"),
    "no label": (LABELS, {"l": [None]}, "None is none of the classes"),
    "bool": (LABELS, {"l": [True]}, "True is none of the classes"),
    "twice": (TOP, {"s": [[0.5, 0.5]], "l": [[1, 1]]}, "a class is listed twice"),
    "uneven": (TOP, {"s": [[0.5]], "l": [[1, 0]]}, "there are 1 scores with 2 class names"),
    "empty": (TOP, {"s": [[]], "l": [[]]}, "a top-k list is empty"),
    "too few names": (LOGITS | {"labels": "l"}, {"s": [[1, 2, 3]], "l": [[0, 1]]}, "2 class names"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_no_answer(name: str, tmp_path: Path) -> None:
    answer, said, words = FAULTS[name]
    with pytest.raises(Unreadable) as caught:
        read(tmp_path, answer, said)
    assert words in str(caught.value)
    assert f"it answered {json.dumps(said)[:100]}" in str(caught.value)
