"""What an import costs: CPU seconds and peak memory of a fresh process, ours and the peers'.

    .venv-bench/bin/python benchmarks/startup.py
    python benchmarks/startup.py --repeats 1               (does it run?)

Each line of Python runs in a process of its own, all in turn, ``--repeats`` times after one round
that compiles everything and fills the caches; byte code goes to a temporary folder, since a package
that runs from its source may have none. Medians are written, and their ratio to ``import torch``.
Seconds are user and system time of the process, which other work on the machine changes least. The
peers have no command line.

The parent imports no torch: Linux carries a parent's peak over into its child's ``ru_maxrss``.
"""

import argparse
import importlib.util
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import record

SEED, THREADS = 0, 1
IMPORTS = {
    "python alone": ("sys", "pass"),
    "torch": ("torch", "import torch"),
    "saddlepoint": ("saddlepoint", "import saddlepoint"),
    "torchattacks": ("torchattacks", "import torchattacks"),
    "foolbox": ("foolbox", "import foolbox"),
    "art": ("art", "import art.attacks.evasion, art.estimators.classification"),
}
CLI = {
    "saddlepoint --help": ["-m", "saddlepoint", "--help"],
    "saddlepoint audit --help": ["-m", "saddlepoint", "audit", "--help"],
    "saddlepoint doctor": ["-m", "saddlepoint", "doctor"],
}
PEAK = "; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


def spent(command: list[str], cache: str) -> dict[str, float]:
    """Run one process; CPU and wall seconds, and the peak in MiB where it prints it."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    env |= {"PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1", "PYTHONPYCACHEPREFIX": cache}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)  # noqa: S603
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    last = (done.stdout.split() or [""])[-1]
    peak = int(last) / 1024 if command[-1].endswith(PEAK) else 0.0
    return {"cpu_seconds": cpu, "wall_seconds": wall, "peak_mib": peak}


def compare(commands: dict[str, list[str]], repeats: int) -> list[dict[str, Any]]:
    """Time all commands in turn; medians, and the ratio to the one called torch."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as cache:
        for k in range(repeats + 1):
            for name, command in commands.items():
                found = spent(command, cache)
                if k:
                    runs[name].append(found)
    rows = []
    for name, found in runs.items():
        pairs = [(r["cpu_seconds"], t["cpu_seconds"]) for r, t in zip(found, runs["torch"])]  # noqa: B905
        medians = {k: statistics.median(r[k] for r in found) for k in found[0]}
        rows.append({"what": name, **medians, "ratio": statistics.median(a / b for a, b in pairs)})
    return rows


def main() -> None:
    """Measure imports and the command line of what is installed here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    here = {k: v for k, (m, v) in IMPORTS.items() if importlib.util.find_spec(m)}
    lines = {k: [sys.executable, "-c", line + PEAK] for k, line in here.items()}
    commands = lines | {name: [sys.executable, *words] for name, words in CLI.items()}
    rows = compare(commands, args.repeats)
    record.table("fresh processes", rows)
    what = "a fresh process; medians, and the median ratio to importing torch"
    record.write("startup", SEED, THREADS, {"what": what, "repeats": args.repeats, "rows": rows})


if __name__ == "__main__":
    main()
