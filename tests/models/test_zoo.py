"""Models of RobustBench's zoo by name: what they become, and what is not read."""

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import zoo
from torch import nn

import saddlepoint as sp
from saddlepoint.core.errors import BadData, Invalid, Missing

NAME = "Small2026_WRN-28-10"
SPEC = f"robustbench:cifar10/Linf/{NAME}"


class Trap:
    """Unpickled, it leaves a file behind."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("sprung",))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put the stand-in where it can be imported; return the folder of its checkpoints."""
    monkeypatch.syspath_prepend(str(zoo.write_package(tmp_path / "site")))
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "models/cifar10/Linf"
    for name in [n for n in sys.modules if n.split(".")[0] == "robustbench"]:
        del sys.modules[name]


def checkpoint(folder: Path, **more: object) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(48, 10))
    folder.mkdir(parents=True)
    torch.save({"state_dict": net.state_dict(), **more}, folder / f"{NAME}.pt")
    return net


def test_a_name_becomes_a_model_in_evaluation_mode(package: Path) -> None:
    net = checkpoint(package)
    loaded = sp.load_model(SPEC, shape=(3, 32, 32), classes=10)
    x = torch.rand(3, 3, 32, 32)
    assert torch.equal(loaded.model(x), net(x))
    assert isinstance(loaded.model, nn.Module)
    assert not loaded.model.training
    assert (loaded.arch, loaded.name) == ("robustbench", f"cifar10/Linf/{NAME}")
    assert (loaded.shape, loaded.classes, loaded.access) == ((3, 32, 32), 10, "gradients")
    assert len(loaded.sha256) == 64


def test_a_checkpoint_cannot_run_code_though_the_package_lets_it(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint(package, trap=Trap())
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(BadData, match="holds more than tensors"):
        sp.load_model(SPEC)
    assert not Path("sprung").exists()
    assert os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] == "1"
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
    torch.load(package / f"{NAME}.pt", weights_only=False)  # the trap works
    assert Path("sprung").exists()


def test_what_cannot_be_is_said_in_words(package: Path) -> None:
    with pytest.raises(Invalid, match=f"did you mean {NAME}"):
        sp.load_model("robustbench:cifar10/Linf/Small2026")
    with pytest.raises(Invalid, match="robustbench:DATASET/THREAT/NAME"):
        sp.load_model("robustbench:Carmon2019Unlabeled")
    with pytest.raises(Invalid, match="did you mean Linf"):
        sp.load_model("robustbench:cifar10/linf/X")
    with pytest.raises(BadData, match="ConnectionError: no network"):
        sp.load_model("robustbench:cifar10/Linf/Absent2026")
    with pytest.raises(Invalid, match="arch"):
        sp.load_model(SPEC, arch="resnet9")
    checkpoint(package)
    with pytest.raises(BadData, match="10, but the data has 7"):
        sp.load_model(SPEC, classes=7)


def test_without_the_package_the_install_line_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("robustbench") is None:
        with pytest.raises(Missing, match="robustbench is not installed: pip install robustbench"):
            sp.load_model(SPEC)
    broken = zoo.write_package(tmp_path / "site")
    (broken / "robustbench/__init__.py").write_text("import no_such_torchvision\n")
    monkeypatch.syspath_prepend(str(broken))
    monkeypatch.delitem(sys.modules, "robustbench", raising=False)
    with pytest.raises(Missing, match=r"no_such_torchvision.*pip install robustbench"):
        sp.load_model(SPEC)
