"""How close a training step comes to the limit: the same passes with nothing around them.

    SADDLEPOINT_DATA=/tmp/data .venv/bin/python benchmarks/train_step.py --threads 1
    SADDLEPOINT_DATA=/tmp/data .venv/bin/python benchmarks/train_step.py --threads 2 --compile
    .venv/bin/python benchmarks/train_step.py --steps 2 --repeats 1 --out smoke   (does it run?)

``bare`` takes k gradients with respect to the input alone (eval mode), then one forward pass,
backward pass and fused optimizer step (training mode), all in one autocast context that keeps the
cast weights, on batches that lie ready as float32 in channels-last order. It moves no input, draws
nothing, augments nothing, averages no weights, checks nothing: its time is the limit, not a rival.
``saddlepoint`` is ``Learner.epoch`` as ``train`` calls it: shuffling, conversion from bytes,
augmentation, noise, projections, weight average and checks are all counted against it.

Contestants take turns in one process, in an order that rotates. Ratios are time of ``bare`` at the
same precision over time of the contestant, so that 1 is the limit and 0.8 the goal: the median over
turns, each over ``bare`` in the same turn, and the ratio of the least times. ``bare`` is never
compiled, so that a compiled contestant may exceed 1.

MNIST is ../shared/data/mnist.npz, CIFAR-10 is $SADDLEPOINT_DATA/cifar10.npz. Where that is missing,
random bytes of the same shape take its place and the result says so: the passes cost the same
whatever the pixels hold. Writes results/train_step-THREADS.json after each game.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mnist_nets
import record
import torch
from torch import Tensor, nn
from torch.nn import functional

from saddlepoint import PGD, Linf, TrainPlan, load_data
from saddlepoint.models import build
from saddlepoint.train import NFGSM
from saddlepoint.train.checkpoint import Folder, State
from saddlepoint.train.progress import Silent
from saddlepoint.train.run import Run
from saddlepoint.train.samples import Samples, as_float
from saddlepoint.train.worst import Inner

SEED, BATCH, PRECISIONS = 0, 128, ("bfloat16", "float32")
BARE, OURS, COMPILED = "bare", "saddlepoint", "saddlepoint, compiled"
Epoch = Callable[[], object]


@dataclass(frozen=True)
class Game:
    """What is trained; ``passes`` input gradients per step and ``steps`` steps per turn."""

    name: str
    archive: Path
    plan: TrainPlan
    passes: int
    steps: int

    def data(self) -> tuple[Tensor, Tensor, str]:
        """Return bytes (N, *F), labels (N,), and where they come from; one sample is held out."""
        n = self.steps * BATCH + 1
        if self.archive.is_file():
            half = load_data(self.archive).split("train")
            x, y = torch.from_numpy(half.x[:n].copy()), torch.from_numpy(half.y[:n].copy())
            return x, y.long(), self.archive.name
        generator = torch.Generator().manual_seed(SEED)
        size = (n, *self.plan.shape)
        x = torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)
        return x, torch.arange(n) % self.plan.classes, "random bytes"


def games() -> list[Game]:
    """Return the two games: convolutions of a small net on MNIST, a ResNet-9 on CIFAR-10."""
    mnist = TrainPlan(
        arch="conv-medium",
        shape=(1, 28, 28),
        classes=10,
        options={"stem": 0.3},
        threat=Linf(eps=0.3),
        attack=PGD(steps=3),
        keep="last",
        schedule="cosine",
        batch_size=BATCH,
        held_out=1,
    )
    cifar = TrainPlan(
        arch="resnet9",
        shape=(3, 32, 32),
        classes=10,
        options={"width": 32},
        threat=Linf(eps=8 / 255),
        attack=NFGSM(),
        keep="last",
        optimizer="sgd",
        lr=0.1,
        weight_decay=5e-4,
        ema=0.999,
        augment="flip-crop",
        batch_size=BATCH,
        held_out=1,
    )
    folder = Path(os.environ.get("SADDLEPOINT_DATA", ""))
    return [
        Game("mnist", mnist_nets.SHARED / "data" / "mnist.npz", mnist, passes=3, steps=60),
        Game("cifar10", folder / "cifar10.npz", cifar, passes=1, steps=8),
    ]


def _model(plan: TrainPlan) -> nn.Module:
    torch.manual_seed(SEED)
    return build(plan.arch, plan.shape, plan.classes, plan.options)


def _optimizer(plan: TrainPlan, model: nn.Module) -> torch.optim.Optimizer:
    """Fused whatever the library does: the limit is the fastest way to the same weights."""
    weights, decay = list(model.parameters()), plan.weight_decay
    if plan.optimizer == "adam":
        return torch.optim.Adam(weights, plan.lr, weight_decay=decay, fused=True)
    # A tenth of the peak, as in the first epoch of one-cycle; the cost is the same at any rate.
    lr, momentum = plan.lr / 10, plan.momentum
    return torch.optim.SGD(weights, lr, momentum=momentum, weight_decay=decay, fused=True)


def bare(game: Game, samples: Samples) -> Epoch:
    """Return an epoch of the limit, its batches ready-made."""
    plan, last = samples.plan, torch.channels_last
    model = _model(plan).to(memory_format=last)
    optimizer = _optimizer(plan, model)
    inputs = as_float(samples.x[samples.train]).split(BATCH)
    labels = samples.y[samples.train].split(BATCH)
    batches = [(x.contiguous(memory_format=last), y) for x, y in zip(inputs, labels, strict=True)]

    def epoch() -> None:
        for x, y in batches:
            with torch.autocast("cpu", torch.bfloat16, plan.precision == "bfloat16"):
                model.eval()
                for _ in range(game.passes):
                    leaf = x.detach().requires_grad_()
                    climbed = functional.cross_entropy(model(leaf).float(), y, reduction="sum")
                    torch.autograd.grad(climbed, leaf)
                model.train()
                loss = functional.cross_entropy(model(x).float(), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return epoch


def ours(samples: Samples, folder: Path, compiled: bool) -> Epoch:
    """Return an epoch of the library's own loop, always the first of the plan."""
    plan = samples.plan
    place = Folder(folder, plan, samples.sha256)
    with contextlib.ExitStack() as held:
        run = Run.start(_model(plan), samples, place, "cpu", State(), held, compiled)
    inner = Inner(plan.threat, plan.attack, keep=plan.keep)
    return lambda: run.learner.epoch(1, inner, run.samples, Silent())


