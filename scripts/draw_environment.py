"""Draw docs/images/environment.png: one image under every change in environment, by severity.

python scripts/draw_environment.py cifar10 29 docs/images/environment.png
"""

import io
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.core.draw import Draw
from saddlepoint.threats.environment import CORRUPTIONS

SEVERITIES = (0, 1, 2, 3, 4, 5)
FAMILIES: dict[str, Any] = {
    "Affine": sp.Affine(padding="reflect"),
    "Perspective": sp.Perspective(padding="reflect"),
    "Colour": sp.Colour(),
    "Blur, gaussian": sp.Blur("gaussian"),
    "Blur, motion": sp.Blur("motion", pixels=8),
    "Blur, defocus": sp.Blur("defocus", pixels=3),
    **{name.replace("_", " "): sp.Corruption(name) for name in CORRUPTIONS},
}


def columns(threat: Any, x: Tensor) -> list[Tensor]:  # noqa: ANN401
    """One image per severity: every parameter at an end, one pattern for all severities."""
    ends = Draw.of(5, torch.arange(1)).uniform(len(threat.axes())).round()
    ends[:, 0] = 1.0
    for i, axis in enumerate(threat.axes()):
        if not axis.graded:
            ends[:, i] = 0.37
    return [threat.at(float(s)).apply(x, threat.at(float(s)).place(x, ends)) for s in SEVERITIES]


def main(data: str, index: int, out: Path) -> None:
    """Write the picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    x, _ = sp.load_data(data).split("test").batch(slice(index, index + 1))
    rows = (len(FAMILIES) + 1) // 2
    figure = Figure(figsize=(12.6, 0.86 * rows + 0.4))
    FigureCanvasAgg(figure)
    wide, high = 0.068, 0.965 / rows
    for k, (name, threat) in enumerate(FAMILIES.items()):
        half, row = divmod(k, rows)
        left, bottom = 0.085 + 0.505 * half, 0.965 - high * (row + 1)
        figure.text(left - 0.006, bottom + high / 2, name, ha="right", va="center", fontsize=8.5)
        for j, moved in enumerate(columns(threat, x)):
            axes = figure.add_axes((left + wide * j, bottom, wide * 0.97, high * 0.97))
            axes.imshow(moved[0].permute(1, 2, 0), vmin=0, vmax=1, interpolation="nearest")
            axes.set_axis_off()
            if row == 0:
                axes.set_title(f"{SEVERITIES[j]}", fontsize=9, pad=3)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=100)
    Image.open(drawn).convert("RGB").quantize(256).save(out, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
