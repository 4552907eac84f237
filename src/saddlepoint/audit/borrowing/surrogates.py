"""Surrogates by a word: a model's file, or an architecture that is trained here."""

import math
from pathlib import Path

import torch
from torch import nn

from saddlepoint.attacks import PGD
from saddlepoint.core.errors import Invalid, closest
from saddlepoint.core.surrogate import Surrogate
from saddlepoint.core.threat import Convex, ThreatModel
from saddlepoint.data.dataset import Dataset
from saddlepoint.models import load_model
from saddlepoint.models.registry import ARCHITECTURES, build
from saddlepoint.train import NFGSM, TrainPlan, train
from saddlepoint.train.progress import untold

__all__ = ["surrogate_of", "to_train"]

WAYS = ("natural", "robust")
_STEPS = 2500  # of training, about
_EPOCHS = (4, 60)
_BATCH = 128


def surrogate_of(
    spec: str,
    arch: str | None,
    data: Dataset,
    threat: ThreatModel,
    out: Path,
    device: str = "cpu",
    seed: int = 0,
) -> Surrogate:
    """Load a surrogate, or train one on the data's train split.

    spec: what ``load_model`` takes, with its ``arch``; or an architecture, ``natural:`` or
    ``robust:`` before it, which says whether it is trained on inputs as they are (the default) or
    on the worst ones in ``threat``. Such a one is kept in ``out/NAME``, and training goes on there
    after an interruption. Raises what loading and training raise.
    """
    way, _, name = spec.rpartition(":")
    if not to_train(spec):
        return _loaded(spec, arch, data, device)
    if arch is not None:
        raise Invalid("surrogate_arch", arch, f"left out beside {spec}, which is an architecture")
    way = way or "natural"
    if len(data.shape) != 3 and name != "mlp":
        raise Invalid("surrogate", spec, "mlp for samples that are no images")
    half = data.split("train")
    plan = _plan(name, way, data, threat, len(half), seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(name, data.shape, data.classes)
    folder = out / f"{name}-{way}"
    with untold():
        trained = train(
            plan, model, half.x, half.y, folder, device=device, progress=False, data=data.name
        )
    return Surrogate(trained.model, folder.name)


def to_train(spec: str) -> bool:
    """Tell whether a surrogate's word names an architecture instead of a model.

    >>> to_train("robust:conv-small"), to_train("runs/mnist")
    (True, False)
    """
    way, _, name = spec.rpartition(":")
    return name in ARCHITECTURES and way in ("", *WAYS)


def _plan(name: str, way: str, data: Dataset, threat: ThreatModel, n: int, seed: int) -> TrainPlan:
    held_out = min(1000, n // 10)
    batch = min(_BATCH, max(1, (n - held_out) // 4))
    epochs = min(max(math.ceil(_STEPS * batch / (n - held_out)), _EPOCHS[0]), _EPOCHS[1])
    robust = way == "robust"
    return TrainPlan(
        arch=name,
        shape=tuple(data.shape),
        classes=data.classes,
        threat=threat,
        # One step is exact where a linear function can be maximised, and the guard is there.
        attack=NFGSM() if isinstance(threat, Convex) else PGD(steps=3),
        check=PGD(steps=10),
        loss="madry" if robust else "natural",
        epochs=epochs,
        batch_size=batch,
        eps_ramp=0.3 if robust and hasattr(threat, "eps") else 0.0,
        held_out=held_out,
        check_n=300,
        seed=seed,
    )


def _loaded(spec: str, arch: str | None, data: Dataset, device: str) -> Surrogate:
    if ":" not in spec and not Path(spec).expanduser().exists():
        hint = closest(spec, ARCHITECTURES)
        raise Invalid("surrogate", spec, "a model's file or folder, or an architecture", hint)
    code = ":" in (arch or spec)
    loaded = load_model(spec, arch, data.shape, data.classes if code else None)
    if loaded.access != "gradients":
        said = loaded.note or f"it gives {loaded.access} only"
        raise Invalid("surrogate", spec, "a model with gradients", said)
    if isinstance(loaded.model, nn.Module):  # known by its weights, wherever they lie
        return Surrogate(loaded.model.to(torch.device(device)), loaded.name)
    return Surrogate(loaded.model, loaded.name, loaded.sha256)
