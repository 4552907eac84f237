"""The examples, run as their readers run them: each a process of its own in a folder of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "panda_to_interval.ipynb"


def ran(words: list[str], folder: Path, code: int = 0) -> str:
    """Run a command in a folder where ``saddlepoint`` is this checkout; return what it said."""
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    (tools / "saddlepoint").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m saddlepoint "$@"\n')
    (tools / "saddlepoint").chmod(0o755)
    earlier = os.environ.get("PYTHONPATH", "")
    env = {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT / 'src'}:{earlier}".rstrip(":"),
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
    }
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def example(name: str, folder: Path) -> str:
    return ran([sys.executable, str(EXAMPLES / name), "out"], folder)


def shares(text: str) -> list[float]:
    return [float(s) / 100 for s in re.findall(r"([\d.]+)%", text)]


def test_each_example_has_a_line_in_the_list() -> None:
    listed = set(re.findall(r"\]\((?!\.\.)([\w./]+?)/?\)", (EXAMPLES / "README.md").read_text()))
    there = {p.name for p in EXAMPLES.iterdir()} - {"README.md", "__pycache__"}
    assert listed == there


@pytest.mark.slow
def test_audit_torch(tmp_path: Path) -> None:
    clean, robust, low, high = shares(example("audit_torch.py", tmp_path).replace("95 %", ""))
    assert clean > 0.9 > robust > 0.5
    assert low <= robust <= high
    assert (tmp_path / "out/report.html").exists()


@pytest.mark.slow
def test_custom_threat(tmp_path: Path) -> None:
    said = example("custom_threat.py", tmp_path)
    left = shares("\n".join(line for line in said.splitlines() if "leaves" in line))
    assert len(left) == 4
    assert all(0.2 < share < 0.6 for share in left)  # every attack works in the new set
    assert json.loads((tmp_path / "out/audit.json").read_text())["counts"]["error"] == 0
    assert (tmp_path / "out/flicker.png").stat().st_size > 10_000


@pytest.mark.slow
def test_custom_attack(tmp_path: Path) -> None:
    rows = [shares(line) for line in example("custom_attack.py", tmp_path).splitlines()[1:]]
    assert len(rows) == 9
    assert all(own <= pgd + 0.01 for pgd, own in rows)


@pytest.mark.slow
def test_compare_models(tmp_path: Path) -> None:
    said = example("compare_models.py", tmp_path)
    assert "better: of 150 samples" in said
    assert (tmp_path / "out/report.html").exists()


@pytest.mark.slow
def test_the_promise_of_the_gate(tmp_path: Path) -> None:
    gate = Path(shutil.copytree(EXAMPLES / "ci_gate", tmp_path / "gate"))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    pytest_ = [sys.executable, "-m", "pytest", "-q", "test_robustness.py"]
    assert "2 passed" in ran(pytest_, gate)
    promise = gate / "test_robustness.py"
    promise.write_text(promise.read_text().replace("at_least=0.8,", "at_least=0.99,"))
    assert "at least 99.00% were promised" in ran([*pytest_, "-k", "withstands"], gate, code=1)


@pytest.mark.slow
def test_the_gate(tmp_path: Path) -> None:
    gate = Path(shutil.copytree(EXAMPLES / "ci_gate", tmp_path / "gate"))
    assert "baseline" not in ran(["./gate.sh"], gate)
    assert (gate / "runs/last/report.html").exists()
    model = gate / "model.py"
    model.write_text(model.read_text().replace("WEIGHT_DECAY = 0.003", "WEIGHT_DECAY = 0.0"))
    said = ran(["./gate.sh"], gate, code=1)
    assert "fail-under 0.8: holds" in said
    assert "baseline: regression" in said
    assert "nothing was measured" in ran(["./gate.sh", "--threat", "Linf(-1)"], gate, code=2)


def test_the_workflow_runs_the_gate() -> None:
    workflow = yaml.safe_load((EXAMPLES / "ci_gate/robustness.yml").read_text())
    steps = workflow["jobs"]["gate"]["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    run = [step["run"] for step in steps if "run" in step]
    assert run[1:] == ["pytest ci/test_robustness.py", "ci/gate.sh"]
    for name in ("test_robustness.py", "gate.sh"):
        assert (EXAMPLES / "ci_gate" / name).exists()
    kept = {s["with"]["path"] for s in steps if "cache" in s.get("uses", "")}
    assert kept == {"ci/runs/last"}


def interval(cells: list[dict[str, object]]) -> tuple[float, float]:
    said = re.search(r"robust net: \[([\d.]+), ([\d.]+)\]", json.dumps(cells))
    assert said is not None
    return float(said[1]), float(said[2])


def test_the_notebook_shows_what_it_found() -> None:
    """Its outputs are committed, and no cell was run out of turn."""
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    counts = [c["execution_count"] for c in cells if c["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))
    assert json.dumps(cells).count("image/png") == 3
    low, high = interval(cells)
    assert 0.5 < low <= high < 1


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    import nbformat  # of the extra dev, like nbclient: without it this fails, and is not skipped

    shutil.copy(NOTEBOOK, tmp_path / "run.ipynb")
    execute = "from nbclient.cli import main; main()"  # what `jupyter execute` runs
    ran([sys.executable, "-c", execute, "--inplace", "run.ipynb"], tmp_path)
    cells = nbformat.read(tmp_path / "run.ipynb", 4).cells
    printed = json.loads(NOTEBOOK.read_text())["cells"]
    assert [c["source"] for c in cells] == ["".join(c["source"]) for c in printed]
    for found, meant in zip(interval(cells), interval(printed), strict=True):
        assert abs(found - meant) <= 0.05  # other kernels round otherwise
