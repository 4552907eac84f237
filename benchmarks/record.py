"""What every result carries: the machine, the versions, the seed, the date and the command.

Imports the standard library only: benchmarks/memory.py needs a parent process without torch.
"""

import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["RESULTS", "head", "table", "write"]

RESULTS = Path(os.environ.get("SADDLEPOINT_RESULTS", Path(__file__).parent / "results"))
_PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "saddlepoint",
    "torchattacks",
    "foolbox",
    "adversarial-robustness-toolbox",
    "pyautoattack",
)


def _cpu() -> str:
    lscpu = subprocess.run(["lscpu"], capture_output=True, text=True, check=False).stdout  # noqa: S607
    model = [line.split(":", 1)[1] for line in lscpu.splitlines() if line.startswith("Model name")]
    return model[0].strip() if model else platform.processor()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str:
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    run = subprocess.run(git, capture_output=True, text=True, check=False)  # noqa: S603
    return run.stdout.strip() or "none"


def head(seed: int, threads: int) -> dict[str, Any]:
    """Everything needed to judge and repeat numbers that are measured now."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.executable).parent.parent.name + "/bin/python", *sys.argv]),
        "commit": _commit(),
        "seed": seed,
        "hardware": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "torch_threads": threads,
            "load_average": os.getloadavg(),
        },
        "versions": {"python": platform.python_version(), **{p: _version(p) for p in _PACKAGES}},
    }


def write(
    name: str, seed: int, threads: int, payload: Mapping[str, Any], quiet: bool = False
) -> Path:
    """Write ``results/name.json`` with everything needed to judge and repeat the numbers."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    part = path.with_suffix(".part")  # a kill must not cost what an earlier call measured
    part.write_text(json.dumps(head(seed, threads) | dict(payload), indent=1) + "\n")
    part.replace(path)
    if not quiet:
        print(f"-> {path}")
    return path


def table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as an aligned table."""
    names = list(rows[0])
    cells = [names, *[[_text(r[n]) for n in names] for r in rows]]
    widths = [max(len(c[i]) for c in cells) for i in range(len(names))]
    print(f"\n{title}")
    for c in cells:
        print("  ".join(v.ljust(w) for v, w in zip(c, widths, strict=True)).rstrip())


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 100 else f"{value:.0f}"
    return "-" if value is None else str(value)
