"""An attack of your own, beside PGD at equal passes: python examples/custom_attack.py

Nesterov's ascent takes the gradient not where it stands but where its momentum is about to carry
it (NI-FGSM, 1908.06281). It asks the threat model's verbs alone, so it runs in every set
without knowing which; the oracle counts its passes, keeps its worst point, drops what is broken
and stops it at the budget. A package makes it known to `--attack` by an entry point, as
custom_threat.py says; CONTRIBUTING.md says what it takes to have it in saddlepoint itself.
"""

from dataclasses import dataclass

import torch
from net import digits, trained

import saddlepoint as sp
from saddlepoint.core.access import Gradients
from saddlepoint.core.draw import Draw
from saddlepoint.core.threat import ThreatModel

__all__ = ["Nesterov"]


@dataclass(frozen=True)
class Nesterov:
    """Look ahead, climb there: a = P(u + m v), u' = P(a + s steepest(g(a))), v = u' - u."""

    steps: int = 10
    momentum: float = 0.75

    def __call__(self, oracle: Gradients[ThreatModel], draw: Draw) -> None:
        """Climb from a random member; P is ``project``, and s falls from two radii to none."""
        u = oracle.threat.sample(oracle.x, draw)
        v = torch.zeros_like(u)
        for k in range(self.steps):
            oracle, u, v = oracle.shrink(u, v)  # without the samples that are broken by now
            threat, x = oracle.threat, oracle.x
            ahead = threat.project(x, u + self.momentum * v)
            _, g = oracle.value_and_grad(ahead)
            step = 2 * (1 - k / self.steps)
            climbed = threat.project(x, ahead + step * threat.steepest(x, ahead, g))
            u, v = climbed, climbed - u
        oracle.value(u)


def main() -> None:
    """Both attacks, in three sets, with the same number of steps."""
    model, (x, y) = trained(), digits()
    print(f"{'set':14} {'steps':>5} {'passes':>7}   {'left by PGD':>11} {'by Nesterov':>12}")
    for threat in (sp.Linf(eps=0.05), sp.L2(eps=0.6), sp.L1(eps=2.0)):
        for steps in (5, 10, 20):
            found = [sp.search(a, model, x, y, threat) for a in (sp.PGD(steps), Nesterov(steps))]
            passes = max((f.cost.forward + f.cost.backward).double().mean() for f in found)
            pgd, nesterov = (f.robust_accuracy for f in found)
            print(f"{threat!s:14} {steps:5} {passes:7.1f}   {pgd:11.1%} {nesterov:12.1%}")


if __name__ == "__main__":
    main()
