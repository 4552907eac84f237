"""How close minimum-norm attacks come to the decision boundary of two MNIST nets, and at what cost.

``python benchmarks/minnorm.py --norms L1`` writes results/minnorm-l1.json: per net and attack the
median and the mean distance to the closest break, and the passes per image that it took.
"""

import argparse
import math
import time
from typing import Any

import mnist_nets
import record
import torch

from saddlepoint import (
    APGD,
    DDN,
    FAB,
    FMN,
    L0,
    L1,
    L2,
    PDPGD,
    Bisect,
    Linf,
    Sequence,
    SigmaZero,
    Targets,
    nearest,
)
from saddlepoint.core.threat import Graded

SEED, THREADS = 0, 1
DIMS = 784
# All that the input range holds: no sample is out of reach.
SETS: dict[str, Graded] = {
    "Linf": Linf(eps=1.0),
    "L2": L2(eps=DIMS**0.5),
    "L1": L1(eps=float(DIMS)),
    "L0": L0(eps=DIMS),
}
CONVEX: tuple[Any, ...] = (
    FMN(),
    FMN(steps=500),
    DDN(),
    DDN(steps=500),
    FAB(),
    PDPGD(),
    Sequence((FMN(), FAB())),
    Targets(FAB(), n=9),
    Bisect(APGD(loss="dlr")),
)
COUNT: tuple[Any, ...] = (FMN(), FMN(steps=500), SigmaZero(steps=100), SigmaZero(steps=500))


def row(norm: str, net: str, attack: Any, n: int) -> dict[str, Any]:  # noqa: ANN401
    """Attack one net and say what was found."""
    x, y = mnist_nets.images(n)
    began = time.perf_counter()
    found = nearest(attack, mnist_nets.net(net), x, y, SETS[norm], seed=SEED)
    size = found.size
    median = float(size.quantile(0.5, interpolation="higher"))
    return {
        "norm": norm,
        "net": net,
        "attack": repr(attack),
        "median": median if math.isfinite(median) else None,  # more than half were not broken
        "mean": float(size[size.isfinite()].mean()),
        "unbroken": int(size.isinf().sum()),
        "forward": float(found.cost.forward.double().mean()),
        "backward": float(found.cost.backward.double().mean()),
        "seconds": round(time.perf_counter() - began, 1),
    }


def main() -> None:
    """Measure and write results/minnorm-NORMS.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=50, help="test images")
    parser.add_argument("--norms", nargs="+", default=list(SETS))
    args = parser.parse_args()
    torch.set_num_threads(THREADS)
    rows = []
    for norm in args.norms:
        for attack in COUNT if norm == "L0" else CONVEX:
            for net in mnist_nets.NETS:
                rows.append(row(norm, net, attack, args.n))
                print(rows[-1], flush=True)
    record.table("distance to the closest break", rows)
    what = "median and mean distance of the closest break on MNIST test images"
    name = "-".join(["minnorm", *args.norms]).lower()
    record.write(name, SEED, THREADS, {"what": what, "n": args.n, "rows": rows})


if __name__ == "__main__":
    main()
