"""Time of PGD-40 or APGD-40 relative to the bare loop of forward and input gradient.

    .venv-bench/bin/python benchmarks/speed.py --repeats 7
    .venv-bench/bin/python benchmarks/speed.py --repeats 3 --clock cpu --out speed-cpu
    .venv-bench/bin/python benchmarks/speed.py --attack apgd --clock cpu --out speed-apgd
    .venv-bench/bin/python benchmarks/speed.py --repeats 1 --images 64     (does it run?)

Contestants take turns, and every third turn the bare loop runs again, so that whatever else keeps
the machine busy slows both. Two ratios: the median of each run over the bare loop just before it,
and the least time of the contestant over the least time of the bare loop. Results are written
after each net and batch, so that an interrupted run keeps what it has.

``--clock cpu`` counts processor time on one thread instead of wall time on two: for a machine that
others use at the same time.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import contestants
import mnist_nets
import record
import torch
from contestants import BARE, SEED, Contestant
from games import subject
from torch import Tensor, nn

Clock = Callable[[], float]
CLOCKS: dict[str, tuple[Clock, int]] = {
    "wall": (time.perf_counter, 2),
    "cpu": (time.process_time, 1),
}


def _seconds(clock: Clock, run: Contestant, model: nn.Module, x: Tensor, y: Tensor) -> float:
    start = clock()
    run(model, x, y)
    return clock() - start


def _accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return (model(x).argmax(1) == y).double().mean().item()


def measure(
    runs: dict[str, Contestant],
    clock: Clock,
    repeats: int,
    model: nn.Module,
    x: Tensor,
    y: Tensor,
) -> list[dict[str, Any]]:
    """Return one row per contestant."""
    accuracy = {}
    for name, run in runs.items():  # warms everything up as well
        torch.manual_seed(SEED)
        accuracy[name] = _accuracy(model, run(model, x, y), y)
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for _ in range(repeats):
        limit = 0.0
        for turn, (name, run) in enumerate(runs.items()):
            if turn % 3 == 0:
                limit = _seconds(clock, runs[BARE], model, x, y)
            pairs[name].append((_seconds(clock, run, model, x, y), limit))
    fastest = min(limit for p in pairs.values() for _, limit in p)
    return [
        {
            "contestant": name,
            "median_ratio": statistics.median(t / limit for t, limit in p),
            "min_ratio": min(t for t, _ in p) / fastest,
            "min_seconds": min(t for t, _ in p),
            "median_seconds": statistics.median(t for t, _ in p),
            "robust_accuracy": None if name.startswith(BARE) else accuracy[name],
        }
        for name, p in pairs.items()
    ]


def main() -> None:
    """Measure both nets at every number of images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--images", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--attack", choices=("pgd", "apgd"), default="pgd")
    parser.add_argument("--nets", nargs="+", default=list(mnist_nets.NETS))
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--out", default="speed")
    args = parser.parse_args()
    clock, threads = CLOCKS[args.clock]
    torch.set_num_threads(threads)
    mine, others, what = {
        "pgd": (contestants.OURS, contestants.peers, "PGD-40, L_inf 0.3, step 0.01, random start"),
        "apgd": (contestants.OURS_APGD, contestants.peers_apgd, "APGD-40, L_inf 0.3, one start"),
    }[args.attack]
    runs, what = mine | ({} if args.no_peers else others()), f"{what}; relative to the bare loop"
    games: list[dict[str, Any]] = []
    for name in args.nets:
        for n in args.images:
            rows = measure(runs, clock, args.repeats, *subject(name, n))
            record.table(f"{name}, {n} images", rows)
            games.append({"net": name, "images": n, "rows": rows})
            payload = {"what": what, "clock": args.clock, "repeats": args.repeats, "games": games}
            record.write(args.out, SEED, threads, payload)


if __name__ == "__main__":
    main()
