"""A small net and its file, for all tests of models; helpers importable in every import mode."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from saddlepoint.models import conv_small

if not (find_spec("onnx") and find_spec("onnxruntime")):
    collect_ignore_glob = ["graphs.py", "test_onnx_*.py"]  # the extra is not installed

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def original() -> nn.Module:
    torch.manual_seed(0)
    return conv_small((1, 8, 8), 5, width=3).eval()


@pytest.fixture
def weights(original: nn.Module, tmp_path: Path) -> Path:
    save_file(original.state_dict(), tmp_path / "net.safetensors")
    return tmp_path / "net.safetensors"
