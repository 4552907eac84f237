"""Files of weights that are damaged, or that would run code if they were believed."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from saddlepoint.core.errors import BadData
from saddlepoint.models import load_model

SHAPE = (1, 8, 8)


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt"])
@pytest.mark.parametrize("form", ["pickle", "torch", "state"])
def test_code_in_a_file_is_refused_and_never_run(tmp_path: Path, suffix: str, form: str) -> None:
    path, sprung = tmp_path / f"net{suffix}", tmp_path / "sprung"
    trap: Any = {"state_dict": {"w": torch.zeros(1)}, "x": Trap(sprung)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(trap))
    else:
        torch.save(trap if form == "state" else Trap(sprung), path)
    with pytest.raises(BadData, match=r"Such a file can run any code when it is opened") as caught:
        load_model(path, "conv-small")
    assert 'save_file(model.state_dict(), "model.safetensors")' in str(caught.value)
    assert not sprung.exists()


def test_a_plain_pickle_is_not_even_opened(tmp_path: Path) -> None:
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with pytest.raises(BadData, match=r"net.pkl: a pickle, not weights alone\. Such a file"):
        load_model(tmp_path / "net.pkl", "mlp")
    assert not (tmp_path / "sprung").exists()


def test_a_pickled_module_is_refused_by_name(tmp_path: Path, original: nn.Module) -> None:
    torch.save(original, tmp_path / "net.pt")
    with pytest.raises(BadData, match=r"pickled object \(torch.nn.modules.container.Sequential\)"):
        load_model(tmp_path / "net.pt", "conv-small")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_program_is_refused(tmp_path: Path, original: nn.Module) -> None:
    torch.jit.trace(original, torch.rand(1, *SHAPE)).save(str(tmp_path / "net.pt"))  # type: ignore[no-untyped-call]
    with pytest.raises(BadData, match=r"a TorchScript program, not weights"):
        load_model(tmp_path / "net.pt", "conv-small")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize(
    "content", [b"hello, this is no model", bytes(64), b"PK\x03\x04" + bytes(90)]
)
def test_what_is_not_a_model(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"net{suffix}").write_bytes(content)
    with pytest.raises(BadData, match=r"truncated, corrupt, or not"):
        load_model(tmp_path / f"net{suffix}", "conv-small")


@pytest.mark.parametrize("share", [0.001, 0.3, 0.9, 0.999])
def test_truncated_files(weights: Path, original: nn.Module, share: float) -> None:
    torch.save(original.state_dict(), weights.with_suffix(".pt"))
    for path in (weights, weights.with_suffix(".pt")):
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size) + 1])
        with pytest.raises(BadData, match=r"truncated, corrupt, or not"):
            load_model(path, "conv-small", SHAPE, 5)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_an_empty_file(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"net{suffix}").touch()
    with pytest.raises(BadData, match=r"is empty: the copy or download did not finish"):
        load_model(tmp_path / f"net{suffix}", "conv-small")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list, not a state dict"),
        ({"epoch": 3, "lr": 0.1}, "no state dict in it; it holds epoch, lr; looked for tensors"),
        ({}, "no state dict in it; it holds nothing"),
        ({"model": {"w": 3}}, "it holds model"),
    ],
)
def test_checkpoints_without_weights(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "net.pt")
    with pytest.raises(BadData, match=message):
        load_model(tmp_path / "net.pt", "conv-small")


def test_a_safetensors_file_without_tensors(tmp_path: Path) -> None:
    save_file({}, tmp_path / "a.safetensors")
    with pytest.raises(BadData, match="holds no tensors"):
        load_model(tmp_path / "a.safetensors", "mlp")
