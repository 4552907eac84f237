"""Certified accuracy of a trained net within Linf: by intervals, then by CROWN for the rest.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/certified.py runs/mnist-certified-0.3 \
        --eps 0.3 --n 10000

RUN is a folder that ``saddlepoint train`` wrote, or whatever else ``load_model`` takes; the test
split of ``--data`` is read. Bounds are computed in float32 with the last layer merged into the
margins; rounding is not accounted for, so a margin must clear ``--slack`` to count. ``--crown 0``
leaves the second step out. Prints the counts, writes results/certified-NAME.json.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import record
import torch
from torch import Tensor

from saddlepoint import Linf, load_model
from saddlepoint.core.goal import Untargeted
from saddlepoint.data import load_data
from saddlepoint.verify.crown import crown, least, lower_rows
from saddlepoint.verify.ibp import ibp_margin
from saddlepoint.verify.network import Network
from saddlepoint.verify.region import region
from saddlepoint.verify.spec import margins
from saddlepoint.verify.tracing import trace

IBP_BATCH = 256


def by_intervals(net: Network, threat: Linf, x: Tensor, y: Tensor) -> Tensor:
    """(B,) the largest upper bound of a margin."""
    spec = margins(Untargeted(y), net.nodes[-1].shape.numel(), x)
    return ibp_margin(net, region(threat, x).hull(), spec).amax(1)


def by_crown(net: Network, threat: Linf, x: Tensor, y: Tensor) -> Tensor:
    """(B,) the same, backward through every layer."""
    spec, where = margins(Untargeted(y), net.nodes[-1].shape.numel(), x), region(threat, x)
    rows = lower_rows(net, spec.weight)
    return -least(net, where, net.output, rows, crown(net, where)).amin(1)


def judged(args: argparse.Namespace) -> dict[str, Any]:
    """Return the counts and what they took."""
    loaded, split = load_model(args.run), load_data(args.data).split("test")
    x, y = (torch.as_tensor(t[: args.n]) for t in (split.x, split.y))
    x, y = (x.float() / 255 if x.dtype == torch.uint8 else x.float()), y.long()
    net, threat = trace(loaded.model.requires_grad_(False), tuple(x.shape[1:])), Linf(eps=args.eps)
    begin = time.process_time()
    with torch.no_grad():
        right = torch.cat([net.forward(b).argmax(1) for b in torch.split(x, IBP_BATCH)]) == y
        pairs = zip(torch.split(x, IBP_BATCH), torch.split(y, IBP_BATCH), strict=True)
        sure = torch.cat([by_intervals(net, threat, a, b) for a, b in pairs]) < -args.slack
        middle = time.process_time()
        more, rest = sure.clone(), (right & ~sure).nonzero().flatten()
        for few in torch.split(rest, args.crown) if args.crown else ():
            more[few] = by_crown(net, threat, x[few], y[few]) < -args.slack
    return {
        "model_sha256": loaded.sha256,
        "n": len(x),
        "clean": int(right.sum()),
        "certified_ibp": int((sure & right).sum()),
        "certified_crown": int((more & right).sum()) if args.crown else None,
        "cpu_seconds": {"ibp": middle - begin, "crown": time.process_time() - middle},
    }


def main() -> None:
    """Judge, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--eps", type=float, required=True)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--crown", type=int, default=8, metavar="B", help="Samples at a time (8).")
    parser.add_argument("--slack", type=float, default=1e-4)
    args = parser.parse_args()
    found = judged(args)
    for name in ("clean", "certified_ibp", "certified_crown"):
        if found[name] is not None:
            print(f"{name}: {found[name]} of {found['n']}, {found[name] / found['n']:.2%}")
    print(f"CPU seconds: {found['cpu_seconds']}")
    name = f"certified-{args.run.resolve().name}"
    what = f"certified accuracy within Linf(eps={args.eps:g}), test split of {args.data}"
    record.write(name, 0, torch.get_num_threads(), {"what": what, "eps": args.eps, **found})


if __name__ == "__main__":
    main()
