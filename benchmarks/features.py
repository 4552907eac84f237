"""Attacks within a distance in activations, their robust accuracy and what they look like.

The network that is attacked and the one that measures are the two published MNIST nets.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.models.perceptual import Perceptual

ATTACKS: tuple[tuple[str, int, Any], ...] = (
    ("PGD, gradient", 0, sp.PGD(steps=40)),
    ("PGD, 5 CG iterations", 5, sp.PGD(steps=40)),
    ("PGD, 10 CG iterations", 10, sp.PGD(steps=40)),
    ("APGD, 10 CG iterations", 10, sp.APGD(steps=40)),
    ("Lagrangian, gradient", 0, sp.Lagrangian(steps=40)),
    ("Lagrangian, 10 CG iterations", 10, sp.Lagrangian(steps=40)),
)


def measured(args: argparse.Namespace, model: nn.Module, x: Tensor, y: Tensor) -> None:
    """Print a row for each attack; every attack sees every sample."""
    print("| attack | robust, at most | mean margin | CPU seconds |\n|---|---|---|---|")
    for name, cg, attack in ATTACKS:
        threat = sp.Features(args.network, eps=args.eps, arch=args.arch, cg=cg)
        began = time.process_time()
        found = sp.search(attack, model, x, y, threat, loss="margin", early_stop=False)
        spent = time.process_time() - began
        mean = float(found.margin.mean())
        print(f"| {name} | {100 * found.robust_accuracy:.1f} % | {mean:.2f} | {spent:.0f} |")


def shown(args: argparse.Namespace, model: nn.Module, x: Tensor, y: Tensor) -> None:
    """Draw inputs, what changes them under L_inf and under features, and both distances."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    threat = sp.Features(args.network, eps=args.eps, arch=args.arch)
    sets = (
        (f"L∞ at most {args.linf:g}", sp.Linf(args.linf)),
        (f"features at most {args.eps:g}", threat),
    )
    attack = sp.Restarts(sp.PGD(steps=40, loss="margin"), n=2)
    found = [(said, sp.search(attack, model, x, y, t)) for said, t in sets]
    both = (found[0][1].broken & found[1][1].broken & (found[0][1].clean_margin < 0)).nonzero()
    rows = both.squeeze(1)[: args.shown]
    figure, axes = plt.subplots(3, len(rows), figsize=(1.5 * len(rows), 5.4), squeeze=False)
    for column, i in enumerate(rows.tolist()):
        drawn(axes[0][column], x[i], f"{int(y[i])}")
        for row, (_, f) in enumerate(found, 1):
            drawn(
                axes[row][column], f.x_adv[i], caption(threat.perceptual, model, x[i], f.x_adv[i])
            )
    for row, said in enumerate(("input", *(said for said, _ in found))):
        axes[row][0].set_ylabel(said, fontsize=9)
    figure.tight_layout()
    figure.savefig(args.picture, dpi=130)


def drawn(axis: Any, image: Tensor, title: str) -> None:  # noqa: ANN401 - matplotlib's
    """Put an image of one channel on an axis."""
    axis.imshow(image[0], cmap="gray", vmin=0, vmax=1)
    axis.set_title(title, fontsize=8)
    axis.set_xticks([])
    axis.set_yticks([])


def caption(seen: Perceptual, model: nn.Module, x: Tensor, moved: Tensor) -> str:
    """Return the new class and both distances."""
    with torch.no_grad():
        said = int(model(moved[None]).argmax())
        far = float(seen.distance(x[None].double(), moved[None].double()))
    return f"{said}\nL∞ {float((moved - x).abs().max()):.2f}\nfeatures {far:.2f}"


def main() -> None:
    """Read arguments, then measure or draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    shared = "../shared/models"
    parser.add_argument("--model", default=f"{shared}/mnist-fgsm.safetensors")
    parser.add_argument("--network", default=f"{shared}/mnist-pgd.safetensors")
    parser.add_argument("--arch", default="conv-small")
    parser.add_argument("--eps", type=float, default=0.35)
    parser.add_argument("--linf", type=float, default=0.3)
    parser.add_argument("--n", type=int, default=64)
    parser.add_argument("--shown", type=int, default=6)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    net: Any = sp.load_model(args.model, args.arch).model
    x, y = sp.load_data("mnist").split("test").batch(torch.arange(args.n))
    (shown if args.picture else measured)(args, net, x, y)


if __name__ == "__main__":
    main()
