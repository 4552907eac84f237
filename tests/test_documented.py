"""The reference has every public name; its gate finds what it should."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts import docs_coverage
from scripts.docs_coverage import REFERENCE, faults, resolve, same_everywhere, shown


def test_every_public_name_is_shown_once_and_explained() -> None:
    assert faults() == []


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for page in REFERENCE.glob("*.md"):
        (tmp_path / page.name).write_text(page.read_text())
    return tmp_path


def changed(folder: Path, page: str, old: str, new: str) -> list[str]:
    text = (folder / page).read_text()
    assert old in text
    (folder / page).write_text(text.replace(old, new))
    return faults(folder)


def test_what_no_page_shows_is_found(copy: Path) -> None:
    found = changed(copy, "attacks.md", "::: saddlepoint.attacks\n", "")
    assert "saddlepoint.attacks.PGD: on no page of docs/reference" in found
    assert "saddlepoint.PGD: on no page of docs/reference" in found


def test_what_two_pages_show_is_found(copy: Path) -> None:
    again = "::: saddlepoint.train\n\n::: saddlepoint.core.search.Found\n"
    found = changed(copy, "train.md", "::: saddlepoint.train\n", again)
    assert found == ["saddlepoint.core.search.Found: shown twice in docs/reference"]


def test_what_the_table_no_longer_explains_is_found(copy: Path) -> None:
    found = changed(copy, "api.md", "| `seed` |", "| sown |")
    assert "saddlepoint.core.search.search: its docstring does not say what seed is" in found
    assert "seed" in same_everywhere() - same_everywhere(copy)


@dataclass(frozen=True)
class Silent:
    eps: float


@dataclass(frozen=True)
class Terse:
    """Adversary."""


def takes(x: int, budget: int) -> int:
    """Return what it takes. x: a number."""
    return x + budget


def test_docstrings_that_say_nothing_are_found() -> None:
    for target in (Silent, Terse):
        (found,) = docs_coverage.unexplained("it", target, set())
        assert found == "it: its docstring has no sentence"
    assert docs_coverage.unexplained("it", takes, {"budget"}) == []
    (found,) = docs_coverage.unexplained("it", takes, set())
    assert found == "it: its docstring does not say what budget is"


def test_a_function_may_bear_the_name_of_a_module() -> None:
    assert resolve("saddlepoint.audit.curve").__name__ == "curve"
    assert resolve("saddlepoint.audit").__name__ == "saddlepoint.audit"
    names = [name for page in shown().values() for name in page]
    assert len(names) == len(set(names))
