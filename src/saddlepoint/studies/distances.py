"""One image of the study of exact distances, and what all of them come to."""

import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.core.errors import Unsound
from saddlepoint.core.goal import Untargeted
from saddlepoint.core.nearest import nearest
from saddlepoint.core.shapes import put
from saddlepoint.studies.exact_plan import ExactPlan
from saddlepoint.studies.measure import Row
from saddlepoint.threats import Linf
from saddlepoint.verify.milp import smallest
from saddlepoint.verify.network import Network
from saddlepoint.verify.region import region
from saddlepoint.verify.spec import Spec, margins
from saddlepoint.verify.tracing import trace

__all__ = ["Attacked", "attacked", "check_image", "measure_image", "summary"]

_WHOLE = Linf(eps=1.0)
_ROUNDING = 2e-6  # float32 attacks, and the solver's tolerance


@dataclass(frozen=True, eq=False)
class Attacked:
    """What attacks find on B samples: (B,) sizes by attack, and the closest break, (B, *F)."""

    sizes: dict[str, Tensor]
    closest: Tensor

    def __getitem__(self, rows: slice) -> "Attacked":
        return Attacked({k: size[rows] for k, size in self.sizes.items()}, self.closest[rows])


def attacked(plan: ExactPlan, net: nn.Module, x: Tensor, y: Tensor) -> Attacked:
    """Run every attack of the plan on all samples at once."""
    sizes: dict[str, Tensor] = {}
    closest, least = x, torch.full((len(x),), math.inf, dtype=torch.float64)
    for name, attack in plan.attacks().items():
        found = nearest(attack, net, x, y, _WHOLE, seed=plan.seed)
        if found.error is not None:
            raise RuntimeError(f"{attack!r} failed:\n{found.error}")
        sizes[name] = found.size
        closest = put(found.size < least, found.x_adv, closest)
        least = torch.minimum(least, found.size)
    return Attacked(sizes, closest)


def measure_image(plan: ExactPlan, net: nn.Module, x: Tensor, y: Tensor, known: Attacked) -> Row:
    """Return the row of an image: the bracket, the distance of every attack, no program yet.

    Raises ``Unsound`` where a break is closer than a certified size.
    """
    begin = time.monotonic()
    sizes = {name: float(size[0]) for name, size in known.sizes.items()}
    start = known.closest if math.isfinite(min(sizes.values())) else None
    network, spec = _asked(net, x, y)
    bracket = plan.distance()(network, _WHOLE, x, spec, start)
    for name, size in sizes.items():
        if size < bracket.lower - _ROUNDING:
            raise Unsound(f"{name} breaks at {size:.7g}, below the certified {bracket.lower:.7g}")
    return {
        "label": int(y[0]),
        "state": bracket.state,
        "lower": bracket.lower,
        "upper": bracket.upper,
        "spent": bracket.spent,
        "seconds": round(time.monotonic() - begin, 2),
        "attacks": {k: size if math.isfinite(size) else None for k, size in sizes.items()},
        "program": None,
    }


def _asked(net: nn.Module, x: Tensor, y: Tensor) -> tuple[Network, Spec]:
    network = trace(net, tuple(x.shape[1:]))
    return network, margins(Untargeted(y), network.nodes[-1].shape.numel(), x)


def check_image(
    plan: ExactPlan, net: nn.Module, x: Tensor, y: Tensor, row: Mapping[str, Any]
) -> Row:
    """Return what a mixed-integer program says within a little more than the known distance.

    Raises ``Unsound`` where its bracket and that of the row have nothing in common.
    """
    begin = time.monotonic()
    network, spec = _asked(net, x, y)
    where = region(_WHOLE.at(min(1.0, 1.02 * row["upper"])), x.double())
    near = smallest(network, x, where, spec, plan.program_seconds)
    if near.lower > row["upper"] + _ROUNDING or row["lower"] > near.upper + _ROUNDING:
        raise Unsound(
            f"the program puts the distance in [{near.lower:.7g}, {near.upper:.7g}], branch and "
            f"bound in [{row['lower']:.7g}, {row['upper']:.7g}]"
        )
    upper = near.upper if math.isfinite(near.upper) else None
    said = {"state": near.state, "lower": near.lower, "upper": upper, "gap": near.gap}
    return {**said, "seconds": round(time.monotonic() - begin, 2)}


def summary(
    plan: ExactPlan, cells: Mapping[str, Mapping[str, Any]], accuracy: Mapping[str, float]
) -> dict[str, Any]:
    """Return means over the images that are done, per net, and how the nets compare.

    distance: mean [lower, upper]. attacks: of the images that an attack broke at all (found), the
    mean and the largest of its distance over the upper end. factor: how many times the adversarial
    net's mean distance is the natural one's.
    """
    nets: dict[str, dict[str, Any]] = {}
    for name, share in accuracy.items():
        rows = [row for row in cells.values() if row["training"] == name]
        nets[name] = {"clean": share} | (_net_summary(plan, rows) if rows else {})
    means = [net["distance"][1] for net in nets.values() if "distance" in net]
    return {"nets": nets, "factor": means[1] / means[0] if len(means) == len(nets) else None}


def _net_summary(plan: ExactPlan, rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    attacks = {}
    for name in plan.attacks():
        sizes = [(row["attacks"][name], row["upper"]) for row in rows]
        ratios = [size / upper for size, upper in sizes if size is not None]
        mean = statistics.fmean(ratios) if ratios else None
        attacks[name] = {"found": len(ratios), "mean": mean, "largest": max(ratios, default=None)}
    programs = [row["program"]["state"] for row in rows if row["program"]]
    return {
        "images": len(rows),
        "closed": sum(row["state"] == "closed" for row in rows),
        "distance": [statistics.fmean(row[end] for row in rows) for end in ("lower", "upper")],
        "attacks": attacks,
        "programs": {state: programs.count(state) for state in sorted(set(programs))},
    }
