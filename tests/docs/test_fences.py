"""Rules for the fences of the documentation, and for what is run otherwise than printed."""

import json
import tomllib

import pytest
import yaml

from .changes import ENDS, NEEDS, NOT_RUN, SMALLER, TODO, without
from .fences import LANGUAGES, ROOT, commands, fences, pages, parsed


@pytest.mark.parametrize("page", pages())
def test_every_fence_names_its_language(page: str) -> None:
    if page in TODO:
        pytest.skip("not yet")
    assert not [f.where for f in fences(page) if f.language not in LANGUAGES]


@pytest.mark.parametrize("page", pages())
def test_what_is_data_can_be_read(page: str) -> None:
    readers = {"toml": tomllib.loads, "json": json.loads, "yaml": yaml.safe_load}
    for fence in fences(page):
        if fence.language in readers:
            readers[fence.language](fence.text)


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
    assert set(NEEDS) <= set(pages())


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
