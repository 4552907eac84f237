"""Data sets by name: the real ones where they are here, and forgeries of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.data import DATASETS, check, data_folder, fetch, load_data, status

SHARED = Path(__file__).parents[3] / "shared" / "data"
needs_mnist = pytest.mark.skipif(
    not (SHARED / "mnist.npz").is_file(), reason=f"{SHARED}/mnist.npz is not here"
)


HUNDRED_DIGITS = "54ec84fe76132eb755f9e987942983ffdb8de663db417bcbbafa5f32c178e6ec"


def test_digits_are_on_the_byte_grid_and_balanced() -> None:
    data = load_data("digits")
    assert (len(data.y_train), len(data), data.shape, data.classes) == (1297, 500, (1, 8, 8), 10)
    grid = np.rint(np.arange(17) * 255 / 16).astype(np.uint8)
    assert np.array_equal(np.unique(data.x_train[:]), grid)
    for n in (50, 100, 500):
        counts = np.bincount(data.y_test[:n], minlength=10)
        assert counts.min() >= 0.8 * n / 10
        assert counts.max() <= 1.2 * n / 10


def test_digits_halves_share_no_image_position_and_never_change() -> None:
    data = load_data("digits")
    assert check("digits").test_sha256 == data.split().sha256()
    assert data.split().sha256(100) == HUNDRED_DIGITS
    images = np.concatenate([data.x_train[:], data.x_test[:]]).reshape(1797, 64)
    assert len(np.unique(images, axis=0)) == 1797


@pytest.mark.parametrize("name", ["digit", "MINST", "cifar100"])
def test_an_unknown_name_gets_a_suggestion(name: str) -> None:
    guess = {"digit": "digits", "MINST": "mnist", "cifar100": "cifar10"}[name]
    with pytest.raises(Invalid, match=rf"an \.npz file, or a folder.*did you mean {guess}\?"):
        load_data(name)
    with pytest.raises(Invalid, match=f"did you mean {guess}"):
        status(name)


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no such file or folder"):
        load_data("some/where")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(Invalid, match=r"notes.txt.*must be a known data set, an \.npz file"):
        load_data(tmp_path / "notes.txt")
    with pytest.raises(Invalid, match="must be a known data set"):
        load_data(Path("cat-pictures"))


def test_a_data_folder_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_folder() is None
    monkeypatch.setenv("SADDLEPOINT_DATA", "/nowhere")
    with pytest.raises(Invalid, match="SADDLEPOINT_DATA = '/nowhere': must be an existing folder"):
        data_folder()
    assert load_data("digits").classes == 10  # needs no folder


def test_every_known_set_has_a_status(cache: Path) -> None:
    for name, known in DATASETS.items():
        found = status(name)
        assert (found.name, found.where, found.shape) == (name, None, known.shape)
        assert found.ready == (name == "digits")
        assert found.terms
    assert fetch("digits") == ()
    assert not cache.exists()


def test_a_file_of_ones_own_can_be_checked(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    np.savez(path, x_test=np.zeros((2, 5), dtype=np.uint8), y_test=[0, 1])
    found = check(str(path))
    assert (found.where, found.train_sha256) == (path, None)
    assert found.test_sha256 == load_data(path).split().sha256()


@needs_mnist
def test_the_official_mnist_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SADDLEPOINT_DATA", str(SHARED))
    found = check("mnist")
    assert found.where == SHARED / "mnist.npz" == status("mnist").where
    assert found.notes == ("content and order as published (sha256)",)
    assert (found.train_sha256, found.test_sha256) == DATASETS["mnist"].content
    assert load_data("mnist").y_test[:5].tolist() == [7, 2, 1, 0, 4]


@needs_mnist
def test_an_altered_mnist_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = dict(np.load(SHARED / "mnist.npz"))
    arrays["x_test"][17, 3, 3] ^= 1
    np.savez(tmp_path / "mnist.npz", **arrays)
    monkeypatch.setenv("SADDLEPOINT_DATA", str(tmp_path))
    with pytest.raises(BadData, match=r"the test split is not the official mnist: sha256 .*, reco"):
        check("mnist")
    with pytest.raises(BadData, match="to use it all the same, load it by its path"):
        load_data("mnist")
    assert len(load_data(tmp_path / "mnist.npz")) == 10_000


@pytest.fixture
def small_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CIFAR-10 of 600 images, as the true one is long to write; returns its folder."""
    known = replace(DATASETS["cifar10"], n_train=500, n_test=100)
    monkeypatch.setitem(DATASETS, "cifar10", known)
    monkeypatch.setenv("SADDLEPOINT_DATA", str(tmp_path))
    return tmp_path


def forge(folder: Path, relabelled: int = 0, side: int = 32) -> None:
    folder.mkdir(exist_ok=True)
    y = np.tile(np.arange(10, dtype=np.uint8), 60)
    y[:relabelled] = 1
    x = np.zeros((600, side, side, 3), dtype=np.uint8)
    halves = {"x_train": x[:500], "y_train": y[:500], "x_test": x[500:], "y_test": y[500:]}
    np.savez(folder / "cifar10.npz", **halves)


def test_cifar_in_nhwc_is_taken_and_its_order_left_unjudged(small_cifar: Path) -> None:
    forge(small_cifar / "cifar10")
    found = check("cifar10")
    assert found.shape == (3, 32, 32)
    assert found.notes == (
        "shapes and label counts (60 per class) as published",
        "order not checked",
    )
    assert status("cifar10").where == small_cifar / "cifar10" / "cifar10.npz"
    data = load_data("cifar10")
    assert data.label_names is not None
    assert data.label_names[9] == "truck"


def test_cifar_with_wrong_labels_or_shapes(small_cifar: Path) -> None:
    forge(small_cifar, relabelled=30)
    with pytest.raises(BadData, match=r"samples per class are .*, but cifar10 has 60 of each"):
        load_data("cifar10")
    forge(small_cifar, side=16)
    with pytest.raises(BadData, match=r"is \(500, 100, \(3, 16, 16\)\), but cifar10 has"):
        load_data("cifar10")


def test_the_true_cifar_has_60000_images() -> None:
    known = DATASETS["cifar10"]
    assert (known.n_train, known.n_test, known.classes) == (50_000, 10_000, 10)
