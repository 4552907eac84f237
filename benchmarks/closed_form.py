"""Share of the exact worst case that attacks reach on linear models with non-uniform weights.

    .venv-bench/bin/python benchmarks/closed_form.py
    .venv-bench/bin/python benchmarks/closed_form.py --skip "RandomSearch()"     (minutes less)

The optimum is ``threat.maximise`` in float64, cross-checked with a linear program at 20
dimensions for L1 and L_inf. A third of the inputs touch the box. All attacks run at their default
settings; a default step that is an absolute length keeps its ratio to the default radius.
``outside`` is the share of returned inputs that are not in the set at all (tolerance 1e-4).
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import record
import torch
from scipy.optimize import linprog
from torch import Tensor, nn

from saddlepoint import APGD, FGSM, L1, L2, PGD, FrankWolfe, Linf, Momentum, RandomSearch, search

SEED, BATCH, DIMS, THREADS = 0, 32, (20, 64, 784), 2
OURS = {
    "FGSM()": FGSM(),
    "PGD()": PGD(),
    "PGD(transform=Momentum())": PGD(transform=Momentum()),
    "APGD()": APGD(),
    "FrankWolfe()": FrankWolfe(),
    "RandomSearch()": RandomSearch(),
}
Found = Callable[[], Tensor]


@dataclass(frozen=True)
class Game:
    """A linear model with two classes, inputs of class 0, and a set."""

    model: nn.Module
    x: Tensor
    y: Tensor
    threat: Any
    order: float
    eps: float

    @property
    def w(self) -> Tensor:
        """(1, 1, D) gradient of the margin."""
        weight = self.model.get_submodule("1").weight
        return (weight[1] - weight[0]).view(1, 1, -1).double()

    def share(self, x_adv: Tensor) -> Tensor:
        """(B,) gain of the margin relative to the largest possible."""
        g = self.w.expand(len(self.x), 1, 1, -1)
        best = self.threat.maximise(self.x.double(), g)
        gained = (g * (x_adv.double() - self.x.double())).flatten(1).sum(1)
        return gained / (g * best).flatten(1).sum(1)


def game(order: float, dim: int) -> Game:
    """Draw one game; the weights spread over two orders of magnitude."""
    torch.manual_seed(SEED + dim)
    w = torch.randn(dim) * torch.exp(torch.randn(dim))
    layer = nn.Linear(dim, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.stack([-w, w]) / w.norm())
        layer.bias.zero_()
    x = (torch.rand(BATCH, 1, 1, dim) * 1.5 - 0.25).clamp_(0, 1)
    eps = {math.inf: 0.3, 2.0: 0.15 * math.sqrt(dim), 1.0: max(2.0, dim / 20)}[order]
    ball = {math.inf: Linf, 2.0: L2, 1.0: L1}[order](eps=eps)
    model = nn.Sequential(nn.Flatten(), layer).eval().requires_grad_(False)
    return Game(model, x, torch.zeros(BATCH, dtype=torch.int64), ball, order, eps)


def gap_to_program(g: Game) -> float:
    """Largest relative difference between ``maximise`` and a linear program over the set.

    u = p - q with 0 <= p <= 1 - x, 0 <= q <= x and, for L1, sum(p + q) <= eps.
    """
    w, worst = g.w.flatten().numpy(), 0.0
    mine = g.threat.maximise(g.x.double(), g.w.expand(BATCH, 1, 1, -1))
    limit = math.inf if g.order == 1 else g.eps
    for row, u in zip(g.x.double().flatten(1).numpy(), mine.flatten(1).numpy(), strict=True):
        sides = [(0, min(limit, s)) for s in [*(1 - row), *row]]
        sums = ([[1.0] * len(sides)], [g.eps]) if g.order == 1 else (None, None)
        best = -linprog([*-w, *w], A_ub=sums[0], b_ub=sums[1], bounds=sides).fun
        worst = max(worst, abs(best - float(w @ u)) / best)
    return worst


def _ours(g: Game, name: str) -> Tensor:
    return search(OURS[name], g.model, g.x, g.y, g.threat, seed=SEED, early_stop=False).x_adv


def _peer(g: Game, library: str) -> Tensor:
    from peers import DEFAULTS, PEERS  # only .venv-bench can

    torch.manual_seed(SEED)
    walk = DEFAULTS[library, g.order]
    return PEERS[library](g.model, g.x, g.y, g.order, g.eps, walk)


def attempts(g: Game, skip: Sequence[str], peers: bool) -> Iterator[tuple[str, Found]]:
    """Yield every attack that fits the norm."""
    for name in (name for name in OURS if name not in skip):
        yield f"ours {name}", partial(_ours, g, name)
    if not peers:
        return
    from peers import DEFAULTS, PEERS

    for library in PEERS:
        if (library, g.order) in DEFAULTS:
            yield f"{library} PGD", partial(_peer, g, library)


def row(g: Game, dim: int, name: str, find: Found) -> dict[str, Any]:
    """Return the least and mean share over the batch, or what the attack died of."""
    head = {"norm": f"L{g.order:g}", "dim": dim, "eps": g.eps, "attack": name}
    try:
        x_adv = find().detach()
    except Exception as error:  # noqa: BLE001 - a peer's failure is a result
        none = {"min_share": None, "mean_share": None, "outside": None}
        return head | none | {"error": f"{type(error).__name__}: {error}"[:200]}
    share = g.share(x_adv)
    outside = 1 - g.threat.contains(g.x, x_adv - g.x, 1e-4).double().mean().item()
    found = {"min_share": share.min().item(), "mean_share": share.mean().item()}
    return head | found | {"outside": outside, "error": None}


def main() -> None:
    """Measure and write results/closed_form.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dims", type=int, nargs="+", default=list(DIMS))
    parser.add_argument("--skip", nargs="*", default=[], help='such as "RandomSearch()": slow')
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    args = parser.parse_args()
    torch.set_num_threads(THREADS)
    rows = []
    for order in (math.inf, 2.0, 1.0):
        for dim in args.dims:
            g = game(order, dim)
            rows += [row(g, dim, name, find) for name, find in attempts(g, args.skip, args.peers)]
    gaps = {f"L{order:g}": gap_to_program(game(order, DIMS[0])) for order in (math.inf, 1.0)}
    record.table("share of the exact worst case", rows)
    print("largest relative gap between maximise and the linear program:", gaps)
    what = "share of the closed-form optimum on linear models, box active, default settings"
    payload = {"what": what, "batch": BATCH, "gap_to_linear_program": gaps, "rows": rows}
    record.write("closed_form", SEED, THREADS, payload)


if __name__ == "__main__":
    main()
