"""A threat model of your own: a lamp that flickers. python examples/custom_threat.py [FOLDER]

A camera with a rolling shutter exposes an image row by row. Who holds a lamp that can be switched
fast decides how dark each row becomes: by up to eps, the lamp's share of the light.

To name it on the command line as well (`--threat "Flicker(0.8)"`), a package declares it:

    [project.entry-points.saddlepoint]
    Flicker = "custom_threat:Flicker"
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import matplotlib.pyplot as plt
import torch
from net import digits, trained
from torch import Tensor

import saddlepoint as sp
from saddlepoint.core.draw import Draw
from saddlepoint.core.shapes import like

__all__ = ["Flicker"]


@dataclass(frozen=True)
class Flicker:
    """{(1 - u) x : 0 <= u_i <= eps for each row i}; x is (B, C, H, W), and u (B, 1, H, 1)."""

    eps: float | Tensor  # a number, or one for each sample (B,)
    parametric: ClassVar[bool] = True  # u is not x_adv - x, so a witness has to name it

    def start(self, x: Tensor) -> Tensor:
        """Leave the lamp on: apply(x, start(x)) == x."""
        return x.new_zeros(len(x), 1, x.shape[2], 1)

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """Draw how dark each row is; randomness comes from ``draw`` alone."""
        return draw.uniform(1, x.shape[2], 1).to(x) * self._eps(x)

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Return what is nearest to u among that which the lamp can do."""
        return u.clamp(min=0).minimum(self._eps(u))

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """Move each row as far as the set is wide, where the gradient g points."""
        return g.sign() * self._eps(g)

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """Take the picture; it stays within [0, 1]."""
        return x * (1 - u)

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        """(B,) whether the lamp can do u, in float64 and never by way of project."""
        dark = u.double().flatten(1)
        able = (dark >= -tol) & (dark <= self._eps(dark) + tol)
        return able.all(1) & ((x >= -tol) & (x <= 1 + tol)).flatten(1).all(1)

    def __getitem__(self, keep: Tensor) -> Self:
        """Return the sets of some samples."""
        return replace(self, eps=self.eps[keep]) if isinstance(self.eps, Tensor) else self

    # That is a threat model. This makes it convex, for FGSM and Frank-Wolfe:
    def maximise(self, x: Tensor, g: Tensor) -> Tensor:
        """Argmax <g, u> over the set."""
        return (g > 0) * self._eps(g)

    # And this a family of nested sets, for sp.nearest, sp.curve and some health checks:
    def size(self, x: Tensor, u: Tensor) -> Tensor:
        """(B,) the lamp that u takes."""
        return u.flatten(1).amax(1)

    def at(self, eps: float | Tensor) -> Self:
        """Return the set of another lamp; one that is all of the light is the largest."""
        return replace(self, eps=eps.clamp(max=1) if isinstance(eps, Tensor) else min(eps, 1.0))

    def _eps(self, u: Tensor) -> Tensor:
        return like(torch.as_tensor(self.eps).to(u), u)


def draw_witnesses(model: torch.nn.Module, x: Tensor, found: sp.Found, path: Path) -> None:
    """Each column: a picture under a steady lamp, how bright its rows become, and what is taken."""
    rows = found.broken.nonzero()[:6, 0]
    before, after = x[rows], found.x_adv[rows]
    light = (1 - found.u[rows]).expand(-1, -1, -1, 2)
    figure, axes = plt.subplots(
        3, len(rows), figsize=(1.5 * len(rows), 4.6), layout="constrained", squeeze=False
    )
    for row, images, seen in ((0, before, True), (1, light, False), (2, after, True)):
        said = model(images).argmax(1).tolist() if seen else []
        for k, image in enumerate(images):
            axes[row, k].imshow(image[0], cmap="gray", vmin=0, vmax=1)
            axes[row, k].set(xticks=[], yticks=[])
            if seen:
                axes[row, k].set_title(f"seen as {said[k]}", color="#c0392b" if row else "black")
    for row, label in enumerate(("steady lamp", "light", "flickering lamp")):
        axes[row, 0].set_ylabel(label)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(out: Path) -> None:
    """Search with several attacks, look at witnesses, audit."""
    model, threat = trained(), Flicker(eps=0.5)
    x, y = digits(n=200)
    attacks = (sp.FGSM(), sp.PGD(steps=20), sp.FrankWolfe(steps=20), sp.RandomSearch(n_queries=300))
    for attack in attacks:
        found = sp.search(attack, model, x, y, threat)
        print(f"{attack!s:28} leaves {found.robust_accuracy:.1%}")
    nearest = sp.nearest(sp.FMN(steps=50), model, x, y, threat)
    print(f"half of the digits break under a lamp of {nearest.size.median():.2f} of the light")

    result = sp.audit(model, (x[:100], y[:100]), threat, effort="quick", out=out)
    print(result)
    draw_witnesses(model, x, found, out / "flicker.png")
    print(f"report: {out}/report.html, witnesses: {out}/flicker.png")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/flicker"))
