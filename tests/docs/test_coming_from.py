"""The pages for users of other libraries say what was measured, and our defaults as they are."""

import importlib
import json
from types import ModuleType

import pytest

import saddlepoint as sp

from .fences import ROOT

RESULT = ROOT / "benchmarks/results/coming_from.json"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("coming_from")


def test_the_last_tables_are_those_of_the_result(script: ModuleType) -> None:
    rows = json.loads(RESULT.read_text())["rows"]
    for page in script.PAGES:
        text = (ROOT / f"docs/coming-from/{page}.md").read_text()
        assert text.endswith(script._MARKER + script.table_of(page, rows)), page


def test_every_section_with_a_peer_is_in_the_result(script: ModuleType) -> None:
    rows = json.loads(RESULT.read_text())["rows"]
    for page in script.PAGES:
        _, *rest = script.sections(ROOT / f"docs/coming-from/{page}.md")
        named = [s.heading for s in rest if s.theirs]
        measured = {r["section"]: r.get("snippets_sha256") for r in rows if r["page"] == page}
        assert [*measured] == [*named, "Names and defaults"]
        for section in rest:
            if section.theirs:  # else: run benchmarks/coming_from.py again
                assert measured[section.heading] == section.sha256, (page, section.heading)


def test_our_defaults_are_as_stated(script: ModuleType) -> None:
    count = 0
    for page in script.PAGES:
        for ours, call, argument, value in script.stated(ROOT / f"docs/coming-from/{page}.md"):
            if ours:
                script.check_default({"sp": sp}, call, argument, value)
                count += 1
    assert count > 20
    with pytest.raises(AssertionError, match=r"sp.PGD\(steps\) is 40, not 41"):
        script.check_default({"sp": sp}, "sp.PGD", "steps", 41)
