"""Peak resident memory of PGD-40 at 2,048 images, each contestant in a process of its own.

    .venv-bench/bin/python benchmarks/memory.py

The parent imports no torch: Linux carries a parent's peak over into its child's ``ru_maxrss``.
All contestants import the same modules, so a difference is the attack's own; ``--no-peers`` leaves
the other libraries out, and their imports with them.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys

import record

IMAGES, THREADS, SEED, NET = 2048, 1, 0, "mnist-pgd"
MINE = ("bare loop", "ours fp32", "ours fp32, whole batch", "ours bf16")
PEERS = ("torchattacks PGD", "foolbox PGD", "art PGD")
KIB = 1024


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB


def child(name: str, net: str, images: int, peers: bool) -> None:
    """Run one contestant and print its peak, before and after, in MiB."""
    import contestants  # here, since the parent must stay small
    import torch
    from games import subject

    runs = contestants.OURS | (contestants.peers() if peers else {})
    torch.set_num_threads(THREADS)
    model, x, y = subject(net, images)
    before = _peak_mib()
    runs[name](model, x, y)
    print(json.dumps({"before": before, "peak": _peak_mib()}))


def _measure(name: str, args: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", name, "--net", args.net]
    command += ["--images", str(args.images), *([] if args.peers else ["--no-peers"])]
    run = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return dict(json.loads(run.stdout.splitlines()[-1]))


def main() -> None:
    """Measure every contestant in turn, several times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--net", default=NET)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    args = parser.parse_args()
    if args.child:
        child(args.child, args.net, args.images, args.peers)
        return
    names = [*MINE, *(PEERS if args.peers else ())]
    runs = {name: [_measure(name, args) for _ in range(args.repeats)] for name in names}
    peaks = {name: statistics.median(r["peak"] for r in runs[name]) for name in names}
    rows = [
        {
            "contestant": name,
            "peak_mib": peaks[name],
            "before_mib": statistics.median(r["before"] for r in runs[name]),
            "added_mib": statistics.median(r["peak"] - r["before"] for r in runs[name]),
            "relative": peaks[name] / peaks["bare loop"],
        }
        for name in names
    ]
    record.table(f"peak RSS, {args.net}, {args.images} images", rows)
    what = f"peak RSS of PGD-40 on {args.net}, {args.images} images, median of {args.repeats}"
    record.write("memory", SEED, THREADS, {"what": what, "rows": rows})


if __name__ == "__main__":
    main()
