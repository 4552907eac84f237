"""Splits and data sets: exact conversion, content hashes, and what a data set refuses to hold."""

import hashlib
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.data import Dataset, Split
from saddlepoint.data.order import spread
from saddlepoint.data.split import Index


def bytes_split(n: int = 6) -> Split:
    x = np.arange(n * 12, dtype=np.uint8).reshape(n, 3, 2, 2)
    return Split(x, np.arange(n, dtype=np.int64) % 2)


def test_every_byte_becomes_exactly_its_255th() -> None:
    split = Split(np.arange(256, dtype=np.uint8)[:, None], np.zeros(256, dtype=np.int64))
    x, y = split.batch(slice(None))
    assert x.dtype == torch.float32
    assert y.dtype == torch.int64
    assert np.array_equal(x[:, 0].numpy(), np.arange(256, dtype=np.float32) / np.float32(255))


@pytest.mark.parametrize(
    "index", [slice(1, 4), [1, 2, 3], np.array([1, 2, 3]), torch.tensor([1, 2, 3])]
)
def test_any_kind_of_index_gives_the_same_batch(index: Index) -> None:
    x, y = bytes_split().batch(index)
    assert torch.equal(x, torch.arange(12, 48).reshape(3, 3, 2, 2) / 255)
    assert y.tolist() == [1, 0, 1]


def test_a_batch_is_a_copy() -> None:
    values = np.full((2, 3), 0.5, dtype=np.float32)
    split = Split(values, np.zeros(2, dtype=np.int64))
    x, y = split.batch(slice(0, 2))
    x += 1
    y += 1
    assert values.max() == 0.5
    assert split.y.max() == 0


def test_a_batch_is_contiguous_whatever_the_array() -> None:
    split = bytes_split()
    x, _ = Split(np.asfortranarray(split.x), split.y).batch(slice(0, 3))
    assert x.is_contiguous()
    assert torch.equal(x, split.batch(slice(0, 3))[0])


def test_an_empty_index_gives_an_empty_batch() -> None:
    x, y = bytes_split().batch([])
    assert x.shape == (0, 3, 2, 2)
    assert y.shape == (0,)


@pytest.mark.parametrize("index", [[6], [-1], [0, 99]])
def test_an_index_outside_is_refused(index: Index) -> None:
    with pytest.raises(Invalid, match=r"rows = (6|-1|99): must be in \[0, 5\]"):
        bytes_split().batch(index)


def test_an_index_that_is_no_flat_list_of_numbers_is_refused() -> None:
    with pytest.raises(Invalid, match="flat sequence of whole numbers"):
        bytes_split().batch([[0, 1]])


@pytest.mark.parametrize("n", [0, 1, 5])
def test_the_hash_is_of_dtype_shape_and_bytes(n: int) -> None:
    split = bytes_split()
    expected = hashlib.sha256(
        f"uint8 ({n}, 3, 2, 2)\n".encode()
        + split.x[:n].tobytes()
        + f"int64 ({n},)\n".encode()
        + split.y[:n].tobytes()
    )
    assert split.sha256(n) == expected.hexdigest()


def test_the_hash_ignores_strides_and_sees_every_change() -> None:
    split = bytes_split()
    turned = Split(np.asfortranarray(split.x), split.y)
    assert turned.sha256() == split.sha256()
    other = split.x.copy()
    other[5, 2, 1, 1] ^= 1
    assert Split(other, split.y).sha256() != split.sha256()
    assert Split(other, split.y).sha256(5) == split.sha256(5)
    assert Split(split.x, 1 - split.y).sha256() != split.sha256()


def test_the_hash_does_not_depend_on_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bytes_split().sha256()
    monkeypatch.setattr("saddlepoint.data.split._CHUNK", 4)
    assert bytes_split().sha256() == whole


@pytest.mark.parametrize("n", [-1, 7])
def test_a_hash_of_more_samples_than_there_are_is_refused(n: int) -> None:
    with pytest.raises(Invalid, match=rf"n = {n}: must be in \[0, 6\]"):
        bytes_split().sha256(n)


def dataset(**changes: Any) -> Dataset:  # noqa: ANN401
    x, y = np.zeros((4, 1, 2, 2), dtype=np.uint8), np.array([0, 1, 0, 1])
    given = {"name": "toy", "x_train": x, "y_train": y, "x_test": x, "y_test": y, "classes": 2}
    return Dataset(**{**given, **changes})


def test_a_missing_half_is_an_error_when_it_is_used() -> None:
    data = dataset(x_train=np.zeros((0, 1, 2, 2), dtype=np.uint8), y_train=np.zeros(0, dtype=int))
    assert len(data.split("test")) == 4
    with pytest.raises(BadData, match="toy has no train samples, only a test split"):
        data.split("train")


def test_an_unknown_half_is_refused() -> None:
    with pytest.raises(Invalid, match="split = 'val': must be 'test' or 'train'"):
        dataset().split("val")


FLAT = np.zeros((4, 3), dtype=np.float32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 1}, "1 class: at least 2"),
        ({"label_names": ("a", "b", "c")}, "3 label names for 2 classes"),
        ({"y_test": np.array([0, 1])}, "x_test, y_test: 4 samples but 2 labels"),
        (
            {"y_test": np.array([0, 1, 2, 1])},
            r"y_test has labels from 0 to 2: must lie in \[0, 1\]",
        ),
        ({"y_test": np.array([0, 1, -1, 1])}, "labels from -1 to 1"),
        ({"y_test": np.zeros(4)}, "y_test is float64"),
        ({"x_test": np.zeros((4, 1, 3, 3), dtype=np.uint8)}, "must be the same"),
        ({"x_test": np.zeros(4, dtype=np.uint8)}, r"samples of shape \(4,\)"),
        ({"x_test": FLAT.astype(np.int32)}, "x_test has dtype int32: must be uint8"),
        ({"x_test": FLAT - 0.5, "x_train": FLAT}, "x_test has values from -0.5 to -0.5"),
        ({"x_test": FLAT + 2, "x_train": FLAT}, "from 2 to 2: floats must lie in"),
        ({"x_test": FLAT * np.nan, "x_train": FLAT}, "x_test holds NaN"),
    ],
)
def test_a_data_set_that_is_inconsistent_cannot_be_made(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadData, match=message):
        dataset(**changes)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_every_beginning_holds_the_classes_in_proportion(labels: list[int]) -> None:
    order = spread([str(i) for i in range(len(labels))], labels)
    assert sorted(order) == list(range(len(labels)))
    for n in range(len(labels) + 1):
        for label in set(labels):
            share = labels.count(label) * n / len(labels)
            taken = sum(labels[i] == label for i in order[:n])
            assert abs(taken - share) <= 1 + len(set(labels)) / 2


def test_the_order_is_fixed() -> None:
    assert spread(list("abcdef"), [0, 1, 0, 1, 0, 1]) == [3, 2, 5, 4, 1, 0]
