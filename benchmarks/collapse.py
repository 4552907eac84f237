"""Catastrophic overfitting on MNIST, reproduced, and the same run with the guard.

    .venv/bin/python benchmarks/collapse.py
    .venv/bin/python benchmarks/collapse.py --precision bfloat16 --out collapse-bf16
    .venv/bin/python benchmarks/collapse.py --epochs 2 --n-train 2000 --n-test 100 --out smoke

A conv-small net, FGSM with a random start and a step of 1.25 eps (2001.03994), eps 0.3, Adam at a
peak rate of 5e-3 over one cycle, ten epochs, batches of 128. Trained this way without the guard,
the net learns to beat the one step it meets: near-perfect accuracy under its own training attack,
none under PGD. Both runs share seed, data and initial weights, and differ in ``guard`` alone.

Two nets of each run are measured on the first 1,000 test images: ``last``, of the last epoch, which
is what a loop without checks would hand over, and ``kept``, of the epoch with the best held-out
robustness, which is what ``train`` returns. ``own`` is accuracy under the training attack, ``pgd``
under PGD(steps=50); like every search of ours both count the unperturbed image as well. Events are
the collapses that were seen; epochs that the guard took back are not in the curve.

Writes results/collapse.json after each run.
"""

import argparse
import copy
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mnist_nets
import record
import torch
from torch import Tensor, nn

from saddlepoint import PGD, Linf, TrainPlan, load_data, search, train
from saddlepoint.core.access import Attack
from saddlepoint.models import build
from saddlepoint.train.history import Epoch

SEED, THREAT = 0, Linf(eps=0.3)
OWN = PGD(steps=1, step_size=1.25, start="random")
STRONG = PGD(steps=50)


def plan(args: argparse.Namespace, guard: bool) -> TrainPlan:
    """Return the run; a sixtieth of the data, 1,000 of all 60,000 images, is held out."""
    return TrainPlan(
        arch="conv-small",
        shape=(1, 28, 28),
        classes=10,
        threat=THREAT,
        attack=OWN,
        keep="last",
        check=PGD(steps=20),
        epochs=args.epochs,
        lr=5e-3,
        optimizer="adam",
        schedule="one-cycle",
        batch_size=128,
        held_out=max(1, args.n_train // 60),
        guard=guard,
        precision=args.precision,
        seed=args.seed,
    )


def survive(model: nn.Module, attack: Attack[Any], x: Tensor, y: Tensor, seed: int) -> float:
    """Return the share of samples that ``attack`` does not break."""
    found = search(attack, model, x, y, THREAT, seed=seed)
    if found.error is not None:
        raise RuntimeError(f"{attack!r} failed:\n{found.error}")
    return (~found.broken).double().mean().item()


def tested(model: nn.Module, args: argparse.Namespace) -> dict[str, float]:
    """Return accuracy on test images: clean, under the training attack, under a strong one."""
    x, y = mnist_nets.images(args.n_test)
    model.eval()
    with torch.no_grad():
        clean = (model(x).argmax(1) == y).double().mean().item()
    robust = {"own": survive(model, OWN, x, y, args.seed)}
    return {"clean": clean, **robust, "pgd": survive(model, STRONG, x, y, args.seed)}


def one(args: argparse.Namespace, guard: bool) -> dict[str, Any]:
    """Train once and measure the last and the kept net."""
    half = load_data(mnist_nets.SHARED / "data" / "mnist.npz").split("train")
    x, y = half.x[: args.n_train], half.y[: args.n_train]
    torch.manual_seed(args.seed)
    wanted = plan(args, guard)
    model = build(wanted.arch, wanted.shape, wanted.classes)
    last: dict[str, Tensor] = {}

    def on_epoch(row: Epoch) -> None:
        # The module in training holds the weights of the epoch that was just kept.
        last.update(copy.deepcopy(model.state_dict()))
        print(f"guard {'on' if guard else 'off'}, {row}, own {row.own:.2%}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        trained = train(wanted, model, x, y, out, on_epoch=on_epoch, progress=False)
        said = json.loads((out / "model.json").read_text(encoding="utf-8"))
    kept = tested(trained.model, args)
    model.load_state_dict(last)
    return {
        "guard": guard,
        "plan": wanted.describe(),
        "epochs": [asdict(row) for row in trained.history],
        "events": said["events"],
        "best_epoch": trained.best_epoch,
        "test": {"last": tested(model, args), "kept": kept},
    }


def show(run: dict[str, Any]) -> None:
    """Print one run."""
    name = f"guard {'on' if run['guard'] else 'off'}"
    columns = ("epoch", "loss", "clean", "own", "robust", "seconds")
    curve = [{c: row[c] for c in columns} for row in run["epochs"]]
    record.table(f"{name}: held-out accuracy after each epoch", curve)
    for event in run["events"]:
        then = event["stronger"] or "nothing was done"
        print(
            f"epoch {event['epoch']} collapsed: own {event['own']:.1%}, "
            f"robust {event['robust']:.1%}; {then}"
        )
    epochs = {"last": len(run["epochs"]), "kept": run["best_epoch"]}
    rows = [{"net": k, "epoch": epochs[k], **v} for k, v in run["test"].items()]
    record.table(f"{name}: accuracy on test images", rows)


def main() -> None:
    """Train without and with the guard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--n-train", type=int, default=60_000)
    parser.add_argument("--n-test", type=int, default=1000)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", default="collapse")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    what = "FGSM training with a random start on MNIST, L_inf 0.3, without and with the guard"
    sizes = {"n_train": args.n_train, "n_test": args.n_test}
    attacks = {"own": repr(OWN), "pgd": repr(STRONG)}
    runs: list[dict[str, Any]] = []
    for guard in (False, True):
        runs.append(one(args, guard))
        show(runs[-1])
        payload = {"what": what, **sizes, "attacks": attacks, "runs": runs}
        record.write(args.out, args.seed, args.threads, payload)


if __name__ == "__main__":
    main()
