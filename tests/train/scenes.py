"""What the processes of a test do, by its name in ``SCENES``; torchrun starts this file.

    torchrun --nproc-per-node 2 tests/train/scenes.py FOLDER SCENE ...

One start serves many scenes, as it takes seconds. Each process writes what it saw to
``FOLDER/SCENE.RANK.json``.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from saddlepoint import PGD, Linf
from saddlepoint.train import AWP, Epoch, Trained, TrainPlan, train
from saddlepoint.train import run as run_module
from saddlepoint.train.samples import Samples

__all__ = ["CURVES", "SCENES", "play"]

RANK = int(os.environ.get("RANK", "0"))
Scene = Callable[[Path], dict[str, Any]]


class Stop(Exception):
    pass


def _digits() -> tuple[Any, Any]:
    bunch = load_digits()
    return np.rint(bunch.images[:700] * 255 / 16).astype(np.uint8)[:, None], bunch.target[:700]


def _plan(**changed: Any) -> TrainPlan:  # noqa: ANN401
    usual: dict[str, Any] = {
        "arch": "mlp",
        "shape": (1, 8, 8),
        "classes": 10,
        "threat": Linf(eps=0.1),
        "attack": PGD(steps=2, step_size=0.75),
        "check": PGD(steps=2),
        "epochs": 3,
        "batch_size": 150,  # 601 samples: batches of 120 and 121, odd for two processes
        "lr": 1e-2,
        "held_out": 99,
    }
    return TrainPlan(**usual | changed)


def _net(norm: bool = False) -> nn.Module:
    torch.manual_seed(3 + RANK)  # all have to end up with the first one's weights
    layers: list[nn.Module] = [nn.Conv2d(1, 6, 3, stride=2), nn.ReLU(), nn.Flatten()]
    more: list[nn.Module] = [nn.BatchNorm1d(54), nn.Dropout(0.1)] if norm else []
    return nn.Sequential(*layers, *more, nn.Linear(54, 33), nn.ReLU(), nn.Linear(33, 10))


def _train(out: Path, norm: bool = False, **changed: Any) -> Trained:  # noqa: ANN401
    names = ("strategy", "on_epoch", "compiled", "logger")
    how = {k: changed.pop(k) for k in names if k in changed}
    x, y = changed.pop("samples", None) or _digits()
    return train(_plan(**changed), _net(norm), x, y, out, progress=False, **how)


def _told(trained: Trained) -> dict[str, Any]:
    """The curve, and a number that changes with every weight."""
    state = trained.model.state_dict().values()
    weights = [float((t.double() * torch.arange(1, t.numel() + 1).view_as(t)).sum()) for t in state]
    curve = [[e.loss, e.clean, e.robust, e.own, e.lr] for e in trained.history]
    return {"curve": curve, "weights": weights, "best": trained.best_epoch}


def _curve(**changed: Any) -> Scene:  # noqa: ANN401
    return lambda out: _told(_train(out, **changed))


CURVES: dict[str, dict[str, Any]] = {
    "madry": {},
    "trades": {"loss": "trades", "optimizer": "sgd", "lr": 0.05, "schedule": "cosine"},
    "average": {"ema": 0.9, "augment": "flip-crop"},
    "free": {"loss": "free", "epochs": 1, "lr": 3e-3},
    "certified": {"loss": "crownibp", "threat": Linf(eps=0.02), "eps_ramp": 0.5},
    "sharded": {"strategy": "fsdp"},
    "sharded-trades": {
        "loss": "trades",
        "optimizer": "sgd",
        "lr": 0.05,
        "schedule": "cosine",
        "strategy": "fsdp",
    },
}


def _resumed(norm: bool, then: dict[str, Any], **changed: Any) -> Scene:  # noqa: ANN401
    """Stop after two epochs, continue with ``then``; beside it the run that was not stopped."""

    def stop(row: Epoch) -> None:
        if row.epoch == 2:
            raise Stop

    def scene(out: Path) -> dict[str, Any]:
        straight = _told(_train(out / "straight", norm, **changed))
        try:
            _train(out / "stopped", norm, on_epoch=stop, **changed)
        except Stop:
            torch.rand(5 + RANK)
            _wait()
        return {"straight": straight, "resumed": _told(_train(out / "stopped", norm, **then))}

    return scene


def _wait() -> None:
    """Let the first process write before another reads: here nobody waits for processes to end."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()


def _guarded(out: Path) -> dict[str, Any]:
    """The first process sees epoch 2 collapse, the other does not; at the second try nobody."""
    measure = run_module.measure
    calls: list[object] = []

    def seen(
        model: nn.Module, samples: Samples, attack: object
    ) -> tuple[float, float, float | None]:
        calls.append(attack)
        clean = float(len(calls)) / 100
        return (clean, 0.0, 0.9) if len(calls) == 2 and RANK == 0 else (clean, 0.5, 0.6)

    run_module.measure = seen
    try:
        told = _told(_train(out, attack=PGD(steps=1)))
    finally:
        run_module.measure = measure
    return told | {"attacks": [repr(a) for a in calls]}


def _refused(**by_rank: Any) -> Scene:  # noqa: ANN401
    """What each process is told; ``by_rank`` maps its rank to what it asks for."""

    def scene(out: Path) -> dict[str, Any]:
        try:
            _train(out, **{name: change(RANK) for name, change in by_rank.items()})
        except (ValueError, RuntimeError) as error:
            return {"error": f"{type(error).__name__}: {error}", "wrote": out.exists()}
        return {"error": None}

    return scene


def _other_data(rank: int) -> tuple[Any, Any]:
    x, y = _digits()
    return (255 - x, y) if rank else (x, y)


def _unseen_folder(out: Path) -> dict[str, Any]:
    """The second process looks into a folder of its own, in which no epoch is done."""

    def stop(row: Epoch) -> None:
        raise Stop

    try:
        _train(out / "shared", on_epoch=stop)
    except Stop:
        _wait()
        return _refused()(out / ("own" if RANK else "shared"))
    return {"error": None}


SCENES: dict[str, Scene] = {
    **{name: _curve(**changed) for name, changed in CURVES.items()},
    "low-precision": _curve(precision="bfloat16"),
    "sharded-low-precision": _curve(precision="bfloat16", strategy="fsdp"),
    "awp": _curve(loss="awp"),
    "awp-rows": _curve(loss=AWP(rows=16)),
    "resumed": _resumed(True, {}),
    "sharded-resumed": _resumed(False, {"strategy": "fsdp"}, strategy="fsdp"),
    "sharded-to-whole": _resumed(False, {}, strategy="fsdp"),
    "guarded": _guarded,
    "other-seeds": _refused(seed=lambda rank: rank),
    "other-data": _refused(samples=_other_data),
    "unseen-folder": _unseen_folder,
    "diverged": _refused(lr=lambda rank: 1e30, optimizer=lambda rank: "sgd"),
    "too-small": _refused(batch_size=lambda rank: 1),
}


def play(folder: Path, name: str) -> dict[str, Any]:
    """Play one scene in this process."""
    return SCENES[name](folder / name)


if __name__ == "__main__":
    torch.set_num_threads(1)
    where = Path(sys.argv[1])
    for scene_name in sys.argv[2:]:
        seen = play(where, scene_name)
        (where / f"{scene_name}.{RANK}.json").write_text(json.dumps(seen))
