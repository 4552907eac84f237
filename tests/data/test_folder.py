"""Folders of images: layouts, order, laziness, and every file that must not be used."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saddlepoint.core.errors import BadData
from saddlepoint.data import load_data


def put(path: Path, value: int = 0, mode: str = "RGB", size: tuple[int, int] = (5, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = (value, value + 1, value + 2) if mode == "RGB" else value
    Image.new(mode, size, colour).save(path)
    return path


def two_classes(root: Path, mode: str = "RGB") -> Path:
    for label, name in enumerate(("cat", "dog")):
        for i in range(4):
            put(root / name / f"{i}.png", 100 * label + i, mode)
    return root


def test_classes_directly_below_the_root_are_the_test_split(tmp_path: Path) -> None:
    data = load_data(two_classes(tmp_path / "pets"))
    assert (data.name, data.shape, len(data)) == ("pets", (3, 4, 5), 8)
    assert data.label_names == ("cat", "dog")
    x, y = data.split().batch(slice(None))
    assert np.array_equal((x[:, 0, 0, 0] * 255).round() >= 100, y == 1)
    assert np.array_equal((x[:, 2] - x[:, 0]).numpy().round(4), np.full((8, 4, 5), 0.0078, "f4"))
    assert y[:4].sum() == 2  # every beginning is balanced


def test_train_and_test_folders(tmp_path: Path) -> None:
    two_classes(tmp_path / "train", "L")
    put(tmp_path / "train" / "eel" / "0.png", 7, "L")
    two_classes(tmp_path / "test", "L")
    data = load_data(str(tmp_path))
    assert (data.shape, data.classes) == ((1, 4, 5), 3)
    assert len(data.split("train")) == 9
    assert data.split("train").batch([0])[0].shape == (1, 1, 4, 5)


def test_a_missing_train_folder_is_an_error_when_it_is_used(tmp_path: Path) -> None:
    two_classes(tmp_path / "test")
    with pytest.raises(BadData, match="no train samples"):
        load_data(tmp_path).split("train")


def test_the_hash_is_that_of_the_same_arrays(tmp_path: Path) -> None:
    data = load_data(two_classes(tmp_path / "a"))
    np.savez(tmp_path / "a.npz", x_test=data.x_test[:], y_test=data.y_test)
    assert load_data(tmp_path / "a.npz").split().sha256() == data.split().sha256()


def test_other_files_and_hidden_folders_are_left_alone(tmp_path: Path) -> None:
    two_classes(tmp_path)
    (tmp_path / "cat" / "notes.txt").write_text("hello")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "readme.md").write_text("hello")
    assert len(load_data(tmp_path)) == 8


def test_a_folder_without_classes(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"found 0 class folders, at least 2.*<class>/<image>\.png"):
        load_data(tmp_path)


def test_a_class_without_images(tmp_path: Path) -> None:
    (two_classes(tmp_path) / "eel").mkdir()
    with pytest.raises(BadData, match=r"eel: no images \(\.png"):
        load_data(tmp_path)


def test_a_test_class_that_was_not_trained(tmp_path: Path) -> None:
    two_classes(tmp_path / "train")
    two_classes(tmp_path / "test")
    put(tmp_path / "test" / "eel" / "0.png")
    with pytest.raises(BadData, match="test has classes that train has not: eel"):
        load_data(tmp_path)


def test_sizes_that_differ(tmp_path: Path) -> None:
    put(two_classes(tmp_path) / "cat" / "large.png", size=(6, 4))
    with pytest.raises(BadData, match="6x4 RGB") as caught:
        load_data(tmp_path)
    assert "5x4 RGB" in str(caught.value)
    assert "large.png" in str(caught.value)


def test_train_and_test_sizes_that_differ(tmp_path: Path) -> None:
    two_classes(tmp_path / "train", "L")
    two_classes(tmp_path / "test", "RGB")
    with pytest.raises(BadData, match=r"training samples have shape \(1, 4, 5\)"):
        load_data(tmp_path)


def test_grey_among_colour(tmp_path: Path) -> None:
    put(two_classes(tmp_path) / "dog" / "grey.png", mode="L")
    with pytest.raises(BadData, match="5x4 grey"):
        load_data(tmp_path)


@pytest.mark.parametrize("mode", ["P", "RGBA", "I;16", "1"])
def test_modes_without_a_plain_meaning(tmp_path: Path, mode: str) -> None:
    put(two_classes(tmp_path) / "dog" / "odd.png", mode=mode)
    with pytest.raises(BadData, match=rf"odd.png has mode {mode}: must be 8-bit grey"):
        load_data(tmp_path)


def test_what_is_not_an_image(tmp_path: Path) -> None:
    (two_classes(tmp_path) / "dog" / "z.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0")
    with pytest.raises(BadData, match=r"z.png: not a readable image"):
        load_data(tmp_path)


def test_an_image_cut_short_is_found_when_it_is_decoded(tmp_path: Path) -> None:
    path = two_classes(tmp_path) / "dog" / "3.png"
    path.write_bytes(path.read_bytes()[:-30])
    split = load_data(tmp_path).split()
    with pytest.raises(BadData, match=r"3\.png: not a readable image"):
        split.sha256()


def test_an_image_exchanged_while_in_use(tmp_path: Path) -> None:
    split = load_data(two_classes(tmp_path)).split()
    put(tmp_path / "dog" / "3.png", size=(9, 9))
    with pytest.raises(BadData, match="changed while it was in use"):
        split.batch(slice(None))


@pytest.mark.parametrize("side", [12_000, 60_000])
def test_a_decompression_bomb(tmp_path: Path, side: int) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    content = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )
    (two_classes(tmp_path, "L") / "dog" / "bomb.png").write_bytes(content)
    with pytest.raises(BadData, match=r"bomb\.png: too large to be decoded safely"):
        load_data(tmp_path)
