"""Time and exactness of the projections for 128 CIFAR-sized images with the box active.

    .venv-bench/bin/python benchmarks/projection.py

One core, in processor time, which does not depend on what else the machine does. The reference
projects onto the L1 ball within the box by 40 bisections, as other libraries do. ``error`` is the
largest deviation from 200 bisections in float64.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import record
import torch
from torch import Tensor

from saddlepoint import L1, L2, Linf

THREADS, SEED, SHAPE = 1, 0, (128, 3, 32, 32)


def bisect(x: Tensor, u: Tensor, eps: float, rounds: int) -> Tensor:
    """Project onto {||z||_1 <= eps, 0 <= x + z <= 1} by halving a bracket of tau."""
    v, room = u.flatten(1).abs(), torch.where(u > 0, 1 - x, x).flatten(1)
    low, high = torch.zeros_like(v[:, :1]), v.amax(1, keepdim=True)
    inside = torch.minimum(v, room).sum(1, keepdim=True) <= eps
    for _ in range(rounds):
        tau = (low + high) / 2
        above = torch.minimum((v - tau).clamp(min=0), room).sum(1, keepdim=True) > eps
        low, high = torch.where(above, tau, low), torch.where(above, high, tau)
    z = torch.minimum((v - torch.where(inside, 0, high)).clamp(min=0), room)
    return z.view_as(u).copysign(u)


def _milliseconds(run: Callable[[], Tensor], repeats: int) -> list[float]:
    run()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append((time.process_time() - start) * 1000)
    return sorted(times)


def _points(x: Tensor) -> dict[str, Tensor]:
    """Return points to project: dense noise, heavy tails, and a step away from a sparse member."""
    torch.manual_seed(SEED)
    tails = torch.randn_like(x) ** 3
    sparse = torch.where(torch.rand_like(x) < 0.01, torch.randn_like(x), 0)
    return {"dense": torch.randn_like(x), "tails": tails, "sparse": sparse}


def _row(
    name: str, kind: str, eps: float, run: Callable[[], Tensor], repeats: int
) -> dict[str, Any]:
    times = _milliseconds(run, repeats)
    row = {"projection": name, "points": kind, "eps": eps}
    return row | {"min_ms": times[0], "median_ms": times[len(times) // 2]}


def measure(eps_l1: Sequence[float], repeats: int) -> list[dict[str, Any]]:
    """Return one row for each projection, kind of point and radius."""
    torch.manual_seed(SEED)
    x = (torch.rand(SHAPE) * 1.5 - 0.25).clamp_(0, 1)  # a third of the pixels touch the box
    rows = []
    for kind, u in _points(x).items():
        for eps in eps_l1:
            exact = bisect(x.double(), u.double(), eps, 200)
            for name, run in (
                ("L1", lambda u=u, eps=eps: L1(eps=eps).project(x, u)),
                ("L1, 40 bisections", lambda u=u, eps=eps: bisect(x, u, eps, 40)),
            ):
                error = (run() - exact).abs().max().item()
                rows.append(_row(name, kind, eps, run, repeats) | {"error": error})
        for ball in (L2(eps=0.5), L2(eps=5.0), Linf(eps=8 / 255)):
            name, eps = type(ball).__name__, float(ball.eps)
            run = lambda u=u, ball=ball: ball.project(x, u)  # noqa: E731 - timed as it is
            rows.append(_row(name, kind, eps, run, repeats) | {"error": None})
    return rows


def main() -> None:
    """Measure and write results/projection.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--eps", type=float, nargs="+", default=[1.0, 12.0, 100.0, 400.0])
    args = parser.parse_args()
    torch.set_num_threads(THREADS)
    rows = measure(args.eps, args.repeats)
    record.table("projections of 128 x 3 x 32 x 32, box active, one core", rows)
    what = "milliseconds per projection of 128 x 3 x 32 x 32 with the box active"
    record.write("projection", SEED, THREADS, {"what": what, "rows": rows})


if __name__ == "__main__":
    main()
