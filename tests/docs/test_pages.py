"""Every snippet of the documentation does what a reader who pastes it needs it to do."""

import shutil
from pathlib import Path

import pytest

from .changes import NEEDS, TODO
from .fences import ROOT, fences, pages
from .reader import Reader


def runnable(page: str) -> bool:
    return any(f.language in ("python", "sh") for f in fences(page))


@pytest.mark.parametrize("page", [p for p in pages() if runnable(p)])
def test_the_page_runs(page: str, reader: Reader, request: pytest.FixtureRequest) -> None:
    if page in TODO:
        pytest.skip("not yet")
    for package in NEEDS.get(page, ()):
        pytest.importorskip(package)
    if "demo/" in (ROOT / page).read_text():
        made: Path = request.getfixturevalue("demo")
        shutil.copytree(made, reader.folder / "demo")
    reader.read(page)
