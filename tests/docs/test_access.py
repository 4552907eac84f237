"""The commands of docs/access.md, as they are printed there, on fewer samples."""

import json

import pytest

from .reader import Reader


@pytest.mark.slow
def test_the_forest_is_audited_from_all_sides(reader: Reader) -> None:
    words = reader.read("docs/access.md")
    left = {}
    for access in ("scores", "labels", "none"):
        said = json.loads((reader.folder / access / "audit.json").read_text())
        assert said["threat"]["access"] == access
        left[access] = said["robust_accuracy"]["upper"]
        assert said["queries"]["most"] <= said["queries"]["limit"]
    assert left["scores"] < said["clean_accuracy"]
    assert "witnesses hold" in words
