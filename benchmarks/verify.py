"""What can be proved: certified samples per time limit, and the two-sided audit.

    SADDLEPOINT_DATA=DIR .venv/bin/python benchmarks/verify.py ladder \
        ../shared/models/mnist-fgsm.safetensors --threat "Linf(eps=0.3)" --n 100 --seconds 10
    SADDLEPOINT_DATA=DIR .venv/bin/python benchmarks/verify.py audit runs/mnist-linf-0.1 \
        --threat "Linf(eps=0.1)" --n 1000 --verify-seconds 1200 --threads 2

``ladder``: ``--seconds`` of branch and bound for each sample that a short attack leaves, on
``--threads`` threads; CPU seconds of every sample are kept. ``audit``: the cascade, then the
verification within ``--verify-seconds`` of CPU time; wall seconds of the whole are what the limit
of the table is about. Without certificates (``--float32``) a verdict is the search's own word in
float32. Writes results/verify-WHAT-MODEL-N.json; ``--out`` keeps the run's folder, and the same
command then goes on.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import record
import torch

import saddlepoint as sp
from saddlepoint.audit.proving import Verification
from saddlepoint.core.ledger import Status
from saddlepoint.models import Loaded
from saddlepoint.presets import parse_attack, parse_threat
from saddlepoint.verify.ladder import Ladder, Rung
from saddlepoint.verify.region import region
from saddlepoint.verify.spec import margins
from saddlepoint.verify.tracing import trace

FIRST = "PGD(steps=20, start='clean', loss='probability-margin', reach=1.0)"


def subject(args: argparse.Namespace) -> tuple[Loaded, str, str]:
    """Return the model, its threat and its data."""
    if args.model.is_dir():
        said = json.loads((args.model / "model.json").read_text(encoding="utf-8"))
        threat, data = said["plan"]["threat"], said["data"]
        return sp.load_model(args.model), args.threat or threat, args.data or data
    loaded = sp.load_model(args.model, args.arch)
    return loaded, args.threat or "Linf(eps=0.3)", args.data or "mnist"


def searched(loaded: Loaded, threat: str, data: str, args: argparse.Namespace) -> dict[str, Any]:
    """Search every survivor of a short attack for ``--seconds``: the search's word in float32."""
    x, y = sp.load_data(data).split("test").batch(torch.arange(args.n))
    model, ball = loaded.model.eval().requires_grad_(False), parse_threat(threat)
    began = time.process_time()
    found = sp.search(parse_attack(FIRST), model, x, y, ball, seed=args.seed)
    attack = time.process_time() - began
    network, ladder = trace(model, tuple(x.shape[1:])), Ladder(seconds=args.seconds)
    rows, spent, broken = [], {r.name: 0 for r in Rung}, found.status.count(Status.BROKEN)
    for i in [i for i, s in enumerate(found.status) if s is not Status.BROKEN]:
        one, began = torch.tensor([i]), time.process_time()
        spec = margins(sp.Untargeted(y[one]), 10, x)
        (v,) = ladder(network, region(ball[one], x[one]), spec)
        fate = "certified" if v.certified else "undecided" if v.found is None else "broken"
        broken += fate == "broken"
        spent[v.rung.name if v.certified else "NONE"] += 1
        seconds = time.process_time() - began
        rows.append({"index": i, "fate": fate, "rung": v.rung.name, "seconds": seconds})
        print(f"{i}: {fate} by {v.rung.name}, {v.spent} subproblems, {seconds:.2f} s", flush=True)
    certified = sum(r["fate"] == "certified" for r in rows)
    counts = {"certified": certified, "broken": broken, "undecided": args.n - certified - broken}
    return {"counts": counts, "certified_by": spent, "attack_seconds": attack, "samples": rows}


def audited(
    loaded: Loaded, threat: str, data: str, args: argparse.Namespace, how: Verification
) -> dict[str, Any]:
    """Audit with a verification; ``ladder`` takes the short attack in place of the cascade."""
    began, cpu = time.perf_counter(), time.process_time()
    result = sp.audit(
        loaded.model,
        sp.load_data(data).split("test"),
        parse_threat(threat),
        (parse_attack(FIRST),) if args.what == "ladder" else None,
        n=args.n,
        seed=args.seed,
        figures=0,
        probes=0,
        verify=how,
        out=args.out,
    )
    said = result.document
    return {
        "counts": said["verification"]["counts"],
        "certified_by": said["verification"]["certified_by"],
        "certified_accuracy": result.certified_accuracy,
        "robust_accuracy": result.robust_accuracy,
        "points": 100 * (result.robust_accuracy - result.certified_accuracy),
        "bracket": result.bracket,
        "verification": said["verification"],
        "wall_seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu,
    }


def main() -> None:
    """Measure one row of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("ladder", "audit"))
    parser.add_argument("model", type=Path)
    parser.add_argument("--arch", default="conv-small", help="of a weights file")
    parser.add_argument("--threat")
    parser.add_argument("--data")
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0, help="per sample, of ladder")
    parser.add_argument("--verify-seconds", type=float, default=900.0, help="of audit")
    parser.add_argument("--float32", action="store_true", help="of ladder: no certificates")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    loaded, threat, data = subject(args)
    if args.what == "ladder" and args.float32:
        found = searched(loaded, threat, data, args)
    elif args.what == "ladder":
        found = audited(loaded, threat, data, args, Verification(seconds=None, each=args.seconds))
    else:
        found = audited(loaded, threat, data, args, Verification(seconds=args.verify_seconds))
    row = {"": args.model.name, **found["counts"], **found["certified_by"]}
    record.table(f"{args.what}, {threat}, first {args.n} images", [row])
    limit = {"seconds": args.seconds} if args.what == "ladder" else {"all": args.verify_seconds}
    settings = {"threat": threat, "data": data, "n": args.n, "limit": limit}
    payload = {
        "what": f"samples certified, {args.what}",
        "model": args.model.name,
        "model_sha256": loaded.sha256,
        "settings": {**settings, "float32": args.float32},
        **found,
    }
    name = f"verify-{args.what}{'-float32' * args.float32}-{args.model.stem}-{args.n}"
    record.write(name, args.seed, args.threads, payload)


if __name__ == "__main__":
    main()
