"""What each attack makes of one digit.

``python benchmarks/adversaries.py --out docs/images/smallest.png``. The net is mnist-pgd of
../shared/models, the digit a test image. Above the changed digits, below the changes, blue for
darker and red for lighter.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import mnist_nets
import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import saddlepoint as sp
from saddlepoint.train.curves import INK, MUTED, STYLE, SURFACE

NET, SEED = "mnist-pgd", 0
PIXELS = 28 * 28
PANELS = (
    ("DeepFool", sp.DeepFool(), sp.L2(eps=28.0)),
    ("CW", sp.CW(), sp.L2(eps=28.0)),
    ("CWLinf", sp.CWLinf(), sp.Linf(eps=1.0)),
    ("EAD", sp.EAD(), sp.L1(eps=float(PIXELS))),
    ("CWL0", sp.CWL0(), sp.L0(eps=PIXELS)),
    ("JSMA", sp.JSMA(pair=False, sign=0), sp.L0(eps=PIXELS)),
    ("OnePixel, five", sp.OnePixel(places=5), sp.L0(eps=5, per="pixel")),
)
MEASURE = {"Linf": "L∞ {:.2f}", "L2": "L2 {:.2f}", "L1": "L1 {:.1f}", "L0": "{:.0f} pixels"}


def _bare(axes: object) -> None:
    axes.set_xticks([])  # type: ignore[attr-defined]
    axes.set_yticks([])  # type: ignore[attr-defined]
    axes.grid(False)  # type: ignore[attr-defined]
    axes.spines[:].set_visible(False)  # type: ignore[attr-defined]


def main() -> None:
    """Attack one digit every way and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--index", type=int, default=9, help="which test image")
    parser.add_argument("--out", type=Path, default=Path("docs/images/smallest.png"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    x, y = (t[-1:] for t in mnist_nets.images(args.index + 1))
    net = mnist_nets.net(NET)
    mpl.rcParams.update(STYLE)
    figure = Figure(figsize=(1.25 * len(PANELS) + 1.2, 3.1), facecolor=SURFACE)
    FigureCanvasAgg(figure)
    for i, (name, attack, threat) in enumerate(PANELS):
        found = sp.nearest(attack, net, x, y, threat, seed=SEED)
        size, taken = float(found.size[0]), int(net(found.x_adv).argmax(1)[0])
        broke = np.isfinite(size)
        said = MEASURE[type(threat).__name__].format(size) if broke else "no break found"
        print(name, said, taken)
        top = figure.add_subplot(2, len(PANELS), i + 1)
        top.imshow(found.x_adv[0, 0].numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        top.set_title(name, fontsize=10, color=INK)
        top.set_xlabel(f"{int(y[0])} → {taken}", color=MUTED, fontsize=9, labelpad=2)
        low = figure.add_subplot(2, len(PANELS), len(PANELS) + i + 1)
        low.imshow(found.u[0, 0].numpy(), cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
        low.set_xlabel(said, color=MUTED, fontsize=9, labelpad=2)
        _bare(top)
        _bare(low)
    figure.subplots_adjust(0.01, 0.07, 0.99, 0.92, 0.1, 0.2)
    figure.savefig(args.out, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
