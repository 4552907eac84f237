"""The snippets of docs/ci.md, run as they are printed there, on a smaller audit."""

import json
from pathlib import Path

import pytest
import yaml

from saddlepoint.cli.audit_settings import AuditSettings
from saddlepoint.cli.options import settle

from .fences import ROOT, snippets
from .reader import Reader

PAGE = "docs/ci.md"


def plan(eps: float) -> str:
    (text,) = snippets(PAGE, "toml")
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
    path.write_text(snippets(PAGE, "toml")[0])
    settings = settle(AuditSettings, path, {})
    assert (settings.fail_under, settings.fail_on, settings.n) == (0.8, "fail", 1000)


def test_the_workflow_runs_the_script() -> None:
    workflow = yaml.safe_load(snippets(PAGE, "yaml")[0])
    steps = workflow["jobs"]["audit"]["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    assert "sh ci.sh" in [step.get("run") for step in steps]
    kept = {step["with"]["path"] for step in steps if "cache" in step.get("uses", "")}
    assert kept == {"runs/last"}


@pytest.mark.slow
def test_the_job(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}:{ROOT}")  # for the net of these tests
    monkeypatch.syspath_prepend(ROOT)
    script, compare = snippets(PAGE, "sh")
    folder, shell = reader.folder, reader.terminal.shell
    (folder / "ci.sh").write_text(script)
    config = folder / "audit.toml"
    config.write_text(plan(eps=0.005))
    for line in ("fail-under 0.8: holds", "baseline: holds"):  # the second has one
        code, words = shell("sh ci.sh")
        assert code == 0, words
        assert line in words
        assert not (folder / "runs/new").exists()
    config.write_text(plan(eps=0.08))
    code, words = shell("sh ci.sh")
    assert code == 1, words
    assert "baseline: regression" in words
    assert "fail-under 0.8: robust accuracy is at most" in words
    assert "see runs/new/report.html" in words
    assert (folder / "runs/new/report.html").exists()
    code, words = shell(compare)
    assert code == 0, words
    broken = json.loads((folder / "compare.json").read_text())["newly_broken"]
    (example,) = snippets(PAGE, "python")
    code, words = shell(f"python - <<'END'\n{example}END")
    assert code == 0, words
    assert str(tuple(broken)) in words
    config.write_text("no plan")
    code, words = shell("sh ci.sh")
    assert (code, "nothing was measured" in words) == (2, True)
