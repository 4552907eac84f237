"""Success against queries: what black-box attacks need before a sample breaks.

    SADDLEPOINT_DATA=DIR .venv-bench/bin/python benchmarks/blackbox.py \
        ../shared/models/mnist-fgsm.safetensors --peers
    … benchmarks/blackbox.py runs/cifar-small --data cifar10.npz --threat "Linf(eps=8/255)" --n 50
    … benchmarks/blackbox.py MODEL --threat "L2(eps=2.0)" --attack "Square()" "Bandits(tiles=7)"

A subject is a folder that ``saddlepoint train`` wrote or a weights file (``--arch``). Attacks are
named as on the command line of ``saddlepoint audit``; one that has ``n_queries`` gets ``--queries``
unless it says otherwise, and none may ask more often. Attacked are those of the first ``--n``
images that the model gets right. Queries are rows through the model up to and with the one that
breaks the image, the clean image included; for the peers (``--peers``: Square of torchattacks and
of ART) a wrapper around the model counts them, image by image, and judges every row itself: within
eps and [0, 1], and misclassified. Failure rates are shares of the images attacked; ``mean, capped``
counts an unbroken image with the whole budget, so that rows with different success compare.

Writes results/blackbox-SUBJECT-NORM.json after each row; the same command goes on with the rows
that are missing, and further ``--attack`` add to them.
"""

import argparse
import dataclasses
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import record
import torch
from judging import Ball, ball
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.core.access import ACCESS, check_fit
from saddlepoint.core.errors import Unsupported
from saddlepoint.models import Loaded
from saddlepoint.presets import parse_attack, parse_threat

ATTACKS = (
    "Square()",
    "RandomSearch()",
    "Bandits()",
    "NES()",
    "SPSA()",
    "ZOO()",
    "SimBA()",
    "SimBA(basis='dct')",
    "SignHunter()",
    "Parsimonious()",
)
AT = (100, 1000, 5000, 10000)


class Meter(nn.Module):
    """Counts rows by image, and notes at which of its rows each image first broke.

    A row belongs to the clean image that is nearest.
    """

    def __init__(self, inner: nn.Module, x: Tensor, y: Tensor, where: Ball) -> None:
        super().__init__()
        self.inner, self.x, self.y, self.where = inner, x, y, where
        self.rows = torch.zeros(len(x), dtype=torch.int64)
        self.first = torch.zeros(len(x), dtype=torch.int64)

    def forward(self, x: Tensor) -> Tensor:
        """Ask the model, and look at what was asked."""
        out: Tensor = self.inner(x)
        with torch.no_grad():
            whose = torch.cdist(x.flatten(1), self.x.flatten(1)).argmin(1)
            self.rows += torch.bincount(whose, minlength=len(self.rows))
            inside = self.where.contains(self.x[whose], x)
            broke = whose[inside & (out.argmax(1) != self.y[whose])]
            new = broke[self.first[broke] == 0]
            self.first[new] = self.rows[new]
        return out


def least_access(attack: Any, threat: Any) -> str | None:  # noqa: ANN401
    """Return the narrowest door that the attack fits through; None where it does not fit."""
    for access in ACCESS:
        try:
            check_fit(attack, threat, access)
        except Unsupported:
            continue
        return access
    return None


def asked(text: str, queries: int) -> Any:  # noqa: ANN401
    """Read an attack and give it the budget, unless it names its own."""
    attack = parse_attack(text)
    if hasattr(attack, "n_queries") and "n_queries" not in text:
        return dataclasses.replace(attack, n_queries=queries)
    return attack


def ours(text: str, model: nn.Module, x: Tensor, y: Tensor, args: argparse.Namespace) -> Any:  # noqa: ANN401
    """(B,) queries at which each image broke, 0 where it did not; None where it does not fit."""
    threat, attack = parse_threat(args.threat), asked(text, args.queries)
    access: Any = least_access(attack, threat)
    if access is None:
        return None, None
    budget = sp.Budget(forward=args.queries + 1)
    found = sp.search(
        attack, model, x, y, threat, budget=budget, seed=args.seed, access=access, batch_size=len(x)
    )
    if found.error is not None:
        raise RuntimeError(found.error)
    return access, torch.where(found.broken, found.cost.forward.long(), 0)


