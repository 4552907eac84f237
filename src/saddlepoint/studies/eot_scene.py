"""One scene of the study: a net that knows the views, witnesses against it, and their judgement."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saddlepoint.core.door import Door
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.found import Found
from saddlepoint.core.goal import Targeted
from saddlepoint.core.nearest import Nearest, nearest
from saddlepoint.core.search import search
from saddlepoint.core.shapes import flat, pieces
from saddlepoint.data import Dataset
from saddlepoint.studies.eot_plan import METHODS, EotPlan, Scene
from saddlepoint.studies.measure import OnEpoch, Row, fresh, trained
from saddlepoint.threats import Linf

__all__ = ["Subject", "net_of", "rows_of", "strip", "subject", "witnesses"]

_CHUNK = 500
_TRIED = 20  # views that an image has to be right in, mostly, to be attacked
SHOWN = 8  # views in a strip
Arrays = dict[str, "np.ndarray[Any, Any]"]


class Home(nn.Module):
    """The net behind one fixed view; None for the input as it is."""

    def __init__(self, scene: Scene, net: nn.Module) -> None:
        super().__init__()
        self.scene, self.net = scene, net

    def forward(self, x: Tensor) -> Tensor:
        """(B, K) scores."""
        view, still = self.scene.home, Draw.of(0, torch.zeros(len(x), dtype=torch.int64))
        scores: Tensor = self.net(x if view is None else view(x, still))
        return scores


def _seen(scene: Scene, x: Tensor, draw: Draw) -> Tensor:
    rows = pieces(torch.arange(len(x)), _CHUNK)
    with torch.no_grad():
        return torch.cat([scene.views(x[r], draw[r]).clamp(0, 1) for r in rows])


def net_of(
    plan: EotPlan, scene: Scene, data: Dataset, folder: Path, on_epoch: OnEpoch
) -> nn.Module:
    """Train a net on one view of each training sample; a finished training is read again."""
    half = data.split("train")
    x, y = half.batch(slice(0, min(plan.train_n, len(half))))
    pictures = _seen(scene, x, Draw.of(plan.seed, torch.arange(len(x))).tag("train")).numpy()
    none = pictures[:0], y.numpy()[:0]
    seen = Dataset(f"{data.name} as {scene.name}", pictures, y.numpy(), *none, data.classes)
    training = plan.training(tuple(pictures.shape[1:]), data.classes)
    net = fresh(training)
    trained(training, net, seen, len(pictures), folder, "cpu", on_epoch)
    return net.eval().requires_grad_(False)


@dataclass(frozen=True, eq=False)
class Subject:
    """A net of a scene, and the images that it is attacked on.

    index: (B,) numbers in the test split. target: (B,) the classes to be taken for. clean: share of
    the first thousand test images that the net gets right, each in one random view.
    """

    scene: Scene
    net: nn.Module
    index: Tensor
    x: Tensor
    y: Tensor
    target: Tensor
    clean: float


def subject(plan: EotPlan, scene: Scene, net: nn.Module, data: Dataset) -> Subject:
    """Choose images and, at random, another class for each to be taken for."""
    x, y = data.split("test").batch(slice(0, 1000))
    clean = float(_right(scene, net, x, y, plan.seed, 0).double().mean())
    few = slice(0, max(100, 3 * plan.images))
    x, y = x[few], y[few]
    ids = torch.arange(len(x))
    draw = Draw.of(plan.seed, ids)
    right = [_right(scene, net, x, y, plan.seed, k) for k in range(_TRIED)]
    with torch.no_grad():
        home = Home(scene, net)(x).argmax(1) == y
    known = home & (torch.stack(right).double().mean(0) > 0.5)
    rows = known.nonzero().flatten()[: plan.images]
    if not len(rows):
        hint = f"the net is right about {clean:.0%} of the views in scene {scene.name}"
        raise Invalid("train_n, epochs", (plan.train_n, plan.epochs), "enough to learn from", hint)
    other = draw.tag("target").integers(data.classes - 1, 1)[:, 0]
    target = other + (other >= y).long()
    return Subject(scene, net, ids[rows], x[rows], y[rows], target[rows], clean)


def _right(scene: Scene, net: nn.Module, x: Tensor, y: Tensor, seed: int, k: int) -> Tensor:
    """(B,) bool: whether the net is right about the k-th view of each sample."""
    draw = Draw.of(seed, torch.arange(len(x))).tag("choose", k)
    with torch.no_grad():
        right: Tensor = net(_seen(scene, x, draw)).argmax(1) == y
    return right


def witnesses(plan: EotPlan, s: Subject) -> dict[str, Tensor]:
    """(B, *F) what each method comes to, the original among them."""
    attacks, home, goal = plan.attacks(), Home(s.scene, s.net), Targeted(s.target)
    around: Any = {"seed": plan.seed, "ids": s.index}
    threat, all_views = Linf(eps=plan.eps), plan.under(s.scene)
    further: Any = {**around, "early_stop": False}
    found: dict[str, Found | Nearest] = {
        "smallest": nearest(attacks["smallest"], home, s.x, goal, threat, **around),
        "pushed": search(attacks["pushed"], home, s.x, goal, threat, **further),
        "eot": search(attacks["eot"], s.net, s.x, goal, threat, under=all_views, **further),
    }
    for name, result in found.items():
        if result.error is not None:
            raise RuntimeError(f"{name} failed:\n{result.error}")
    return {"original": s.x} | {name: result.x_adv for name, result in found.items()}


def rows_of(plan: EotPlan, s: Subject, found: Mapping[str, Tensor]) -> list[Row]:
    """Judge every input over fresh views: how often it is taken for target, and for its label."""
    said = {name: _judged(plan, s, x) for name, x in found.items()}
    return [
        {
            "name": f"{s.scene.name}-{index}",
            "scene": s.scene.name,
            "index": index,
            "label": int(s.y[i]),
            "target": int(s.target[i]),
            "clean": s.clean,
            **{name: {k: v[i] for k, v in columns.items()} for name, columns in said.items()},
        }
        for i, index in enumerate(s.index.tolist())
    ]


def _judged(plan: EotPlan, s: Subject, x: Tensor) -> dict[str, list[Any]]:
    draw = Draw.of(plan.seed, s.index).tag("judge")
    counts = {"target": torch.zeros(len(x)), "label": torch.zeros(len(x))}
    with Door(s.net, verify=False) as door:
        for k in range(plan.trials):
            said = door.scores(_seen(s.scene, x, draw.tag(k))).argmax(1)
            counts["target"] += said == s.target
            counts["label"] += said == s.y
        home = Home(s.scene, s.net)(x).argmax(1) == s.target
    length = torch.linalg.vector_norm(flat(x - s.x), dim=1)
    hits = {name: count.long().tolist() for name, count in counts.items()}
    return {**hits, "home": home.tolist(), "l2": [round(v, 4) for v in length.tolist()]}


def strip(plan: EotPlan, s: Subject, found: Mapping[str, Tensor]) -> Arrays:
    """Arrays of a strip: every method's first witness at home and in the same random views.

    pictures: (methods, 1 + SHOWN, C, H, W) uint8. said: (methods, 1 + SHOWN) classes. label,
    target: (1,) of the image, the first that the attack over the distribution makes hold.
    """
    draw, first = Draw.of(plan.seed, s.index).tag("strip"), _first(plan, s, found["eot"])
    one, rows = slice(first, first + 1), []
    for name in METHODS:
        x = found[name][one]
        still = Draw.of(0, torch.zeros(1, dtype=torch.int64))
        home = x if s.scene.home is None else s.scene.home(x, still)
        views = [_seen(s.scene, x, draw[s.index[one] * 0 + first].tag(k)) for k in range(SHOWN)]
        rows.append(torch.cat([home, *views]))
    pictures = torch.stack(rows)
    with torch.no_grad():
        said = s.net(pictures.flatten(0, 1)).argmax(1).view(len(METHODS), -1)
    return {
        "pictures": (pictures * 255).round().byte().numpy(),
        "said": said.numpy(),
        "label": s.y[one].numpy(),
        "target": s.target[one].numpy(),
    }


def _first(plan: EotPlan, s: Subject, x: Tensor) -> int:
    hits = _judged(plan, s, x)["target"]
    quorum = plan.under(s.scene).quorum
    return next((i for i, k in enumerate(hits) if k >= quorum), 0)
