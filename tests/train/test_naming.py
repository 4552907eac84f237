"""Custom parts of a plan are named alike in every process, and apart from each other."""

import functools
import runpy
import subprocess
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from saddlepoint.core.errors import Invalid
from saddlepoint.core.origin import code_of
from saddlepoint.train import train
from saddlepoint.train.naming import name_of
from saddlepoint.train.worst import Worst
from tests.train.kit import Digits, MakeNet, MakePlan

Objective: TypeAlias = Callable[[nn.Module, Tensor, Tensor, Worst], Tensor]


class Half:
    def __init__(self, share: float) -> None:
        self.share = share


def test_names_hold_no_address_and_tell_parts_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = (
        "import functools; from saddlepoint.train.naming import name_of\n"
        "class Half: pass\n"
        "h = Half(); h.share = 0.5\n"
        "print(name_of(lambda x: x + 1), name_of(functools.partial(max, key=abs)), name_of(h))"
    )
    (tmp_path / "parts.py").write_text(code)
    words = [sys.executable, str(tmp_path / "parts.py")]
    there = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    runpy.run_path(words[1], run_name="__main__")
    assert there == capsys.readouterr().out
    assert "0x" not in there
    assert name_of(lambda x: x + 1) != name_of(lambda x: x + 2)
    assert name_of(functools.partial(max, 1)) != name_of(functools.partial(max, 2))
    assert name_of(Half(0.5)) != name_of(Half(0.25))
    assert name_of(Half(0.5)) == name_of(Half(0.5))


def scaled(by: float) -> Objective:
    def loss(model: nn.Module, x: Tensor, y: Tensor, worst: Worst) -> Tensor:
        return by * cross_entropy(model(worst(model, x, y)), y)

    return loss


def test_closures_and_defaults_tell_functions_apart() -> None:
    assert name_of(scaled(1.0)) == name_of(scaled(1.0))
    assert name_of(scaled(1.0)) != name_of(scaled(2.0))
    assert name_of(lambda x, b=1: x) != name_of(lambda x, b=2: x)


def objective_in(path: Path, body: str) -> Objective:
    """As a new process would import it after an edit."""
    text = "from torch.nn.functional import cross_entropy as ce\n\ndef own(model, x, y, worst):\n"
    path.write_text(text + f"    return {body}\n")
    spec = spec_from_file_location("own_objective", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.own  # type: ignore[no-any-return]


def test_a_run_of_an_objective_that_was_edited_is_not_continued(
    plan: MakePlan, net: MakeNet, digits: Digits, tmp_path: Path
) -> None:
    x, y, *_ = digits
    file, out = tmp_path / "own_objective.py", tmp_path / "run"
    first = plan(loss=objective_in(file, "ce(model(worst(model, x, y)), y)"), epochs=1)
    train(first, net(), x, y, out, progress=False)
    assert "own_objective:own" in first.describe()["code"]
    edited = plan(loss=objective_in(file, "2 * ce(model(x), y)"), epochs=1)
    with pytest.raises(Invalid, match="run"):
        train(edited, net(), x, y, out, progress=False)


def test_functions_of_a_console_are_told_apart_by_their_code() -> None:
    spaces: list[dict[str, Any]] = [{"__name__": "console"}, {"__name__": "console"}]
    for space, number in zip(spaces, (1, 2), strict=True):
        exec(f"def loss(model, x, y, worst): return {number}", space)  # noqa: S102
    one, other = (code_of(space["loss"]) for space in spaces)
    assert one.keys() == other.keys() == {"console:loss"}
    assert one != other