def theirs(
    peer: Any,  # noqa: ANN401
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    args: argparse.Namespace,
) -> tuple[str, Tensor]:
    """(B,) queries at which each image broke, as the meter saw it."""
    where = ball(args.threat)
    meter = Meter(model, x, y, where).eval()
    peer(meter, x, y, where.norm, where.eps, args.queries, args.seed)
    return "scores", torch.where(meter.first <= args.queries + 1, meter.first, 0)


def summary(first: Tensor, queries: int) -> dict[str, Any]:
    """What is written of (B,) queries, 0 where nothing broke."""
    broke = first[first > 0].double()
    capped = torch.where(first > 0, first, queries + 1).double()
    rates = {
        f"failure_{k}": float(((first == 0) | (first > k)).double().mean())
        for k in AT
        if k <= queries
    }
    return {
        "median": float(broke.median()) if len(broke) else None,
        "mean": float(broke.mean()) if len(broke) else None,
        "mean_capped": float(capped.mean()),
        **rates,
    }


def subject(args: argparse.Namespace) -> Loaded:
    """Load the model and settle threat and data."""
    if args.model.is_dir():
        said = json.loads((args.model / "model.json").read_text(encoding="utf-8"))
        args.data = args.data or said.get("data")
        loaded = sp.load_model(args.model)
    else:
        loaded = sp.load_model(args.model, args.arch)
    args.data = args.data or "mnist"
    return loaded


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--arch", default="conv-small")
    parser.add_argument("--threat", default="Linf(eps=0.3)", help="Linf or L2 in the box [0, 1]")
    parser.add_argument("--data", help="default: that of training, or mnist")
    parser.add_argument("--split", default="test")
    parser.add_argument("--attack", nargs="+", default=list(ATTACKS))
    parser.add_argument("--peers", action="store_true", help="Square of torchattacks and ART too")
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--queries", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", help="in place of blackbox-SUBJECT-NORM")
    args = parser.parse_args()
    if min(args.n, args.queries, args.threads) < 1:
        parser.error("--n, --queries and --threads must be at least 1")
    return args


def earlier(path: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows that the file holds; refuse what is of other settings."""
    if not path.exists():
        return []
    said = json.loads(path.read_text(encoding="utf-8"))
    differs = [k for k, v in settings.items() if said["settings"].get(k) != v]
    if differs:
        sys.exit(f"{path} holds another run: other {', '.join(differs)}; give --out NAME")
    return list(said["rows"])


def runs(args: argparse.Namespace) -> dict[str, Any]:
    """Return what is to be run, by name."""
    found: dict[str, Any] = {text: (ours, text) for text in args.attack}
    if args.peers:
        from blackbox_peers import PEERS

        found |= {name: (theirs, run) for name, run in PEERS.items()}
    return found


def main() -> None:
    """Run what is missing, row by row."""
    args = options()
    torch.set_num_threads(args.threads)
    loaded = subject(args)
    model: Any = loaded.model.eval()
    if isinstance(model, nn.Module):
        model.requires_grad_(False)
    split = sp.load_data(args.data).split(args.split)
    x, y = split.batch(slice(0, args.n))
    with torch.no_grad():
        right = model(x).argmax(1) == y
    x, y = x[right], y[right]
    settings = {k: getattr(args, k) for k in ("threat", "split", "n", "queries", "seed")}
    settings |= {"model_sha256": loaded.sha256, "data_sha256": split.sha256()}
    norm = re.sub(r"[^a-z0-9.]+", "-", args.threat.lower().replace("eps=", "")).strip("-")
    name = args.out or f"blackbox-{args.model.resolve().stem}-{norm}"
    rows = earlier(record.RESULTS / f"{name}.json", settings)
    done = {row["attack"] for row in rows}
    for text, (measure, run) in runs(args).items():
        if text in done:
            continue
        began = time.process_time()
        access, first = measure(run, model, x, y, args)
        if access is None:
            print(f"{text}: does not fit {args.threat}", flush=True)
            continue
        cost = round(time.process_time() - began, 1)
        row = {"attack": text, "access": access, **summary(first, args.queries), "seconds": cost}
        print(row, flush=True)
        rows.append({**row, "queries": first.tolist()})
        what = "queries until a sample breaks"
        payload = {"what": what, "model": str(args.model), "settings": settings}
        payload |= {"attacked": len(x), "rows": rows}
        record.write(name, args.seed, args.threads, payload)
    shown = [{k: v for k, v in row.items() if k != "queries"} for row in rows]
    record.table(f"{args.model}, {args.threat}: {len(x)} of {args.n} images", shown)


if __name__ == "__main__":
    main()
