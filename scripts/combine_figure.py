"""Draw docs/images/combine.png: one row for each set, the digits that break the model within it.

Run: python scripts/combine_figure.py path/to/mnist-fgsm.safetensors
"""

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import torch

import saddlepoint as sp

OUT = Path(__file__).parents[1] / "docs/images/combine.png"
TURN, BALL = sp.RotateTranslate(degrees=20, pixels=2), sp.Linf(0.3)
BY_TURN, BY_BALL = sp.Refine(rounds=2, keep=3), sp.Restarts(sp.APGD(steps=50), n=3)
MASK = ((7, 21), (7, 21))
ROWS: tuple[tuple[str, Any, Any], ...] = (
    ("Linf(0.3)", BALL, BY_BALL),
    ("RotateTranslate(20, 2)", TURN, BY_TURN),
    ("Linf(0.3) | Rotate…", sp.Union(BALL, TURN), sp.Each((BY_BALL, BY_TURN))),
    ("Rotate… >> Linf(0.1)", sp.Chain(TURN, sp.Linf(0.1)), sp.Each((BY_TURN, BY_BALL))),
    ("Masked(Linf(0.3), centre)", sp.Masked(BALL, MASK), BY_BALL),
)


def main(weights: str) -> None:
    """Attack one image of each class in every set, and draw what was found."""
    model = sp.load_model(weights, arch="conv-small").model
    x, y = sp.load_data("mnist").split("test").batch(torch.arange(200))
    first = [int((y == k).nonzero()[0]) for k in range(10)]
    x, y = x[first], y[first]
    found = [(name, sp.search(a, model, x, y, threat)) for name, threat, a in ROWS]
    figure, axes = plt.subplots(len(ROWS) + 1, 10, figsize=(9.5, 6.2))
    for k in range(10):
        pictures = [("as it is", x[k], True), *((n, f.x_adv[k], f.broken[k]) for n, f in found)]
        for row, (name, image, broken) in enumerate(pictures):
            ax = axes[row, k]
            ax.imshow(image[0], cmap="gray", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            said = int(model(image[None]).argmax())
            wrong = row > 0 and bool(broken)
            ax.set_title(f"{said}", fontsize=8, pad=2, color="#b3261e" if wrong else "#444444")
            for side in ax.spines.values():
                side.set(color="#b3261e" if wrong else "#bbbbbb", linewidth=1.2 if wrong else 0.6)
            if k == 0:
                ax.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    figure.tight_layout(pad=0.4)
    figure.savefig(OUT, dpi=110)


if __name__ == "__main__":
    with torch.no_grad():
        main(sys.argv[1])
