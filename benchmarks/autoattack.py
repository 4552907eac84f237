"""A check from outside: torchattacks' AutoAttack, or its PGD, on a model that we trained.

    SADDLEPOINT_DATA=DIR .venv-bench/bin/python benchmarks/autoattack.py runs/mnist-linf
    SADDLEPOINT_DATA=DIR .venv-bench/bin/python benchmarks/autoattack.py runs/cifar10-linf-fast \
        --attack pgd50 --restarts 10
    SADDLEPOINT_DATA=DIR .venv-bench/bin/python benchmarks/autoattack.py runs/mnist-linf \
        --n 4 --chunk 2 --out smoke                                    (does it run?)

The folder is one that ``saddlepoint train`` wrote; threat and data are those it was trained with
unless ``--threat`` and ``--data`` say otherwise. Attacked are those of the first ``--n`` test
images that the model gets right, in chunks. ``autoattack`` is the standard version (APGD-CE,
targeted APGD, targeted FAB, Square); ``pgd50`` takes 50 steps of eps/4 (2/255 at 8/255) from random
starts, and restarts on what is left.

The library is not taken at its word. An image counts as broken when the model, asked here, gets
the returned image wrong *and* the image lies in the set: within eps of the original, in float64,
and in [0, 1]. ``outside`` counts returned images that do not, ``violations`` those of them that are
misclassified: breaks which the library would have claimed and which do not count.

Writes results/ATTACK-FOLDER.json after each chunk. The same command goes on with the chunks that
are missing, and a larger ``--n`` adds to them; a file about another model or other settings is left
alone unless ``--restart`` is given. Progress goes to standard error.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import record
import torch
import torchattacks
from judging import Ball, ball, wrong
from torch import Tensor, nn

from saddlepoint import load_data, load_model
from saddlepoint.core.tf32 import without_tf32
from saddlepoint.models import Loaded

STEPS = 50
Attack = Callable[[Tensor, Tensor], Tensor]


def autoattack(model: nn.Module, where: Ball, classes: int, seed: int) -> Attack:
    """Return the standard AutoAttack of torchattacks."""
    found: Attack = torchattacks.AutoAttack(
        model,
        norm=where.norm,
        eps=where.eps,
        version="standard",
        n_classes=classes,
        seed=seed,
    )
    return found


def pgd(model: nn.Module, where: Ball, restarts: int, seed: int) -> Attack:
    """Return PGD with restarts on what is left: the first break of each row, or its last try."""
    kind = {"Linf": torchattacks.PGD, "L2": torchattacks.PGDL2}[where.norm]
    once = kind(model, eps=where.eps, alpha=where.eps / 4, steps=STEPS, random_start=True)

    def run(x: Tensor, y: Tensor) -> Tensor:
        x_adv, left = x.clone(), torch.arange(len(x), device=x.device)
        for k in range(restarts):
            torch.manual_seed(seed + k)
            x_adv[left] = once(x[left], y[left])
            hit = wrong(model, x_adv[left], y[left]) & where.contains(x[left], x_adv[left])
            left = left[~hit]
            if not len(left):
                break
        return x_adv

    return run


def judge(model: nn.Module, attack: Attack, where: Ball, x: Tensor, y: Tensor) -> dict[str, Any]:
    """Attack one chunk and count, trusting nothing that comes back."""
    begin = time.perf_counter()
    right = ~wrong(model, x, y)
    x, y = x[right], y[right]
    x_adv = attack(x, y).detach() if len(x) else x
    if x_adv.shape != x.shape:
        raise RuntimeError(f"the attack returned {tuple(x_adv.shape)} for {tuple(x.shape)}")
    inside, fooled = where.contains(x, x_adv), wrong(model, x_adv, y)
    return {
        "n": len(right),
        "clean": len(x),
        "robust": int((~(fooled & inside)).sum()),
        "outside": int((~inside).sum()),
        "violations": int((fooled & ~inside).sum()),
        "seconds": round(time.perf_counter() - begin, 2),
    }


def earlier(path: Path, settings: dict[str, Any], restart: bool) -> dict[int, dict[str, Any]]:
    """Return the chunks that the file holds, by their start; refuse what is of other settings."""
    if restart or not path.exists():
        return {}
    said = json.loads(path.read_text(encoding="utf-8"))
    there = said.get("settings", {})
    differs = [k for k in settings if there.get(k) != settings[k]]
    if differs:
        told = ", ".join(f"{k} = {there.get(k)!r} there, {settings[k]!r} here" for k in differs)
        sys.exit(f"{path} holds another run: {told}; give --out NAME, or --restart to replace it")
    return {chunk["start"]: chunk for chunk in said["chunks"]}


def total(chunks: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Add the chunks up; accuracies are shares of all images, wrongly classified ones included."""
    names = ("n", "clean", "robust", "outside", "violations", "seconds")
    sums = {name: sum(chunk[name] for chunk in chunks.values()) for name in names}
    shares = {f"{k}_accuracy": sums[k] / sums["n"] for k in ("clean", "robust")}
    counts = {k: sums[k] for k in ("n", "outside", "violations")}
    return {**counts, **shares, "seconds": round(sums["seconds"], 2)}


