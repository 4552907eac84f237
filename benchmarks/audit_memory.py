"""Peak memory of an audit against its number of samples, which are computed as they are read.

    python benchmarks/audit_memory.py 100_000 1_000_000 10_000_000
    python benchmarks/audit_memory.py --suite cascade 100_000 1_000_000

Each size runs in a process of its own. ``anon`` is the peak of memory that is the process's own
(RssAnon); ``rss`` is ``ru_maxrss``, which counts mapped files as well.
"""

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

import saddlepoint as sp

FEATURES, CLASSES, BATCH = 16, 4, 8192


def rows(n: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Samples that follow from their number: pseudo-random bytes, labelled by a linear map."""
    column = torch.arange(1, FEATURES + 1)
    for first in range(0, n, BATCH):
        number = torch.arange(first, min(first + BATCH, n)).unsqueeze(1)
        x = ((number * 2654435761 + column * 40503 * number) % 65521 % 256).to(torch.uint8)
        yield x, weights()(x.float() / 255).argmax(1)


def weights() -> nn.Linear:
    """Return the map that labels, which is also the model."""
    layer = nn.Linear(FEATURES, CLASSES)
    with torch.no_grad():
        grid = torch.arange(FEATURES * CLASSES).reshape(CLASSES, FEATURES)
        layer.weight.copy_(((grid * 37) % 17 - 8) / 8)
        layer.bias.copy_(-layer.weight.sum(1) / 2)
    return layer


class Watch(threading.Thread):
    """The peak of RssAnon, looked at every 50 ms."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.begin = 0.0, anon()

    def run(self) -> None:
        """Look until the process ends."""
        while True:
            self.peak = max(self.peak, anon())
            time.sleep(0.05)


def anon() -> float:
    """Megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def measure(n: int, suite: str, eps: float) -> dict[str, float]:
    """Audit n samples in this process."""
    torch.set_num_threads(1)
    attacks = None if suite == "cascade" else (sp.FGSM(),)
    more = {"max_passes": 100.0, "survivors": 0} if suite == "cascade" else {}
    sp.audit(weights(), rows(4096), sp.Linf(eps=eps), attacks, **more)  # what torch needs anyway
    watch, begin = Watch(), time.monotonic()
    watch.start()
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as out:
        done = sp.audit(
            weights(), rows(n), sp.Linf(eps=eps), attacks,
            batch_size=BATCH, out=Path(out) / "run", figures=0, **more,
        )  # fmt: skip
        disk = sum(p.stat().st_size for p in Path(out).rglob("*") if p.is_file())
    ledger = sum(len(r.rows) for r in done.evidence.rounds) / n
    return {
        "n": n,
        "seconds": round(time.monotonic() - begin, 1),
        "begin MB": round(watch.begin),
        "anon MB": round(max(watch.peak, anon())),
        "rss MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "rows of evidence per sample": round(ledger, 2),
        "disk MB": round(disk / 1e6),
        "robust": done.robust_accuracy,
    }


def main() -> None:
    """Audit each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", type=int, nargs="+")
    parser.add_argument("--suite", default="fgsm", choices=("fgsm", "cascade"))
    parser.add_argument("--eps", type=float, default=0.02)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        print(json.dumps(measure(asked.sizes[0], asked.suite, asked.eps)))
        return
    found = []
    for n in asked.sizes:
        words = ["--inside", "--suite", asked.suite, "--eps", str(asked.eps), str(n)]
        command = [sys.executable, __file__, *words]
        done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            sys.exit(done.stderr)
        found.append(json.loads(done.stdout.splitlines()[-1]))
        print(found[-1], flush=True)
    for a, b in itertools.pairwise(found):
        grown = (b["anon MB"] - a["anon MB"]) * 2**20 / (b["n"] - a["n"])
        print(f"{a['n']:,} to {b['n']:,}: {grown:.0f} bytes a sample")


if __name__ == "__main__":
    main()
