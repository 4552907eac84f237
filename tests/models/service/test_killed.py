"""kill -9 at any moment, and again: the server is asked nothing twice, the result is the same."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .kit import written
from .server import Server, running

ROOT = Path(__file__).parents[3]
SEARCH = """
import sys
from pathlib import Path
import torch
import saddlepoint as sp

path, out = map(Path, sys.argv[1:])
model = sp.load_model(path).model
x = torch.rand(12, 1, 2, 3, generator=torch.Generator().manual_seed(0))
with model.attached(out):
    model.drift(x)
    y = model(x).argmax(1)
    print("asking", flush=True)
    attack = sp.Square(n_queries=60)
    found = sp.search(attack, model, x, y, sp.Linf(eps=0.02), access="scores", batch_size=6)
(out / "result").write_text(repr((found.margin.tolist(), found.x_adv.tolist())))
"""
AUDIT = """
import sys
import torch
import saddlepoint as sp
from tests.models.service.server import logits

model = sp.load_model(sys.argv[1]).model
x = torch.rand(12, 1, 2, 3, generator=torch.Generator().manual_seed(0))
y = torch.tensor(logits(x.tolist()).argmax(1))
print("asking", flush=True)
sp.audit(
    model, (x, y), sp.Linf(eps=0.02), (sp.RandomSearch(n_queries=30),), out=sys.argv[2],
    access="scores", max_queries=31, batch_size=5, force=True, probes=0,
)
"""
FILES = {SEARCH: ("result",), AUDIT: ("evidence.npz", "witnesses.safetensors")}

pytestmark = pytest.mark.slow


def start(script: str, endpoint: Path, out: Path) -> "subprocess.Popen[bytes]":
    given = os.environ.get("PYTHONPATH")  # first: another copy of the source is to be tried
    paths = os.pathsep.join([*([given] if given else []), f"{ROOT / 'src'}", f"{ROOT}"])
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    command = [sys.executable, "-c", script, str(endpoint), str(out)]
    # A session of its own, so that a signal can go to all in it as a terminal's does.
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, start_new_session=True)


def strike(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Signal everything that a terminal, or a shell, would reach."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def killed(server: Server, process: "subprocess.Popen[bytes]", chance: random.Random) -> bool:
    """Kill it a few questions or milliseconds after it has begun; False where it ended before."""
    assert process.stdout is not None
    process.stdout.readline()
    until = server.seen.total() + chance.choice([0, 1, 10, 40])
    while process.poll() is None and server.seen.total() < until:
        time.sleep(0.001)
    time.sleep(chance.choice([0.0, 0.005, 0.02]))
    strike(process, signal.SIGKILL)
    process.stdout.close()
    assert process.wait(60) in (0, -signal.SIGKILL)
    return process.returncode != 0


@pytest.mark.parametrize("script", FILES, ids=["search", "audit"])
def test_killed_at_any_moment_asks_nothing_twice(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, chance = {}, random.Random(0)  # noqa: S311 - not a secret
    for name, kills in (("straight", 0), ("killed", 3)):
        (tmp_path / name).mkdir()
        with running(hold=lambda: time.sleep(0.004)) as server:
            endpoint = written(tmp_path / name, url="http://127.0.0.1:${PORT}/predict")
            monkeypatch.setenv("PORT", str(server.port))
            out, hit = tmp_path / name / "run", 0
            while hit < kills and killed(server, start(script, endpoint, out), chance):
                hit += 1
            assert hit == kills, "it is too short to be killed in the middle"
            last = start(script, endpoint, out)
            last.communicate()
            assert last.returncode == 0
            assert max(server.seen.values()) == 1
            assert len(server.seen) > 100
        results[name] = [(out / file).read_bytes() for file in FILES[script]]
    assert results["killed"] == results["straight"]


def test_a_courier_outlives_its_parent_by_its_work_only(tmp_path: Path) -> None:
    """What was on its way is answered, written down, and nothing more is sent."""
    with running(hold=lambda: time.sleep(0.5)) as server:
        limits = {"concurrency": 2, "batch_size": 2, "timeout": 10}
        endpoint = written(tmp_path, url=server.url, limits=limits)
        process = start(SEARCH, endpoint, tmp_path / "run")
        while not server.seen.total():
            time.sleep(0.005)
        strike(process, signal.SIGKILL)
        process.communicate()
        time.sleep(0.1)
        asked = server.seen.total()
        left = start(SEARCH, endpoint, tmp_path / "run")
        server.hold = lambda: None
        left.communicate()
        assert left.returncode == 0
        assert max(server.seen.values()) == 1
        assert asked <= 4


def test_ctrl_c_is_no_loss(tmp_path: Path) -> None:
    with running(hold=lambda: time.sleep(0.05)) as server:
        endpoint = written(tmp_path, url=server.url)
        process = start(SEARCH, endpoint, tmp_path / "run")
        assert process.stdout is not None
        process.stdout.readline()
        strike(process, signal.SIGINT)
        process.communicate()
        assert process.returncode != 0
        server.hold = lambda: None
        again = start(SEARCH, endpoint, tmp_path / "run")
        again.communicate()
        assert again.returncode == 0
        assert max(server.seen.values()) == 1