def _seconds(epoch: Epoch) -> float:
    start = time.perf_counter()
    epoch()
    return time.perf_counter() - start


def turns(runs: dict[str, Epoch], repeats: int) -> dict[str, list[float]]:
    """Return the seconds of every contestant in every turn; the first one, unmeasured, warms up."""
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for k in range(repeats):
        first = k % len(names)
        for name in names[first:] + names[:first]:
            seconds[name].append(_seconds(runs[name]))
    return seconds


def measure(game: Game, precisions: list[str], compiled: bool, repeats: int) -> dict[str, Any]:
    """Return one game's rows: one for each contestant at each precision."""
    x, y, source = game.data()
    runs: dict[str, Epoch] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for precision in precisions:
            plan = replace(game.plan, precision=precision)
            samples, folder = Samples.of(plan, x, y), Path(scratch)
            runs[f"{BARE} {precision}"] = bare(game, samples)
            runs[f"{OURS} {precision}"] = ours(samples, folder / precision, False)
            if compiled:
                again = folder / f"{precision}-compiled"
                runs[f"{COMPILED} {precision}"] = ours(samples, again, True)
        seconds = turns(runs, repeats)
    rows = [_row(name, seconds, game.steps * BATCH) for name in runs]
    record.table(f"{game.name}, {game.steps} steps of {BATCH}, {source}", rows)
    plan_said = {"plan": game.plan.describe(), "passes": game.passes, "steps": game.steps}
    return {"game": game.name, "data": source, **plan_said, "rows": rows}


def _row(name: str, seconds: dict[str, list[float]], n: int) -> dict[str, Any]:
    contestant, _, precision = name.rpartition(" ")
    mine, limit = seconds[name], seconds[f"{BARE} {precision}"]
    return {
        "contestant": contestant,
        "precision": precision,
        "samples_per_second": n / statistics.median(mine),
        "most_samples_per_second": n / min(mine),
        "median_ratio": statistics.median(b / m for b, m in zip(limit, mine, strict=True)),
        "min_ratio": min(limit) / min(mine),
        "median_seconds": statistics.median(mine),
        "min_seconds": min(mine),
    }


def main() -> None:
    """Measure every game."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--steps", type=int, help="per turn, in place of 60 and 8")
    parser.add_argument("--games", nargs="+", choices=["mnist", "cifar10"])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--compile", action="store_true", help="a third contestant; minutes more")
    parser.add_argument("--out", help="in place of train_step-THREADS")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    what = "samples per second of a training epoch; ratio of the bare loop's time to it"
    measured: list[dict[str, Any]] = []
    for game in games():
        if args.games and game.name not in args.games:
            continue
        game = replace(game, steps=args.steps or game.steps)
        measured.append(measure(game, args.precisions, args.compile, args.repeats))
        payload = {"what": what, "repeats": args.repeats, "games": measured}
        record.write(args.out or f"train_step-{args.threads}", SEED, args.threads, payload)
    assert torch.get_num_threads() == args.threads, "something changed the number of threads"


if __name__ == "__main__":
    main()
