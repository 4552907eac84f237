"""How close attacks come that see labels only, after so many questions about each image.

``python benchmarks/decisions.py`` writes results/decisions.json: per norm and attack the median
distance of the closest break, and the robust accuracy at the usual radius, after 100, 1,000 and
5,000 questions. ``--peers`` measures Foolbox and ART instead, with .venv-bench, and writes
results/decisions-peers.json.
"""

import argparse
import math
import time
from typing import Any

import mnist_nets
import record
import torch
from torch import Tensor, nn

from saddlepoint import L2, Boundary, GeoDA, HopSkipJump, Linf, RayS, Sequence, nearest

SEED, THREADS, NET = 0, 1, "mnist-fgsm"
QUERIES = (100, 1000, 5000)
ORDERS = {"Linf": math.inf, "L2": 2.0}
RADII = {"Linf": 0.3, "L2": 2.0}
WHOLE: dict[str, Any] = {"Linf": Linf(eps=1.0), "L2": L2(eps=28.0)}


def attacks(q: int) -> tuple[Any, ...]:
    """Return ours for q questions."""
    first = min(max(100, q // 10), q // 2)
    both = Sequence((RayS(n_queries=first), HopSkipJump(n_queries=q - first)))
    return RayS(n_queries=q), HopSkipJump(n_queries=q), GeoDA(n_queries=q), Boundary(q), both


def ours(norm: str, x: Tensor, y: Tensor, net: nn.Module) -> list[dict[str, Any]]:
    """Measure ours; nothing but labels is granted."""
    rows = []
    for q in QUERIES:
        for attack in attacks(q):
            began = time.perf_counter()
            found = nearest(attack, net, x, y, WHOLE[norm], seed=SEED, access="labels")
            if found.error is not None:
                raise RuntimeError(found.error)
            if int(found.cost.forward.max()) > q + 1:
                raise RuntimeError("more questions than agreed")
            name = repr(attack).replace(f"(n_queries={q})", "").replace("()", "")
            rows.append(_row(norm, name, q, found.size, time.perf_counter() - began))
    return rows


def theirs(norm: str, x: Tensor, y: Tensor, net: nn.Module) -> list[dict[str, Any]]:
    """Measure the peers; GeoDA plans for its questions, the others are cut off."""
    from decisions_peers import PEERS, trace

    rows = []
    wrong = net(x).argmax(1) != y
    for name, run in PEERS[norm].items():
        for most in QUERIES if "GeoDA" in name else QUERIES[-1:]:
            began = time.perf_counter()
            best = trace(run, net, x, y, ORDERS[norm], most)
            seconds = time.perf_counter() - began
            for q in (most,) if "GeoDA" in name else QUERIES:
                rows.append(_row(norm, name, q, best[:, q - 1].masked_fill(wrong, 0), seconds))
    return rows


def _row(norm: str, name: str, q: int, size: Tensor, seconds: float) -> dict[str, Any]:
    """What is written of (B,) distances, infinite where nothing broke."""
    median = float(size.double().quantile(0.5, interpolation="higher"))
    row = {
        "norm": norm,
        "attack": name,
        "queries": q,
        "median": median if math.isfinite(median) else None,
        "robust": float((size > RADII[norm]).double().mean()),
        "seconds": round(seconds, 1),
    }
    print(row, flush=True)
    return row


def main() -> None:
    """Measure and write results/decisions.json or decisions-peers.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=30, help="test images")
    parser.add_argument("--norms", nargs="+", default=list(RADII))
    parser.add_argument("--peers", action="store_true", help="Foolbox and ART instead of ours")
    args = parser.parse_args()
    torch.set_num_threads(THREADS)
    net, (x, y) = mnist_nets.net(NET), mnist_nets.images(args.n)
    measure = theirs if args.peers else ours
    rows = [row for norm in args.norms for row in measure(norm, x, y, net)]
    record.table("distance of the closest break by labels", rows)
    what = "closest break after so many questions by label; robust: share of all at Linf 0.3, L2 2"
    head = {"what": what, "net": NET, "n": args.n, "radii": RADII}
    record.write(
        "decisions-peers" if args.peers else "decisions", SEED, THREADS, head | {"rows": rows}
    )


if __name__ == "__main__":
    main()