def save(
    args: argparse.Namespace, settings: dict[str, Any], chunks: dict[int, dict[str, Any]]
) -> None:
    """Write beside the result, then rename: a kill must not cost hours of finished chunks."""
    what = "robust accuracy under torchattacks, every returned image verified here"
    rows = [chunks[start] for start in sorted(chunks)]
    payload = {"what": what, "model": str(args.folder), "model_sha256": settings["model_sha256"]}
    payload |= {"settings": settings, **total(chunks), "chunks": rows}
    with contextlib.redirect_stdout(None):  # it names a file that is about to move
        part = record.write(f".{args.out}.part", args.seed, args.threads, payload)
    os.replace(part, record.RESULTS / f"{args.out}.json")


def described(args: argparse.Namespace, loaded: Loaded, where: Ball, data: str) -> dict[str, Any]:
    """Return all that decides the outcome of a chunk."""
    own = {"restarts": args.restarts, "alpha": where.eps / 4} if args.attack == "pgd50" else {}
    return {
        "attack": args.attack,
        "norm": where.norm,
        "eps": where.eps,
        **own,
        "model_sha256": loaded.sha256,
        "data": args.data,
        "data_sha256": data,
        "seed": args.seed,
        "chunk": args.chunk,
        "versions": {name: version(name) for name in ("torch", "torchattacks")},
    }


def options() -> argparse.Namespace:
    """Read the command line; what it leaves open comes from the folder's model.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="written by saddlepoint train")
    parser.add_argument("--attack", choices=["autoattack", "pgd50"], default="autoattack")
    parser.add_argument("--restarts", type=int, default=10, help="of pgd50")
    parser.add_argument("--threat", help='such as "Linf(eps=8/255)"; default: that of training')
    parser.add_argument("--data", help="a known data set or an archive; default: that of training")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--chunk", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--channels-last", action="store_true", help="lay weights out so: wide nets answer sooner"
    )
    parser.add_argument("--restart", action="store_true", help="forget the chunks of an older run")
    parser.add_argument("--out", help="in place of ATTACK-FOLDER")
    args = parser.parse_args()
    if min(args.n, args.chunk, args.restarts, args.threads) < 1:
        parser.error("--n, --chunk, --restarts and --threads must be at least 1")
    said = json.loads((args.folder / "model.json").read_text(encoding="utf-8"))
    args.threat = args.threat or said.get("plan", {}).get("threat")
    args.data = args.data or said.get("data")
    for name in ("threat", "data"):
        if not getattr(args, name):
            parser.error(f"--{name}: {args.folder / 'model.json'} does not say, so it is needed")
    args.out = args.out or f"{args.attack}-{args.folder.resolve().name}"
    return args


def main() -> None:
    """Attack what is missing, chunk by chunk."""
    args = options()
    torch.set_num_threads(args.threads)
    where, loaded = ball(args.threat), load_model(args.folder)
    model, device = loaded.model, torch.device(args.device)
    if not isinstance(model, nn.Module):
        sys.exit(f"{args.folder}: no torch model, which torchattacks needs")
    model.to(device).eval().requires_grad_(False)
    if args.channels_last:
        model.to(memory_format=torch.channels_last)
    split = load_data(args.data).split("test")
    settings = described(args, loaded, where, split.sha256())
    chunks = earlier(record.RESULTS / f"{args.out}.json", settings, args.restart)
    if args.attack == "autoattack":
        attack = autoattack(model, where, loaded.classes or 10, args.seed)
    else:
        attack = pgd(model, where, args.restarts, args.seed)
    end = min(args.n, len(split))
    for start in range(0, end, args.chunk):
        stop = min(start + args.chunk, end)
        if chunks.get(start, {}).get("n", 0) >= stop - start:
            continue
        x, y = split.batch(slice(start, stop))
        with without_tf32():
            found = judge(model, attack, where, x.to(device), y.to(device))
        chunks[start] = {"start": start, **found, "threads": args.threads, "device": args.device}
        save(args, settings, chunks)
        so_far = total(chunks)
        print(
            f"images {start} to {stop - 1}: {found['robust']} of {found['n']} robust, "
            f"{found['seconds']:.0f} s; {so_far['robust_accuracy']:.2%} of {so_far['n']} so far",
            file=sys.stderr,
            flush=True,
        )
    record.table(f"{args.attack} on {args.folder}, {args.threat}", [total(chunks)])
    print(f"-> {record.RESULTS / f'{args.out}.json'}")


if __name__ == "__main__":
    main()
