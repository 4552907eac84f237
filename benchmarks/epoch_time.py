"""How long an epoch of a recipe takes on this machine, to size its epochs by.

    SADDLEPOINT_DATA=DIR .venv/bin/python benchmarks/epoch_time.py cifar10-linf --device cuda
    .venv/bin/python benchmarks/epoch_time.py cifar10-linf --device cuda --compile --width 96

Takes ``--steps`` steps of ``Learner.epoch``, as ``train`` calls it, after a first few that warm up
(and compile), on random bytes of CIFAR-10's shape: the passes cost the same whatever the pixels
hold. What comes after an epoch, measuring and saving, is not in it; what comes once in an epoch is
shared by ``--steps``, of which a GPU wants as many as an epoch of the recipe has. ``tflops``:
multiply-adds of the convolutions and linear layers in all passes that the plan needs, twice, per
second; by how much it falls short of what the device's matrix products do says what is left to
gain. ``calls``: tensor operations of one step that compute or copy, about as many as kernels a GPU
is sent; at 10 microseconds each they bound the step of a small net.

Prints one JSON object for each recipe, with the seconds of the warm-up.
"""

import argparse
import contextlib
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from saddlepoint import TrainPlan
from saddlepoint.cli.options import settle
from saddlepoint.cli.recipes import find_recipe
from saddlepoint.cli.train import TrainSettings, plan_of
from saddlepoint.models import build
from saddlepoint.train.checkpoint import Folder, State
from saddlepoint.train.progress import Silent
from saddlepoint.train.run import Run
from saddlepoint.train.samples import Samples
from saddlepoint.train.worst import Inner

SHAPE, CLASSES = (3, 32, 32), 10
MAKES = ("empty", "empty_like", "new_empty", "empty_strided", "_unsafe_view")  # nothing is computed


class Calls(TorchDispatchMode):
    """Counts operations, views left out."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        self.count += not (func.is_view or func.__name__.split(".")[0] in MAKES)
        return func(*args, **(kwargs or {}))


def recipe(name: str, batch: int | None, width: int | None) -> TrainPlan:
    """Return the recipe's plan with another batch size and width, one sample held out."""
    settings = settle(TrainSettings, find_recipe(Path(name)), {"batch_size": batch})
    plan = plan_of(settings, SHAPE, CLASSES)
    options = plan.options if width is None else {**plan.options, "width": width}
    return replace(plan, options=options, held_out=1)


def model(plan: TrainPlan) -> nn.Module:
    """Return the net of the plan, from seed 0."""
    torch.manual_seed(0)
    return build(plan.arch, plan.shape, plan.classes, plan.options)


def learner(
    plan: TrainPlan, steps: int, device: str, compiled: bool, held: contextlib.ExitStack
) -> Run:
    """Return a run over ``steps`` batches of random bytes."""
    scratch = Path(held.enter_context(tempfile.TemporaryDirectory()))
    n = steps * plan.batch_size + 1
    x = torch.randint(0, 256, (n, *plan.shape), dtype=torch.uint8)
    samples = Samples.of(plan, x, torch.arange(n) % plan.classes)
    place = Folder(scratch, plan, samples.sha256)
    return Run.start(model(plan), samples, place, device, State(), held, compiled)


def seconds(run: Run) -> float:
    """Return the time of one epoch of that run."""
    start = time.perf_counter()
    plan = run.plan
    run.learner.epoch(1, Inner(plan.threat, plan.attack, keep=plan.keeps()), run.samples, Silent())
    if run.learner.fabric.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def counted(run: Run) -> int:
    """Return how many operations one epoch of that run calls, after a first one."""
    seconds(run)
    with Calls() as calls:
        seconds(run)
    return calls.count


def measure(plan: TrainPlan, steps: int, device: str, compiled: bool) -> dict[str, Any]:
    """Return the time of a step, of 50,000 samples, and the arithmetic done in a second."""
    with contextlib.ExitStack() as held:
        run = learner(plan, steps, device, compiled, held)
        warm = seconds(run)
        took = min(seconds(run) for _ in range(2))
        # Counted where it is not compiled, since the counter sees no fused kernels.
        few = learner(plan, 1, device, False, held)
        with FlopCounterMode(display=False) as counter:
            seconds(few)
        calls = [counted(learner(plan, n, device, False, held)) for n in (2, 3)]
    step = took / steps
    return {
        "device": str(run.learner.fabric.device),
        "arch": plan.arch,
        "options": dict(plan.options),
        "batch_size": plan.batch_size,
        "compiled": compiled,
        "warm_up_seconds": round(warm, 2),
        "step_milliseconds": round(step * 1e3, 2),
        "seconds_per_50000": round(50_000 / plan.batch_size * step, 2),
        "tflops": round(counter.get_total_flops() / step / 1e12, 1),
        "calls": calls[1] - calls[0],  # of a step: what an epoch adds falls out
    }


def main() -> None:
    """Measure every recipe that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--width", type=int)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    for name in args.recipes:
        plan = recipe(name, args.batch_size, args.width)
        row = measure(plan, args.steps, args.device, args.compile)
        print(json.dumps({"recipe": name, **row}), flush=True)


if __name__ == "__main__":
    main()
