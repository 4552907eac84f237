"""Certified accuracy of a trained net within Linf: by intervals, then by dearer bounds.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/certified.py runs/mnist-certified-0.3 --eps 0.3
    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/certified.py runs/mnist-certified-0.1 --eps 0.1 \
        --rungs ibp crown alpha branch --seconds 5

RUN is a folder that ``saddlepoint train`` wrote, or whatever else ``load_model`` takes; the first
``--n`` test samples of ``--data`` are judged. Bounds are computed in float32; a margin counts that
is at most -1e-5. A sample that is answered wrongly counts as not certified and is bounded no
further. Counts add up along the rungs. Prints them, writes results/certified-NAME.json.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import record
import torch

from saddlepoint import Linf, load_model
from saddlepoint.core.goal import Untargeted
from saddlepoint.data import load_data
from saddlepoint.verify.ladder import Ladder, Rung
from saddlepoint.verify.region import region
from saddlepoint.verify.spec import margins
from saddlepoint.verify.tracing import trace

PIECE = 256


def judged(args: argparse.Namespace) -> dict[str, Any]:
    """Return the counts and what they took."""
    loaded, split = load_model(args.run), load_data(args.data).split("test")
    x, y = (torch.as_tensor(t[: args.n]) for t in (split.x, split.y))
    x, y = (x.float() / 255 if x.dtype == torch.uint8 else x.float()), y.long()
    net, threat = trace(loaded.model.requires_grad_(False), tuple(x.shape[1:])), Linf(eps=args.eps)
    rungs = tuple(Rung[name.upper()] for name in args.rungs)
    ladder = Ladder(seconds=args.seconds, rungs=rungs, batch=args.batch)
    with torch.no_grad():
        right = torch.cat([net.forward(b).argmax(1) for b in torch.split(x, PIECE)]) == y
    done: list[tuple[Rung, bool]] = []  # what proved a sample, whether it was broken
    begin = time.process_time()
    for rows in torch.split(right.nonzero().flatten(), PIECE):
        spec = margins(Untargeted(y[rows]), net.nodes[-1].shape.numel(), x)
        verdicts = ladder(net, region(threat, x[rows]), spec)
        done += [(v.rung if v.certified else Rung.NONE, v.found is not None) for v in verdicts]
        proved = sum(by != Rung.NONE for by, _ in done)
        print(f"{len(done)} of {int(right.sum())}: {proved} certified", flush=True)
    found = {r.name.lower(): sum(Rung.NONE < by <= r for by, _ in done) for r in rungs}
    return {
        "model_sha256": loaded.sha256,
        "n": len(x),
        "clean": int(right.sum()),
        "certified_up_to": found,
        "broken": sum(broken for _, broken in done),
        "seconds_per_sample": args.seconds,
        "cpu_seconds": time.process_time() - begin,
    }


def main() -> None:
    """Judge, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--eps", type=float, required=True)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--data", default="mnist")
    names = [r.name.lower() for r in Rung if r]
    parser.add_argument("--rungs", nargs="+", choices=names, default=["ibp", "crown"])
    parser.add_argument("--seconds", type=float, default=5.0, help="Of branch and bound a sample.")
    parser.add_argument("--batch", type=int, default=16)
    args = parser.parse_args()
    found = judged(args)
    for name, count in {"clean": found["clean"], **found["certified_up_to"]}.items():
        print(f"{name}: {count} of {found['n']}, {count / found['n']:.2%}")
    print(f"broken: {found['broken']}; {found['cpu_seconds']:.0f} CPU seconds")
    name = f"certified-{args.run.resolve().name}"
    what = f"certified accuracy within Linf(eps={args.eps:g}), test split of {args.data}"
    record.write(name, 0, torch.get_num_threads(), {"what": what, "eps": args.eps, **found})


if __name__ == "__main__":
    main()
