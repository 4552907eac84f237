"""Patches: witnesses of finished audits as a picture, and attacks on a patch that may lie anywhere.

python benchmarks/patch.py draw RUN [RUN ...] --out docs/images/patch.png
python benchmarks/patch.py arms ../shared/models/mnist-fgsm.safetensors --n 100
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import saddlepoint as sp
from saddlepoint.train.curves import INK, MUTED, STYLE, SURFACE

SHOWN = 8
ARMS = (
    sp.PGD(),
    sp.Restarts(sp.PGD(steps=20, reach=1.0), n=5),
    sp.APGD(),
    sp.Polish(sp.WorstOf(k=50)),
    sp.Square(n_queries=250),
    sp.Square(n_queries=1000),
)


def rows(folders: list[Path]) -> list[tuple[str, Any]]:
    """Threat and gallery of each run."""
    found = []
    for folder in folders:
        document = json.loads((folder / "audit.json").read_text())
        with np.load(folder / "gallery.npz", allow_pickle=False) as stored:
            found.append((document["threat"]["spec"], {k: stored[k] for k in stored.files}))
    return found


def draw(runs: list[tuple[str, Any]], out: Path) -> None:
    """One line of inputs with their patches for each run, the wrong answers below."""
    mpl.rcParams.update(STYLE)
    figure = Figure(figsize=(1.1 * SHOWN + 0.2, 1.55 * len(runs)), facecolor=SURFACE)
    FigureCanvasAgg(figure)
    for r, (name, gallery) in enumerate(runs):
        for i in range(min(SHOWN, len(gallery["index"]))):
            axes = figure.add_subplot(len(runs), SHOWN, r * SHOWN + i + 1)
            picture = np.clip(gallery["x_adv"][i], 0, 1).transpose(1, 2, 0)
            axes.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(False)
            said = f"{gallery['label'][i]} → {gallery['pred_after'][i]}"
            axes.set_xlabel(said, color=MUTED, fontsize=9, labelpad=2)
            if i == 0:
                axes.set_title(name, loc="left", fontsize=10, color=INK)
    figure.subplots_adjust(0.015, 0.06, 0.985, 0.93, 0.12, 0.42)
    figure.savefig(out, dpi=110, metadata={"Software": None})


def arms(model: str, n: int) -> None:
    """Print what is left of the first n MNIST test images, and the passes of each attack."""
    net = sp.load_model(model, "conv-small").model
    x, y = sp.load_data("mnist").split("test").batch(torch.arange(n))
    opening = sp.PGD(steps=20, start="clean", loss="probability-margin", reach=1.0)
    broken = torch.zeros(n, dtype=torch.bool)
    for top in range(0, 23, 3):
        for left in range(0, 23, 3):
            rows = (~broken).nonzero()[:, 0]
            found = sp.search(opening, net, x[rows], y[rows], sp.Patch(6, at=(top, left)))
            broken[rows] = found.broken
    print(f"64 places, {opening} at each: {1 - broken.double().mean():.1%}")
    for attack in ARMS:
        found = sp.search(attack, net, x, y, sp.Patch(6))
        passes = (found.cost.rows_forward + found.cost.rows_backward) / n
        print(f"{attack!r}: {found.robust_accuracy:.1%}, {passes:.0f} passes", flush=True)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    drawing, attacking = verbs.add_parser("draw"), verbs.add_parser("arms")
    drawing.add_argument("runs", nargs="+", type=Path)
    drawing.add_argument("--out", type=Path, default=Path("docs/images/patch.png"))
    attacking.add_argument("model")
    attacking.add_argument("--n", type=int, default=100)
    given = parser.parse_args()
    if given.verb == "draw":
        draw(rows(given.runs), given.out)
    else:
        arms(given.model, given.n)


if __name__ == "__main__":
    main()
