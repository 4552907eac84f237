"""The data sets known by name: where they come from, what they must contain, on what terms."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from saddlepoint.data.cifar import read_cifar10
from saddlepoint.data.download import RemoteFile
from saddlepoint.data.idx import read_idx

__all__ = ["DATASETS", "Arrays", "KnownSet"]

Arrays = tuple[NDArray[Any], ...]  # x_train, y_train, x_test, y_test


@dataclass(frozen=True)
class KnownSet:
    """A data set known by name.

    ``files`` are the official ones (none: it ships with a package) and ``read`` turns their paths
    into x_train, y_train, x_test, y_test. ``content`` holds ``Split.sha256()`` of the training and
    the test half in their official order, where that is recorded. ``shape`` is one sample's;
    ``label_names`` has a name for each class, ``n_train`` and ``n_test`` count samples, ``source``
    says who made it, and ``terms`` are those of its use.
    """

    name: str
    shape: tuple[int, ...]
    label_names: tuple[str, ...]
    n_train: int
    n_test: int
    source: str
    terms: str
    files: tuple[RemoteFile, ...] = ()
    read: Callable[[Sequence[Path]], Arrays] | None = None
    content: tuple[str, str] | None = None

    @property
    def classes(self) -> int:
        """Return the number of classes."""
        return len(self.label_names)


def _mnist_file(name: str, size: int, sha256: str) -> RemoteFile:
    hosts = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    return RemoteFile(name, sha256, size, tuple(host + name for host in hosts))


def _read_mnist(paths: Sequence[Path]) -> Arrays:
    shapes = ((60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,))
    x_train, y_train, x_test, y_test = map(read_idx, paths, shapes)
    return x_train[:, None], y_train, x_test[:, None], y_test


_DIGITS = KnownSet(
    name="digits",
    shape=(1, 8, 8),
    label_names=tuple("0123456789"),
    n_train=1_297,
    n_test=500,
    source="ships with scikit-learn",
    terms="UCI optical recognition of handwritten digits, CC BY 4.0",
)
_MNIST = KnownSet(
    name="mnist",
    shape=(1, 28, 28),
    label_names=tuple("0123456789"),
    n_train=60_000,
    n_test=10_000,
    source="official IDX files, 12 MB",
    terms="LeCun, Cortes and Burges; commonly given as CC BY-SA 3.0",
    files=(
        _mnist_file(
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        _mnist_file(
            "train-labels-idx1-ubyte.gz",
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        _mnist_file(
            "t10k-images-idx3-ubyte.gz",
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        _mnist_file(
            "t10k-labels-idx1-ubyte.gz",
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    read=_read_mnist,
    content=(
        "39a6679b12119c48e765e9f0d93147d412ccb0b5e78319d027e06322c28365d8",
        "65d252e01c29855413b90d281245adae1b9c0db2b01f0aa2a063ac2d713784a5",
    ),
)
_CIFAR10 = KnownSet(
    name="cifar10",
    shape=(3, 32, 32),
    label_names=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    n_train=50_000,
    n_test=10_000,
    source="official binary version, 170 MB",
    terms="Krizhevsky 2009, no licence stated: cite the technical report",
    files=(
        RemoteFile(
            "cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            170_052_171,
            ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
        ),
    ),
    read=lambda paths: read_cifar10(paths[0]),
)

DATASETS: dict[str, KnownSet] = {known.name: known for known in (_DIGITS, _MNIST, _CIFAR10)}
"""Known data sets by the names that ``load_data`` and ``--data`` take."""
