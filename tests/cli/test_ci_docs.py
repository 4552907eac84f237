"""The snippets of docs/ci.md, run as they are printed there, on a smaller audit."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from saddlepoint.cli.audit_settings import AuditSettings
from saddlepoint.cli.options import settle

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/ci.md").read_text()


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def shell(script: str, folder: Path) -> tuple[int, str]:
    """Run a script where ``saddlepoint`` is this checkout."""
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    (tools / "saddlepoint").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m saddlepoint "$@"\n')
    (tools / "saddlepoint").chmod(0o755)
    paths = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        "OMP_NUM_THREADS": "1",
    }
    command = ["/bin/sh", "-c", script]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **paths}, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def plan(eps: float) -> str:
    (text,) = snippets("toml")
    small = {
        "net.safetensors": "tests.cli.nets:linear",
        'arch = "conv-small"\n': "figures = 0\n",
        '"mnist"': '"digits"',
        "eps=0.3": f"eps={eps}",
        "n = 1000": "n = 60",
        "steps=40": "steps=5",
    }
    for old, new in small.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def test_the_plan_as_printed_is_one(tmp_path: Path) -> None:
    path = tmp_path / "audit.toml"
    path.write_text(snippets("toml")[0])
    settings = settle(AuditSettings, path, {})
    assert (settings.fail_under, settings.fail_on, settings.n) == (0.8, "fail", 1000)


def test_the_workflow_runs_the_script() -> None:
    workflow = yaml.safe_load(snippets("yaml")[0])
    steps = workflow["jobs"]["audit"]["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    assert "sh ci.sh" in [step.get("run") for step in steps]
    kept = {step["with"]["path"] for step in steps if "cache" in step.get("uses", "")}
    assert kept == {"runs/last"}


@pytest.mark.slow
def test_the_job(tmp_path: Path) -> None:
    script, compare = snippets("sh")
    (tmp_path / "ci.sh").write_text(script)
    config = tmp_path / "audit.toml"
    config.write_text(plan(eps=0.005))
    for line in ("fail-under 0.8: holds", "baseline: holds"):  # the second has one
        code, words = shell("sh ci.sh", tmp_path)
        assert code == 0, words
        assert line in words
        assert not (tmp_path / "runs/new").exists()
    config.write_text(plan(eps=0.08))
    code, words = shell("sh ci.sh", tmp_path)
    assert code == 1, words
    assert "baseline: regression" in words
    assert "fail-under 0.8: robust accuracy is at most" in words
    assert "see runs/new/report.html" in words
    assert (tmp_path / "runs/new/report.html").exists()
    code, words = shell(compare, tmp_path)
    assert code == 0, words
    broken = json.loads((tmp_path / "compare.json").read_text())["newly_broken"]
    (example,) = snippets("python")
    code, words = shell(f"'{sys.executable}' - <<'END'\n{example}END", tmp_path)
    assert code == 0, words
    assert str(tuple(broken)) in words
    config.write_text("no plan")
    code, words = shell("sh ci.sh", tmp_path)
    assert (code, "nothing was measured" in words) == (2, True)
