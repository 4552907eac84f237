"""The cascade beside AutoAttack: what is left, passes per image, and time on the same core.

    SADDLEPOINT_DATA=DIR .venv-bench/bin/python benchmarks/audit.py \
        ../shared/models/mnist-fgsm.safetensors ../shared/models/mnist-pgd.safetensors
    SADDLEPOINT_DATA=DIR .venv-bench/bin/python benchmarks/audit.py runs/mnist-l2 runs/cifar-small
    SADDLEPOINT_DATA=DIR .venv-bench/bin/python benchmarks/audit.py MODEL --n 10000 --no-peer

A subject is a folder that ``saddlepoint train`` wrote (threat and data as in its training) or a
weights file (``--arch``, ``--threat`` and ``--data`` say the rest). Ours is ``saddlepoint audit``
at its defaults, without figures; the peer is torchattacks' AutoAttack, standard version (its APGD
and FAB take 10 steps where the published ones take 100), whose returned images are judged here.
``--suite`` adds our own standard suite, with the published numbers of steps. Passes are rows
through the model divided by images, counted alike for both by a wrapper around the model: nothing
either library says of itself is believed. Times are CPU seconds of this process (and wall seconds),
with the same ``--threads`` in the same process.

Writes results/audit-SUBJECT.json. The peer goes chunk by chunk, and the same command goes on.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import autoattack
import record
import torch
from counting import Counting
from judging import ball

import saddlepoint as sp
from saddlepoint.models import Loaded
from saddlepoint.presets import parse_threat


class Clock:
    """Passes, CPU and wall seconds between two looks."""

    def __init__(self, model: Counting) -> None:
        self.model, self.then = model, (0, 0, time.process_time(), time.perf_counter())
        self.then = self._now()

    def _now(self) -> tuple[int, int, float, float]:
        m = self.model
        return m.forwards, m.backwards, time.process_time(), time.perf_counter()

    def lap(self) -> dict[str, float]:
        """Return what was spent since the last lap."""
        now = self._now()
        names = ("rows_forward", "rows_backward", "cpu_seconds", "wall_seconds")
        spent = {k: b - a for k, a, b in zip(names, self.then, now, strict=True)}
        self.then = now
        return spent


def subject(args: argparse.Namespace, path: Path) -> tuple[Loaded, str, str]:
    """Return the model, its threat and its data."""
    if path.is_dir():
        said = json.loads((path / "model.json").read_text(encoding="utf-8"))
        threat, data = said["plan"]["threat"], said["data"]
        return sp.load_model(path), args.threat or threat, args.data or data
    return sp.load_model(path, args.arch), args.threat or "Linf(eps=0.3)", args.data or "mnist"


def ours(
    model: Counting,
    split: Any,  # noqa: ANN401
    threat: str,
    args: argparse.Namespace,
    suite: str | None = None,
) -> dict[str, Any]:
    """Audit the first n images at the defaults, or by a named suite."""
    clock = Clock(model)
    result = sp.audit(
        model,
        split,
        parse_threat(threat),
        suite,
        effort="standard" if suite else args.effort,
        n=args.n,
        seed=args.seed,
        precision=args.precision,
        figures=0,
        probes=0,
    )
    spent, said = clock.lap(), result.document
    return {
        "robust_accuracy": result.robust_accuracy,
        "clean_accuracy": result.clean_accuracy,
        "adversary_forward": said["cost"]["forward"],
        "adversary_backward": said["cost"]["backward"],
        "incompleteness": said["robust_accuracy"]["incompleteness"],
        "rounds": [
            {k: a[k] for k in ("arm", "stage", "evaluated", "newly_broken", "forward", "backward")}
            | {"left": a["robust_accuracy_after"]}
            for a in said["attacks"]
        ],
        **spent,
    }


def peer(
    model: Counting,
    split: Any,  # noqa: ANN401
    threat: str,
    args: argparse.Namespace,
    done: dict[str, Any],
) -> dict[str, Any]:
    """Run AutoAttack on the chunks that are missing; ``done`` holds those of an earlier call."""
    where = ball(threat)
    attack = autoattack.autoattack(model, where, args.classes, args.seed)
    chunks = {int(k): v for k, v in done.get("chunks", {}).items()}
    for start in range(0, args.n, args.chunk):
        if start not in chunks:
            clock = Clock(model)
            x, y = split.batch(slice(start, min(start + args.chunk, args.n)))
            found = autoattack.judge(model, attack, where, x, y)
            chunks[start] = {**found, **clock.lap()}
            print(f"  AutoAttack, images from {start}: {found['robust']} robust", file=sys.stderr)
            keep(args, {"chunks": chunks, **total(chunks)})
    return {"chunks": chunks, **total(chunks)}


def total(chunks: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """Add chunks up."""
    names = (
        "n",
        "robust",
        "outside",
        "rows_forward",
        "rows_backward",
        "cpu_seconds",
        "wall_seconds",
    )
    sums = {k: sum(c[k] for c in chunks.values()) for k in names}
    return {**sums, "robust_accuracy": sums["robust"] / sums["n"]}


def keep(args: argparse.Namespace, found: dict[str, Any]) -> None:
    """Keep finished chunks beside the result."""
    args.part.write_text(json.dumps({"settings": args.settings, "peer": found}))


def earlier(args: argparse.Namespace) -> dict[str, Any]:
    """Chunks of an interrupted call with the same settings."""
    for path in (args.part, record.RESULTS / f"{args.out}.json"):
        if path.exists():
            said = json.loads(path.read_text())
            if said.get("settings") == args.settings and said.get("peer"):
                return dict(said["peer"])
    return {}


def row(name: str, found: dict[str, Any], n: int) -> dict[str, Any]:
    """One line of the table."""
    return {
        "": name,
        "left %": round(100 * found["robust_accuracy"], 2),
        "forward": found["rows_forward"] / n,
        "backward": found["rows_backward"] / n,
        "CPU s": found["cpu_seconds"],
        "wall s": found["wall_seconds"],
    }


def run(args: argparse.Namespace, path: Path) -> None:
    """Measure one subject and write its file."""
    loaded, threat, data = subject(args, path)
    model = Counting(loaded.model).eval().requires_grad_(False)
    split = sp.load_data(data).split("test")
    args.classes = loaded.classes or 10
    args.out = args.name or f"audit-{path.name if path.is_dir() else path.stem}-{args.n}"
    args.part = record.RESULTS / f".{args.out}.part"
    args.settings = {
        "model_sha256": loaded.sha256,
        "threat": threat,
        "data": data,
        "data_sha256": split.sha256(args.n),
        "n": args.n,
        "seed": args.seed,
        "chunk": args.chunk,
        "threads": args.threads,
    }
    mine = ours(model, split, threat, args)
    record.table(f"{path.name}, {threat}, {args.n} images", [row("saddlepoint", mine, args.n)])
    payload = {
        "what": "the cascade beside torchattacks' AutoAttack; passes are rows through the model",
        "model": path.name,
        "settings": args.settings,
        "effort": args.effort,
        "precision": args.precision,
        "ours": mine,
    }
    if args.suite:
        whole = ours(model, split, threat, args, "autoattack")
        record.table("standard suite", [row("saddlepoint", whole, args.n)])
        payload |= {"suite": whole, "cpu_ratio_suite": mine["cpu_seconds"] / whole["cpu_seconds"]}
    if args.peer:
        theirs = peer(model, split, threat, args, earlier(args))
        both = [row("saddlepoint", mine, args.n), row("AutoAttack", theirs, args.n)]
        record.table(f"{path.name}, {threat}, {args.n} images", both)
        payload |= {"peer": theirs, "cpu_ratio": mine["cpu_seconds"] / theirs["cpu_seconds"]}
    record.write(args.out, args.seed, args.threads, payload)
    args.part.unlink(missing_ok=True)


def main() -> None:
    """Measure every subject."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subjects", type=Path, nargs="+")
    parser.add_argument("--arch", default="conv-small", help="of a weights file")
    parser.add_argument("--threat")
    parser.add_argument("--data")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--effort", default="standard")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--chunk", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", dest="name", help="in place of audit-SUBJECT-N")
    parser.add_argument("--suite", action="store_true", help="our own standard suite as well")
    parser.add_argument("--no-peer", dest="peer", action="store_false")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for path in args.subjects:
        run(args, path)


if __name__ == "__main__":
    main()
