"""Archives: every layout we accept, every kind of damage, hostile ones included."""

import contextlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.data import load_data

Save: TypeAlias = Callable[..., Path]

IMAGES = np.arange(6 * 5 * 4 * 3, dtype=np.uint8).reshape(6, 5, 4, 3)
LABELS = np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture
def saved(tmp_path: Path) -> Save:
    def save(**arrays: NDArray[Any]) -> Path:
        np.savez(tmp_path / "toy.npz", **arrays)
        return tmp_path / "toy.npz"

    return save


def test_all_four_keys(saved: Save) -> None:
    data = load_data(saved(x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:2], y_test=LABELS[:2]))
    assert (data.name, data.shape, data.classes, len(data)) == ("toy", (3, 5, 4), 3, 2)
    assert len(data.split("train")) == 6
    assert np.array_equal(data.x_train[:], IMAGES.transpose(0, 3, 1, 2))


def test_a_test_half_alone_is_enough(saved: Save) -> None:
    data = load_data(str(saved(x_test=IMAGES, y_test=LABELS)))
    assert len(data) == 6
    with pytest.raises(BadData, match="has no train samples"):
        data.split("train")


@pytest.mark.parametrize(
    ("x", "shape"),
    [
        (np.zeros((6, 28, 28), dtype=np.uint8), (1, 28, 28)),
        (np.zeros((6, 28, 28, 1), dtype=np.uint8), (1, 28, 28)),
        (np.zeros((6, 3, 32, 32), dtype=np.uint8), (3, 32, 32)),
        (np.zeros((6, 3, 8, 3), dtype=np.uint8), (3, 8, 3)),  # channels first when both could be
        (np.zeros((6, 8, 9, 4), dtype=np.float16), (4, 8, 9)),
        (np.zeros((6, 13)), (13,)),
    ],
)
def test_layouts(saved: Save, x: NDArray[Any], shape: tuple[int, ...]) -> None:
    data = load_data(saved(x_test=x, y_test=LABELS))
    assert data.shape == shape
    assert data.split().batch([0, 1])[0].shape == (2, *shape)


def test_floats_are_kept_as_float32(saved: Save) -> None:
    x = np.linspace(0, 1, 18).reshape(6, 3)
    data = load_data(saved(x_test=x, y_test=LABELS.astype(np.uint8)[:, None]))
    assert np.array_equal(data.split().batch(slice(None))[0].numpy(), x.astype(np.float32))


def test_two_classes_are_assumed_where_only_one_is_seen(saved: Save) -> None:
    assert load_data(saved(x_test=IMAGES, y_test=LABELS * 0)).classes == 2


FLAT = np.zeros((6, 3))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": IMAGES, "y": LABELS}, "must hold x_test and y_test, but holds x, y"),
        ({"x_test": IMAGES}, "lacks y_test; it holds x_test"),
        ({"x_train": IMAGES, "y_train": LABELS}, "lacks x_test and y_test; it holds x_train, y_tr"),
        ({"x_test": IMAGES, "y_test": LABELS, "x_train": IMAGES}, "lacks y_train"),
        ({"x_test": IMAGES, "y_test": LABELS[:5]}, "6 samples but 5 labels"),
        ({"x_test": IMAGES.astype(np.int64), "y_test": LABELS}, "dtype int64: must be uint8"),
        ({"x_test": IMAGES.astype(bool), "y_test": LABELS}, "dtype bool: must be uint8"),
        ({"x_test": IMAGES.astype(np.float32), "y_test": LABELS}, "values from 0 to 255"),
        ({"x_test": FLAT - 1, "y_test": LABELS}, "values from -1 to -1"),
        ({"x_test": FLAT * np.nan, "y_test": LABELS}, "holds NaN"),
        ({"x_test": FLAT[:, 0], "y_test": LABELS}, r"has shape \(6,\): must be \(N, C, H, W\)"),
        ({"x_test": FLAT[:, None, None, None], "y_test": LABELS}, r"shape \(6, 1, 1, 1, 3\)"),
        ({"x_test": FLAT[:, :0], "y_test": LABELS}, "a sample must not be empty"),
        ({"x_test": IMAGES[:0], "y_test": LABELS[:0]}, "x_test is empty"),
        ({"x_test": IMAGES, "y_test": LABELS - 1}, "labels from -1 to 1"),
        ({"x_test": IMAGES, "y_test": LABELS + 0.5}, "dtype float64: labels must be whole"),
        ({"x_test": IMAGES, "y_test": np.eye(6)}, r"one-hot rows take argmax\(1\)"),
        ({"x_test": IMAGES, "y_test": np.zeros((6, 1, 1))}, r"shape \(6, 1, 1\): must be \(N,\)"),
        ({"x_test": IMAGES, "y_test": np.full(6, 2**40)}, "must count from 0"),
    ],
)
def test_arrays_that_do_not_fit(saved: Save, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(BadData, match=message):
        load_data(saved(**arrays))


def test_tensors_in_a_file_are_told_how_to_become_one(tmp_path: Path) -> None:
    (tmp_path / "test.pt").touch()
    with pytest.raises(Invalid, match=r"an .npz file, .*; numpy.savez\("):
        load_data(tmp_path / "test.pt")


def test_a_missing_archive() -> None:
    with pytest.raises(BadData, match=r"nowhere.npz: no such file"):
        load_data("/nowhere.npz")


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_objects_are_refused_and_never_run(saved: Save, tmp_path: Path) -> None:
    path = saved(x_test=np.array([Trap(tmp_path / "sprung")], dtype=object), y_test=LABELS[:1])
    with pytest.raises(BadData, match=r"holds pickled Python objects.*np.savez"):
        load_data(path)
    assert not (tmp_path / "sprung").exists()


def test_a_bare_pickle_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([Trap(tmp_path / "sprung")], dtype=object))
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(BadData, match="holds pickled Python objects"):
        load_data(tmp_path / "a.npz")
    assert not (tmp_path / "sprung").exists()


def test_a_single_array_is_not_an_archive(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", IMAGES)
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(BadData, match="one array, not an archive"):
        load_data(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04rubbish"])
def test_what_is_no_archive_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(BadData, match=r"a\.npz: "):
        load_data(tmp_path / "a.npz")


def test_an_array_that_claims_to_be_enormous(tmp_path: Path) -> None:
    header = io.BytesIO()
    claim = {"descr": "|u1", "fortran_order": False, "shape": (10**15, 28, 28)}
    np.lib.format.write_array_header_1_0(header, claim)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x_test.npy", header.getvalue())
        archive.writestr("y_test.npy", header.getvalue())
    with pytest.raises(BadData, match=r"beyond this machine's memory|truncated or corrupt"):
        load_data(tmp_path / "a.npz")


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("npz") / "a.npz"
    np.savez_compressed(path, x_test=IMAGES, y_test=LABELS)
    return path.read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cut=st.floats(0, 1), flip=st.none() | st.floats(0, 1))
def test_damage_anywhere_is_bad_data_or_harmless(
    intact: bytes, tmp_path_factory: pytest.TempPathFactory, cut: float, flip: float | None
) -> None:
    content = bytearray(intact)
    if flip is None:
        content = content[: int(cut * (len(content) - 1))]
    else:
        content[int(flip * (len(content) - 1))] ^= 0x5A
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(content)
    with contextlib.suppress(BadData):  # every other exception fails the test
        data = load_data(path)
        assert flip is not None  # a byte that carries nothing, such as a time stamp
        assert data.shape == (3, 5, 4)
