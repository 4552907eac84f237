"""How close minimum-norm attacks come to the decision boundary, and at what cost.

``python benchmarks/minnorm.py --norms L1`` writes results/minnorm-l1.json: per net and attack the
median and the mean distance to the closest break, and the passes per image that it took. The nets
are two published ones for MNIST, trained against attacks, and a plain one for the digits of
scikit-learn, trained here. ``--peers`` adds Foolbox and torchattacks, with .venv-bench.
"""

import argparse
import math
import time
from typing import Any

import mnist_nets
import record
import torch
from counting import Counting
from games import DIGITS, digits_net
from torch import Tensor, nn

from saddlepoint import (
    APGD,
    CW,
    CWL0,
    DDN,
    EAD,
    FAB,
    FMN,
    JSMA,
    L0,
    L1,
    L2,
    PDPGD,
    Bisect,
    CWLinf,
    DeepFool,
    Linf,
    OnePixel,
    Sequence,
    SigmaZero,
    Targets,
    load_data,
    nearest,
)
from saddlepoint.audit.witness import distance
from saddlepoint.core.threat import Graded

SEED, THREADS = 0, 1
COMMON: tuple[Any, ...] = (
    FMN(),
    FMN(steps=500),
    DDN(),
    DDN(steps=500),
    FAB(),
    PDPGD(),
    DeepFool(),
    Sequence((FMN(), FAB())),
    Targets(FAB(), n=9),
    Bisect(APGD(loss="dlr")),
)
ATTACKS: dict[str, tuple[Any, ...]] = {
    "Linf": (*COMMON, CWLinf()),
    "L2": (*COMMON, CW(), CW(steps=50, rounds=5), Sequence((CW(), FAB()))),
    "L1": (*COMMON, EAD()),
    "L0": (
        FMN(),
        FMN(steps=500),
        SigmaZero(steps=100),
        SigmaZero(steps=500),
        CWL0(),
        JSMA(),
        JSMA(pair=False, sign=0),
        OnePixel(places=5, population=100, generations=30),
    ),
}


def whole(norm: str, dims: int) -> Graded:
    """Return all that the input range holds: no sample is out of reach."""
    return {
        "Linf": Linf(eps=1.0),
        "L2": L2(eps=dims**0.5),
        "L1": L1(eps=float(dims)),
        "L0": L0(eps=dims),
    }[norm]


def subjects(n: int) -> dict[str, tuple[nn.Module, Tensor, Tensor]]:
    """Return each net with n test images and their labels."""
    nets = {name: (mnist_nets.net(name), *mnist_nets.images(n)) for name in mnist_nets.NETS}
    return {**nets, DIGITS: (digits_net(), *load_data("digits").split("test").batch(slice(0, n)))}


def summary(size: Tensor) -> dict[str, Any]:
    """What is written of (B,) distances, infinite where nothing broke."""
    median = float(size.quantile(0.5, interpolation="higher"))
    found = size[size.isfinite()]
    return {
        "median": median if math.isfinite(median) else None,  # more than half were not broken
        "mean": float(found.mean()) if len(found) else None,
        "unbroken": int(size.isinf().sum()),
    }


def ours(norm: str, attack: Any, model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Any]:  # noqa: ANN401
    """Attack one net and say what was found."""
    began = time.perf_counter()
    found = nearest(attack, model, x, y, whole(norm, x[0].numel()), seed=SEED)
    if found.error is not None:
        raise RuntimeError(found.error)
    return {
        **summary(found.size),
        "forward": float(found.cost.forward.double().mean()),
        "backward": float(found.cost.backward.double().mean()),
        "seconds": round(time.perf_counter() - began, 1),
    }


def theirs(norm: str, peer: Any, model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Any]:  # noqa: ANN401
    """Run a peer and judge what it returns: a point that breaks nothing counts for nothing."""
    began, count = time.perf_counter(), Counting(model).eval()
    moved = peer(count, x, y).detach().clamp(0, 1)
    seconds = time.perf_counter() - began
    with torch.no_grad():
        wrong, clean = model(moved).argmax(1) != y, model(x).argmax(1) != y
    size = torch.from_numpy(distance(x.numpy(), moved.numpy(), whole(norm, x[0].numel())))
    size = torch.where(wrong, size, math.inf).masked_fill(clean, 0.0)
    return {
        **summary(size),
        "forward": count.forwards / len(x),
        "backward": count.backwards / len(x),
        "seconds": round(seconds, 1),
    }


def main() -> None:
    """Measure and write results/minnorm-NORMS.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=50, help="test images")
    parser.add_argument("--norms", nargs="+", default=list(ATTACKS))
    parser.add_argument("--peers", action="store_true", help="Foolbox and torchattacks as well")
    args = parser.parse_args()
    torch.set_num_threads(THREADS)
    rows = []
    for name, (net, x, y) in subjects(args.n).items():
        for norm in args.norms:
            runs = {repr(a): (ours, a) for a in ATTACKS[norm]}
            if args.peers:
                from minnorm_peers import PEERS

                runs |= {peer: (theirs, run) for peer, run in PEERS[norm].items()}
            for attack, (measure, run) in runs.items():
                found = measure(norm, run, net, x, y)
                rows.append({"norm": norm, "net": name, "attack": attack, **found})
                print(rows[-1], flush=True)
    record.table("distance to the closest break", rows)
    what = "median and mean distance of the closest break on test images"
    name = "-".join(["minnorm", *args.norms] if args.norms != list(ATTACKS) else ["minnorm"])
    record.write(name.lower(), SEED, THREADS, {"what": what, "n": args.n, "rows": rows})


if __name__ == "__main__":
    main()
