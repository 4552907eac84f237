"""Every snippet of the documentation does what a reader who pastes it needs it to do."""

import shutil
from pathlib import Path

import pytest

from . import own
from .changes import NEEDS, OWN
from .fences import ROOT, fences, pages
from .reader import Reader


def runnable(page: str) -> bool:
    return page not in OWN and any(f.language in ("python", "sh") for f in fences(page))


def needs_demo(page: str) -> bool:
    """Whether its nets are asked for, by name or as stand-ins for the reader's."""
    return "demo/" in (ROOT / page).read_text() or any(own.names(page))


def parameter(page: str) -> object:
    """Pages that train, audit or take the nets of the demo are for make test."""
    works = needs_demo(page) or any(f.language == "sh" for f in fences(page))
    return pytest.param(page, id=page, marks=[pytest.mark.slow] if works else [])


@pytest.mark.parametrize("page", [parameter(p) for p in pages() if runnable(p)])
def test_the_page_runs(page: str, reader: Reader, request: pytest.FixtureRequest) -> None:
    for package in NEEDS.get(page, ()):
        pytest.importorskip(package)
    if needs_demo(page):
        made: Path = request.getfixturevalue("demo")
        shutil.copytree(made, reader.folder / "demo")
        own.bring(page, reader.folder, made)
    reader.read(page)
