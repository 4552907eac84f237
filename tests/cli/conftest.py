"""A net, and audits of one, that the tests of several verbs share."""

from pathlib import Path

import pytest
from safetensors.torch import save_file

from tests.audit.conftest import fitted
from tests.cli.kit import run

LINEAR = ("--model", "tests.cli.nets:linear", "--device", "cpu", "--figures", 0)
WORDS = (*LINEAR, "--n", 60, "--attack", "PGD(steps=5)")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same net within a small and a large radius, and the small one on fewer samples."""
    folder = tmp_path_factory.mktemp("runs")
    for name, eps, n in (("small", 0.02, 60), ("large", 0.08, 60), ("fewer", 0.02, 30)):
        words = (*WORDS, "--threat", f"Linf(eps={eps})", "--n", n, "--out", folder / name)
        run("audit", *words)
    return {p.name: p for p in folder.iterdir()}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear net of the digits, for ``--arch tests.cli.nets:linear``."""
    path = tmp_path_factory.mktemp("model") / "linear.safetensors"
    save_file(fitted().model.state_dict(), path)
    return path
