"""The commands of docs/access.md, as they are printed there, on fewer samples."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/access.md").read_text()


@pytest.mark.slow
def test_the_forest_is_audited_from_all_sides(tmp_path: Path) -> None:
    (script,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples/forest.py").write_text((ROOT / "examples/forest.py").read_text())
    bare = f"{sys.executable} -m saddlepoint"
    script = "set -e\n" + script.replace("--n 100", "--n 24").replace("saddlepoint ", f"{bare} ")
    found = subprocess.run(
        ["/bin/bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert found.returncode == 0, found.stderr[-2000:]
    left = {}
    for access in ("scores", "labels", "none"):
        said = json.loads((tmp_path / access / "audit.json").read_text())
        assert said["threat"]["access"] == access
        left[access] = said["robust_accuracy"]["upper"]
        assert said["queries"]["most"] <= said["queries"]["limit"]
    assert left["scores"] < said["clean_accuracy"]
    assert "witnesses hold" in found.stdout
