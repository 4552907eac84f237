"""The reference has every public name; its gate finds what it should.

In a process of its own: doctests of modules put these in the place of functions of the same name.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from scripts.docs_coverage import REFERENCE, unexplained

ROOT = Path(__file__).parents[1]
CHANGES = {  # page, what stands there, what is put in its place
    "unseen": ("attacks.md", "::: saddlepoint.attacks\n", ""),
    "twice": ("train.md", "# Training\n", "# Training\n\n::: saddlepoint.core.found.Found\n"),
    "unexplained": ("api.md", "| `seed` |", "| sown |"),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What the gate says of the reference, and of copies in which something is wrong."""
    folders = {"as it is": REFERENCE}
    for name, (page, old, new) in CHANGES.items():
        folders[name] = tmp_path_factory.mktemp(name)
        for path in REFERENCE.glob("*.md"):
            text = path.read_text()
            if path.name == page:
                assert old in text
                text = text.replace(old, new)
            (folders[name] / path.name).write_text(text)
    script = "import json, sys; from scripts.docs_coverage import faults, Path\n"
    script += "print(json.dumps([faults(Path(folder)) for folder in sys.argv[1:]]))"
    command = [sys.executable, "-c", script, *map(str, folders.values())]
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return dict(zip(folders, json.loads(done.stdout), strict=True))


@pytest.mark.slow  # starts Python anew; make docs asks the same
def test_every_public_name_is_shown_once_and_explained(found: dict[str, list[str]]) -> None:
    assert found["as it is"] == []


@pytest.mark.slow
def test_what_no_page_shows_is_found(found: dict[str, list[str]]) -> None:
    assert "saddlepoint.attacks.PGD: on no page of docs/reference" in found["unseen"]
    assert "saddlepoint.PGD: on no page of docs/reference" in found["unseen"]


@pytest.mark.slow
def test_what_two_pages_show_is_found(found: dict[str, list[str]]) -> None:
    assert found["twice"] == ["saddlepoint.core.found.Found: shown twice in docs/reference"]


@pytest.mark.slow
def test_what_the_table_no_longer_explains_is_found(found: dict[str, list[str]]) -> None:
    said = "saddlepoint.core.search.search: its docstring does not say what seed is"
    assert said in found["unexplained"]


@dataclass(frozen=True)
class Silent:
    eps: float


@dataclass(frozen=True)
class Terse:
    """Adversary."""


class Plain:
    """It runs something. x: a number."""

    def __init__(self, x: int, budget: int = 3) -> None:
        self.x = x + budget


class Sealed(Protocol):
    """It has a verb, and nobody makes one."""

    def verb(self) -> None: ...


def takes(x: int, budget: int) -> int:
    """Return what it takes. x: a number."""
    return x + budget


def test_docstrings_that_say_nothing_are_found() -> None:
    for target in (Silent, Terse):
        assert unexplained("it", target, set()) == ["it: its docstring has no sentence"]
    assert unexplained("it", takes, {"budget"}) == []
    missing = ["it: its docstring does not say what budget is"]
    assert unexplained("it", Plain, set()) == missing
    assert unexplained("it", Plain, {"budget"}) == []
    assert unexplained("it", Sealed, set()) == []
    assert unexplained("it", takes, set()) == missing
