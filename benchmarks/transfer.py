"""Attacks that borrow: transfer, queries guided by surrogates, and warm starts, on MNIST.

    SADDLEPOINT_DATA=DIR python benchmarks/transfer.py ../shared/models --nets runs/transfer

Nets are words as ``--surrogate`` takes them: folders, or architectures that are trained below
``--nets`` first. N and M are natural surrogates, R a robust one, T a natural net under attack.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from record import table, write
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.attacks.earlier import Points
from saddlepoint.audit.borrowing import surrogate_of
from saddlepoint.views import Scale, Shift

SEED = 0
SETS = {"N": ("N",), "R": ("R",), "N + R": ("N", "R"), "N + M": ("N", "M")}
MARKS = (10, 100, 1000)
WORDS = {
    "N": "natural:conv-small",
    "R": "robust:conv-small",
    "M": "natural:mlp",
    "T": "natural:conv-medium",
}


def climb(transform: sp.Momentum | sp.Smooth | None, **options: Any) -> sp.PGD:  # noqa: ANN401
    """Twenty steps, as arms of an audit take."""
    return sp.PGD(steps=20, loss="margin", transform=transform, **options)


def transfers(team: tuple[sp.Surrogate, ...]) -> dict[str, sp.Transfer]:
    """What is compared, from plain to all together."""
    mi, diverse = climb(sp.Momentum(1.0)), Scale((0.85, 1.0)) >> Shift(0.06)
    smooth = climb(sp.Smooth(0.7, then=sp.Momentum(1.0)), start="clean")
    return {
        "PGD": sp.Transfer(climb(None), team),
        "MI": sp.Transfer(mi, team),
        "MI + DI": sp.Transfer(mi, team, views=diverse),
        "MI + TI": sp.Transfer(smooth, team),
        "MI + DI + TI": sp.Transfer(smooth, team, views=diverse),
    }


def nets(
    shared: Path, folder: Path, words: dict[str, str]
) -> tuple[dict[str, sp.Surrogate], dict[str, Any]]:
    """Surrogates by letter, and the nets under attack with the radius."""
    data, threat = sp.load_data("mnist"), sp.Linf(0.3)
    mine = {k: surrogate_of(v, None, data, threat, folder, seed=SEED) for k, v in words.items()}
    other = mine.pop("T").model
    given = {
        k: sp.load_model(shared / f"{k}.safetensors", "conv-small").model
        for k in ("mnist-fgsm", "mnist-pgd")
    }
    return mine, {
        **{f"{k} 0.3": (net, 0.3) for k, net in given.items()},
        "natural 0.1": (other, 0.1),
        "natural 0.2": (other, 0.2),
    }


def by_transfer(
    mine: dict[str, sp.Surrogate], targets: dict[str, Any], x: Tensor, y: Tensor
) -> list[Any]:
    """Robust accuracy after one question a sample."""
    rows = []
    for name, letters in SETS.items():
        for attack, made in transfers(tuple(mine[k] for k in letters)).items():
            row: dict[str, Any] = {"surrogates": name, "attack": attack}
            for target, (net, eps) in targets.items():
                found = sp.search(made, net, x, y, sp.Linf(eps), access="none", seed=SEED)
                row[target] = round(100 * found.robust_accuracy, 1)
            rows.append(row)
            print(row, flush=True)
    return rows


def spent(found: sp.Found, queries: int) -> dict[str, Any]:
    """How many questions the breaks took; the clean one is not counted."""
    asked = (found.cost.forward - 1).double()
    fresh = found.clean_margin <= 0
    broken = found.broken & fresh
    hit = {f"broken at {q}": int((broken & (asked <= q)).sum()) for q in MARKS if q <= queries}
    mean = asked[fresh].clamp(max=queries).mean()
    return {
        **hit,
        "median": float(asked[broken].median()) if bool(broken.any()) else None,
        "mean, failures at the limit": round(float(mean), 1),
    }


def to_equal(found: sp.Found, broken: int) -> int | None:
    """Return the number of questions after which as many samples are broken."""
    fresh = found.broken & (found.clean_margin <= 0)
    asked = (found.cost.forward - 1)[fresh].sort().values
    return int(asked[broken - 1]) if broken <= len(asked) else None


def pairs(
    twin: sp.Square,
    guided: dict[str, Any],
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    queries: int,
) -> list[dict[str, Any]]:
    """One row for the search alone, and one for each guided one."""
    rows, least = [], 0
    for name, attack in {"alone": twin, **guided}.items():
        began = time.process_time()
        found = sp.search(attack, net, x, y, sp.Linf(eps), access="scores", seed=SEED)
        own = int((found.broken & (found.clean_margin <= 0)).sum())
        least = least or own
        row = {"prior": name, **spent(found, queries), "as many breaks at": to_equal(found, least)}
        rows.append({**row, "CPU s": round(time.process_time() - began)})
        print(rows[-1], flush=True)
    return rows


def by_queries(
    mine: dict[str, sp.Surrogate], targets: dict[str, Any], x: Tensor, y: Tensor, queries: int
) -> list[Any]:
    """Square, alone and guided."""
    rows = []
    for target, (net, eps) in targets.items():
        guided = {
            "R": sp.PriorGuided(queries, (mine["R"],)),
            "N": sp.PriorGuided(queries, (mine["N"],)),
            "R, start only": sp.PriorGuided(queries, (mine["R"],), candidates=1),
        }
        found = pairs(sp.Square(queries), guided, net, x, y, eps, queries)
        rows += [{"target": target, **row} for row in found]
    return rows


def tuned(net: nn.Module, folder: Path) -> nn.Module:
    """Train the net on for one epoch: what a new version of a model is."""
    half = sp.load_data("mnist").split("train")
    plan = sp.TrainPlan(
        arch="conv-small",
        shape=(1, 28, 28),
        classes=10,
        threat=sp.Linf(0.3),
        attack=sp.PGD(steps=3),
        keep="last",
        epochs=1,
        lr=3e-4,
        check_n=100,
        seed=SEED,
    )
    return sp.train(plan, net, half.x, half.y, folder / "tuned", progress=False).model


def by_warmth(shared: Path, folder: Path, x: Tensor, y: Tensor, queries: int) -> list[Any]:
    """Square from the witnesses of a search on mnist-fgsm, against the same without."""
    load = lambda k: sp.load_model(shared / f"{k}.safetensors", "conv-small").model  # noqa: E731
    first = sp.Sequence((sp.PGD(loss="margin"), sp.Square(queries)))
    found = sp.search(first, load("mnist-fgsm"), x, y, sp.Linf(0.3), seed=SEED)
    rows = (found.broken & (found.clean_margin <= 0)).nonzero()[:, 0]
    points = Points(rows, found.x_adv[rows], "0" * 64)
    guided = {
        "witnesses alone": sp.PriorGuided(2, starts=(sp.Earlier(points),)),
        "witnesses, then Square": sp.PriorGuided(queries, starts=(sp.Earlier(points),)),
    }
    print(f"{len(rows)} witnesses of mnist-fgsm")
    told = []
    for name, net in (
        ("mnist-fgsm, one epoch on", tuned(load("mnist-fgsm"), folder)),
        ("mnist-pgd", load("mnist-pgd")),
    ):
        made = pairs(sp.Square(queries), guided, net, x, y, 0.3, queries)
        told += [{"target": name, **row} for row in made]
    return told


def main() -> None:
    """Measure and write ``results/transfer.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--nets", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--n", type=int, default=300)
    parser.add_argument("--queries", type=int, default=1000)
    for letter, word in WORDS.items():
        parser.add_argument(f"--{letter}", default=word)
    args = parser.parse_args()
    torch.set_num_threads(1)
    x, y = sp.load_data("mnist").split("test").batch(torch.arange(args.n))
    mine, targets = nets(args.shared, args.nets, {k: getattr(args, k) for k in WORDS})
    said = {
        "n": args.n,
        "queries": args.queries,
        "nets": {k: repr(s) for k, s in mine.items()},
        "transfer": by_transfer(mine, targets, x, y),
        "guided": by_queries(mine, targets, x, y, args.queries),
        "warm": by_warmth(args.shared, args.nets, x, y, args.queries),
    }
    for name in ("transfer", "guided", "warm"):
        table(name, said[name])
    write("transfer", SEED, 1, said)


if __name__ == "__main__":
    main()
