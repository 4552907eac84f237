"""Rules for the fences of the documentation, and for what is run otherwise than printed."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from saddlepoint.cli.audit_settings import AuditSettings
from saddlepoint.cli.options import Settings, settle
from saddlepoint.cli.train import TrainSettings
from saddlepoint.core.errors import Invalid

from .changes import ENDS, NEEDS, NOT_RUN, OWN, PEERS, SMALLER, without
from .fences import LANGUAGES, ROOT, commands, fences, pages, parsed


@pytest.mark.parametrize("page", pages())
def test_every_fence_names_its_language(page: str) -> None:
    assert not [f.where for f in fences(page) if f.language not in LANGUAGES]


@pytest.mark.parametrize("page", pages())
def test_what_is_data_can_be_read(page: str) -> None:
    readers = {"toml": tomllib.loads, "json": json.loads, "yaml": yaml.safe_load}
    for fence in fences(page):
        if fence.language in readers:
            readers[fence.language](fence.text)


@pytest.mark.parametrize("page", pages())
def test_plans_and_recipes_have_the_keys_of_one(page: str, tmp_path: Path) -> None:
    """Whether they are run as well: the ones that a fence saves are named by a command."""
    for fence in fences(page):
        if fence.language == "toml" and not {"url", "project"} & set(tomllib.loads(fence.text)):
            plan = tmp_path / "plan.toml"
            plan.write_text(fence.text)
            assert any(holds(kind, plan) for kind in (AuditSettings, TrainSettings)), fence.where


def holds(kind: type[Settings], plan: Path) -> bool:
    try:
        settle(kind, plan, {})
    except Invalid:
        return False
    return True


def test_no_substitution_is_stale_or_without_a_reason() -> None:
    for change in SMALLER:
        where = pages() if change.page == "*" else [change.page]
        assert any(change.printed in f.text for p in where for f in fences(p)), change
        assert change.printed != change.run, change
        assert change.why, change
    for line in NOT_RUN:
        texts = [f.text for f in fences(line.page)]
        assert any(without(text, line.line) != text for text in texts), line
        assert line.why, line
    for end in ENDS:
        assert any(end.part in f.text for f in fences(end.page)), end
        assert end.code, end
        assert end.why, end
    assert set(NEEDS) | set(OWN) <= set(pages())


@pytest.mark.parametrize("page", pages())
def test_a_page_that_takes_the_nets_of_the_demo_says_where_they_come_from(page: str) -> None:
    if any("demo/" in f.text for f in fences(page)):
        assert re.search(r"make demo|saddlepoint demo|demo\.md", (ROOT / page).read_text())


def test_a_title_is_a_file_or_a_peer() -> None:
    titles = {f.title for page in pages() for f in fences(page) if f.title}
    assert set(PEERS) <= titles
    assert all("." in title for title in titles - set(PEERS))


@pytest.mark.parametrize("page", OWN)
def test_a_page_left_to_a_test_of_its_own_is_read_there(page: str) -> None:
    assert page in (ROOT / "tests/docs" / OWN[page]).read_text()


def test_a_fence_is_found_where_it_is_printed() -> None:
    source = 'Words.\n\n- item\n\n  ```toml title="a.toml"\n  n = 1\n  ```\n\n```\nbare\n```\n'
    first, second = parsed("page.md", source)
    assert (first.where, first.title, first.text) == ("page.md:6", "a.toml", "n = 1\n")
    assert (second.language, second.text) == ("", "bare\n")
    with pytest.raises(AssertionError, match=r"page\.md:1: this fence is never closed"):
        parsed("page.md", "```python\n1 + 1\n")


def test_lines_are_joined_and_left_out_as_a_shell_reads_them() -> None:
    script = "pip install \\\n    this   # once\n  saddlepoint doctor\n"
    assert commands(script) == ["pip install this   # once", "saddlepoint doctor"]
    assert without(script, "pip install this") == "  saddlepoint doctor\n"
    assert without(script, "pip install") == script


def test_pages_are_found() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/index.md"} <= set(pages())
    assert all((ROOT / page).is_file() for page in pages())
