"""The comparison with other libraries: the page says what the files say, and every part runs."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
Import = Callable[[str], ModuleType]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Import]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:  # such as "tables": a name that others may want
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(BENCHMARKS)):
            del sys.modules[name]


def test_the_page_is_what_the_files_say(module: Import) -> None:
    tables = module("tables")
    assert tables.PAGE.read_text(encoding="utf-8") == tables.page()


def test_a_number_that_moves_moves_the_page(
    module: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, record = module("tables"), module("record")
    for path in record.RESULTS.glob("*.json"):
        (tmp_path / path.name).write_text(path.read_text())
    said = json.loads((tmp_path / "memory.json").read_text())
    said["rows"][0]["peak_mib"] = 98765.0
    (tmp_path / "memory.json").write_text(json.dumps(said))
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    assert "98765" in tables.memory()
    assert tables.page() != tables.PAGE.read_text(encoding="utf-8")


def test_what_other_versions_measured_is_measured_again(
    module: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, driver = module("record"), module("side_by_side")
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    part = driver.PARTS["memory"]
    assert not driver.measured(part)
    record.write("memory", 0, 1, {"rows": []}, quiet=True)
    assert driver.measured(part)
    said = json.loads((tmp_path / "memory.json").read_text())
    said["versions"]["torch"] = "1.0"
    (tmp_path / "memory.json").write_text(json.dumps(said))
    assert not driver.measured(part)


def test_an_image_outside_the_set_is_no_break(module: Import) -> None:
    import torch

    judging = module("judging")
    x = torch.full((3, 4), 0.5)
    moved = x + torch.tensor([[0.1], [0.2], [torch.nan]])
    assert judging.Ball("Linf", 0.1).contains(x, moved).tolist() == [True, False, False]
    assert judging.Ball("L2", 0.2).contains(x, moved).tolist() == [True, False, False]
    assert judging.Ball("Linf", 0.6).contains(x, x + 0.55).tolist() == [False] * 3  # beyond 1


@pytest.mark.slow
def test_every_part_runs_without_the_peers(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "side_by_side.py"), "--quick", "--no-peers"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--results", str(tmp_path)], capture_output=True, text=True, env=env
    )
    assert done.returncode == 0, done.stderr
    written = {p.stem: json.loads(p.read_text()) for p in tmp_path.glob("*.json")}
    assert set(written) == {
        "startup", "install", "memory", "closed_form", "speed-cpu", "speed-apgd",
        "strength-digits-plain",
    }  # fmt: skip
    assert all(said["versions"]["torch"] for said in written.values())
    rows = written["strength-digits-plain"]["rows"]
    assert {r["library"] for r in rows} == {"saddlepoint"}
    assert not [r for r in rows if r["error"] or r["outside"]]
    shares = [r["min_share"] for r in written["closed_form"]["rows"]]
    assert min(shares) > 0.99
