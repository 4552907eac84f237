"""TensorFloat-32 is off inside, and as the caller had it outside, whichever names he used."""

import contextlib
from collections.abc import Iterator

import pytest
import torch
from torch import backends, nn

from saddlepoint.core import door
from saddlepoint.core.door import Door
from saddlepoint.core.tf32 import without_tf32

pytestmark = pytest.mark.skipif(
    not hasattr(backends.cudnn, "conv"), reason="torch 2.9 gave each operator a flag"
)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    parts = (backends.cudnn.conv, backends.cudnn.rnn)
    before = [p.fp32_precision for p in parts]
    yield
    for part, was in zip(parts, before, strict=True):
        part.fp32_precision = was


def flags() -> list[str]:
    return [backends.cudnn.conv.fp32_precision, backends.cudnn.rnn.fp32_precision]


def test_it_is_off_inside_and_back_after_an_error() -> None:
    backends.cudnn.allow_tf32 = True
    before = flags()
    with without_tf32():
        assert not backends.cudnn.allow_tf32
    assert flags() == before
    with pytest.raises(KeyError), without_tf32():
        raise KeyError
    assert flags() == before
    assert backends.cudnn.allow_tf32


def test_flags_that_were_set_apart_are_no_error_and_stay_apart() -> None:
    backends.cudnn.conv.fp32_precision, backends.cudnn.rnn.fp32_precision = "tf32", "ieee"
    before = flags()
    with without_tf32():
        assert flags()[0] == "ieee"
    assert flags() == before


def test_questions_are_asked_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    entered = []

    @contextlib.contextmanager
    def noted() -> Iterator[None]:
        entered.append("in")
        yield
        entered.append("out")

    monkeypatch.setattr(door, "without_tf32", noted)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with Door(lambda x: x):
        assert entered == ["in"]
    assert entered == ["in", "out"]


def test_a_model_on_the_cpu_leaves_the_flags_alone() -> None:
    before = flags()
    with Door(nn.Linear(2, 2)):
        assert flags() == before
