"""Peak resident memory of PGD-40 at 2,048 images, each contestant in a process of its own.

    .venv-bench/bin/python benchmarks/memory.py

The parent imports no torch: Linux carries a parent's peak over into its child's ``ru_maxrss``.
Both contestants import the same modules, so a difference is the attack's own.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys

import record

IMAGES, THREADS, SEED, NET = 2048, 2, 0, "mnist-pgd"
KIB = 1024


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB


def child(name: str) -> None:
    """Run one contestant and print its peak, before and after, in MiB."""
    import contestants  # here, since the parent must stay small
    import mnist_nets
    import torch

    torch.set_num_threads(THREADS)
    model, (x, y) = mnist_nets.net(NET), mnist_nets.images(IMAGES)
    before = _peak_mib()
    contestants.OURS[name](model, x, y)
    print(json.dumps({"before": before, "peak": _peak_mib()}))


def _measure(name: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", name]
    run = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return dict(json.loads(run.stdout.splitlines()[-1]))


def main() -> None:
    """Measure every contestant in turn, several times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    if args.child:
        child(args.child)
        return
    names = ["bare loop", "ours fp32", "ours fp32, whole batch", "ours bf16"]
    runs = {name: [_measure(name) for _ in range(args.repeats)] for name in names}
    peaks = {name: statistics.median(r["peak"] for r in runs[name]) for name in names}
    rows = [
        {
            "contestant": name,
            "peak_mib": peaks[name],
            "before_mib": statistics.median(r["before"] for r in runs[name]),
            "relative": peaks[name] / peaks["bare loop"],
        }
        for name in names
    ]
    record.table(f"peak RSS, {NET}, {IMAGES} images", rows)
    what = f"peak RSS of PGD-40 on {NET}, {IMAGES} images, median of {args.repeats} processes"
    record.write("memory", SEED, THREADS, {"what": what, "rows": rows})


if __name__ == "__main__":
    main()
