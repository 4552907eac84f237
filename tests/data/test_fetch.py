"""Downloads from a loopback server: intact, altered, truncated, endless, absent; a full disk."""

import errno
import gzip
import hashlib
import http.server
import io
import os
import struct
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from saddlepoint.core.errors import BadData
from saddlepoint.data import DATASETS, fetch, load_data, status
from saddlepoint.data.cifar import read_cifar10
from saddlepoint.data.download import RemoteFile, download
from saddlepoint.data.idx import read_idx

BODY = bytes(range(256)) * 40


class Served:
    """Bodies by path, and the requests that came."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.bodies: dict[str, bytes] = {}
        self.declared: dict[str, int] = {}  # a Content-Length that differs from the truth
        self.requests: list[str] = []

    def file(self, *names: str, content: bytes = BODY) -> RemoteFile:
        urls = tuple(self.address + name for name in names)
        return RemoteFile("file.bin", hashlib.sha256(content).hexdigest(), len(content), urls)


@pytest.fixture(scope="module")
def running() -> Iterator[Served]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path[1:]
            served.requests.append(name)
            if name not in served.bodies:
                self.send_error(404)
                return
            body = served.bodies[name]
            self.send_response(200)
            self.send_header("Content-Length", str(served.declared.get(name, len(body))))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Stay quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Served(f"http://127.0.0.1:{server.server_port}/")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def server(running: Served) -> Served:
    running.bodies, running.declared, running.requests = {"good": BODY}, {}, []
    return running


def test_a_good_file_arrives_whole_and_is_counted(server: Served, tmp_path: Path) -> None:
    arrived: list[int] = []
    path = download(server.file("good"), tmp_path / "new", arrived.append)
    assert path.read_bytes() == BODY
    assert sum(arrived) == len(BODY)
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


def test_an_altered_file_is_refused_and_removed(server: Served, tmp_path: Path) -> None:
    server.bodies["bad"] = BODY[:-1] + b"x"
    with pytest.raises(BadData, match=r"sha256 is [0-9a-f]{64}, expected [0-9a-f]{64}"):
        download(server.file("bad"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_next_address_is_tried(server: Served, tmp_path: Path) -> None:
    server.bodies["bad"] = b"x" * len(BODY)
    assert download(server.file("gone", "bad", "good"), tmp_path).read_bytes() == BODY
    assert server.requests == ["gone", "bad", "good"]


@pytest.mark.parametrize("declared", [len(BODY) - 9, len(BODY)])
def test_a_truncated_file_is_refused(server: Served, tmp_path: Path, declared: int) -> None:
    server.bodies["short"], server.declared["short"] = BODY[:-9], declared
    with pytest.raises(BadData, match=r"ended after 10231 of 10240 bytes|IncompleteRead"):
        download(server.file("short"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_endless_file_is_cut_off(server: Served, tmp_path: Path) -> None:
    server.bodies["long"] = BODY * 9
    with pytest.raises(BadData, match="more than the expected 10240 bytes"):
        download(server.file("long"), tmp_path)


def test_every_failure_is_listed(server: Served, tmp_path: Path) -> None:
    file = replace(server.file("gone"), urls=(server.address + "gone", "file:///etc/hostname"))
    with pytest.raises(BadData, match="404") as caught:
        download(file, tmp_path)
    assert "file:///etc/hostname: only http and https" in str(caught.value)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    class Full(io.FileIO):
        def write(self, _: object) -> int:
            raise OSError(code, "No space left on device")

    opened = Path.open

    def open_full(path: Path, mode: str = "r") -> IO[bytes] | Full:
        return Full(path, "w") if path.suffix == ".part" else opened(path, mode)

    monkeypatch.setattr(Path, "open", open_full)
    with pytest.raises(BadData, match=r"no space left in .*the unfinished file was removed"):
        download(server.file("good", "good"), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert server.requests == ["good"]  # another address would not help


def test_a_cache_that_cannot_be_written(server: Served, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadData, match=r"cannot be written to .*XDG_CACHE_HOME"):
        download(server.file("good"), tmp_path / "file")


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return gzip.compress(header + array.tobytes(), 1, mtime=0)


def test_idx_holds_what_was_written(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a.gz").write_bytes(idx(array))
    assert np.array_equal(read_idx(tmp_path / "a.gz", (2, 3, 4)), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "truncated or corrupt"),
        (idx(np.zeros((2, 3), np.uint8))[:-12], "truncated or corrupt"),
        (idx(np.zeros((3, 2), np.uint8)), r"not an IDX file of bytes with shape \(2, 3\)"),
        (
            gzip.compress(struct.pack(">HBBII", 0, 8, 2, 2, 3) + b"12345", mtime=0),
            "expected 18 bytes",
        ),
        (gzip.compress(struct.pack(">HBBII", 0, 8, 2, 2, 3) + b"1" * 9999, mtime=0), "found more"),
    ],
)
def test_idx_that_is_damaged(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(BadData, match=message):
        read_idx(tmp_path / "a.gz", (2, 3))


def test_mnist_is_downloaded_once_and_then_cached(
    server: Served, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.arange(60_000, dtype=np.uint8) % 10
    images = np.zeros((60_000, 28, 28), dtype=np.uint8)
    images[:, 0, 0] = labels
    contents = [idx(a) for a in (images, labels, images[:10_000], labels[:10_000])]
    known = DATASETS["mnist"]
    files = []
    for file, content in zip(known.files, contents, strict=True):
        server.bodies[file.name] = content
        urls = (f"{server.address}{file.name}",)
        files.append(RemoteFile(file.name, hashlib.sha256(content).hexdigest(), len(content), urls))
    monkeypatch.setitem(DATASETS, "mnist", replace(known, files=tuple(files)))

    assert not status("mnist").ready
    data = load_data("MNIST", progress=False)
    assert data.shape == (1, 28, 28)
    assert data.split("train").batch([3])[0].max() == np.float32(3) / np.float32(255)
    assert status("mnist").where == cache / "mnist"
    assert len(fetch("mnist")) == 4
    assert len(server.requests) == 4

    damaged = cache / "mnist" / files[1].name
    damaged.write_bytes(contents[3])
    with pytest.raises(BadData, match=r"train-labels.*was altered or is incomplete"):
        load_data("mnist")


def test_an_interrupted_fetch_goes_on_with_what_is_missing(
    server: Served, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = DATASETS["mnist"]
    (cache / "mnist").mkdir(parents=True)
    (cache / "mnist" / known.files[0].name).write_bytes(b"here already")
    files = tuple(replace(server.file("good"), name=file.name) for file in known.files)
    monkeypatch.setitem(DATASETS, "mnist", replace(known, files=files))
    assert len(fetch("mnist", progress=True)) == 4
    assert len(server.requests) == 3


def test_offline_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = DATASETS["cifar10"]
    nowhere = "http://127.0.0.1:9/cifar.tar.gz"  # nobody listens on the discard port
    monkeypatch.setitem(
        DATASETS, "cifar10", replace(known, files=(replace(known.files[0], urls=(nowhere,)),))
    )
    monkeypatch.setenv("SADDLEPOINT_DATA", str(tmp_path))
    with pytest.raises(BadData, match="could not be downloaded") as caught:
        load_data("cifar10", progress=False)
    for part in (nowhere, "refused", str(tmp_path), "cifar10.npz", "set SADDLEPOINT_DATA to it"):
        assert part in str(caught.value)


def tarball(path: Path, names: list[str], size: int = 2 * 3073) -> Path:
    rng = np.random.default_rng(0)
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = size
            archive.addfile(info, io.BytesIO(rng.integers(0, 10, size, dtype=np.uint8).tobytes()))
    return path


BATCHES = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]


def test_the_binary_version_of_cifar(tmp_path: Path) -> None:
    path = tarball(tmp_path / "c.tar.gz", [*reversed(BATCHES), "readme.html"])
    x_train, y_train, x_test, y_test = read_cifar10(path, per_file=2)
    assert x_train.shape == (10, 3, 32, 32)
    assert y_train.shape == (10,)
    content = np.random.default_rng(0).integers(0, 10, 2 * 3073, dtype=np.uint8)
    assert y_test.tolist() == [content[0], content[3073]]  # test_batch was written first
    assert np.array_equal(x_test[1].ravel(), content[3074:])


def test_cifar_tarballs_that_are_wrong(tmp_path: Path) -> None:
    path = tmp_path / "c.tar.gz"
    with pytest.raises(BadData, match=r"lacks test_batch.bin: not the binary version"):
        read_cifar10(tarball(path, BATCHES[:5]), per_file=2)
    with pytest.raises(BadData, match=r"data_batch_1.bin has 6146 bytes, expected 9219"):
        read_cifar10(path, per_file=3)
    path.write_bytes(path.read_bytes()[: os.path.getsize(path) // 2])
    with pytest.raises(BadData, match="truncated or corrupt"):
        read_cifar10(path, per_file=2)
    path.write_bytes(b"hello")
    with pytest.raises(BadData, match="truncated or corrupt"):
        read_cifar10(path, per_file=2)
