"""Small nets, a search over them, and the certificate of what it closed."""

import random
from typing import NamedTuple

import torch
from torch import Tensor, nn

from saddlepoint.core.goal import Goal, Targeted, Untargeted
from saddlepoint.threats import L1, L2, Linf
from saddlepoint.threats.ball import Ball
from saddlepoint.verify.certificate import Certificate
from saddlepoint.verify.certify import certify_tree
from saddlepoint.verify.checker import Checker
from saddlepoint.verify.ladder import Ladder, Rung, Verdict
from saddlepoint.verify.proof.inputs import Inputs, inputs
from saddlepoint.verify.region import region
from saddlepoint.verify.spec import Spec, margins
from saddlepoint.verify.tracing import trace

CLASSES = 3


class Residual(nn.Module):
    def __init__(self, width: int, act: nn.Module) -> None:
        super().__init__()
        self.one, self.two, self.act = nn.Linear(width, width), nn.Linear(width, width), act

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x + self.two(self.act(self.one(x))))


ACTS = (
    nn.ReLU,
    nn.ReLU,
    lambda: nn.LeakyReLU(0.1),
    nn.ReLU6,
    nn.Hardtanh,
    nn.Tanh,
    nn.Sigmoid,
    nn.GELU,
    nn.SiLU,
    nn.ELU,
    nn.Softplus,
)


def net(seed: int) -> nn.Module:
    """Some net of 1 x 4 x 4 inputs with weights of twice the usual size."""
    rng = random.Random(seed)  # noqa: S311 - not a secret
    torch.manual_seed(seed)
    act = rng.choice(ACTS)()
    flat, end = nn.Flatten(), nn.Linear(8, CLASSES)
    made = rng.choice(
        [
            nn.Sequential(flat, nn.Linear(16, 12), act, nn.Linear(12, 8), act, end),
            nn.Sequential(flat, nn.Linear(16, 8), act, Residual(8, act), end),
            nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), act, nn.Conv2d(8, 8, 2), act, flat, end),
            nn.Sequential(nn.Conv2d(1, 2, 3, 1, 1), act, nn.MaxPool2d(2), flat, end),
            nn.Sequential(
                nn.Conv2d(1, 2, 3, 1, 1), nn.BatchNorm2d(2), act, nn.AvgPool2d(2), flat, end
            ),
        ]
    )
    with torch.no_grad():
        for parameter in made.parameters():
            parameter *= 2
        for name, buffer in made.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
    return made.eval().requires_grad_(False)


class Case(NamedTuple):
    model: nn.Module
    x: Tensor
    goal: Goal
    threat: Ball
    checker: Checker
    where: Inputs
    spec: Spec
    verdict: Verdict

    def certificate(self) -> Certificate | None:
        proof = self.verdict.proof
        if proof is None or proof.problem is None or proof.tree is None:
            return None
        return certify_tree(proof.problem, proof.tree, self.where, self.checker)


def case(seed: int, threat: Ball | None = None) -> Case:
    """Search around a random input of a random net."""
    model, rng = net(seed), random.Random(seed + 1)  # noqa: S311 - not a secret
    x = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    y = model(x).argmax(1)
    goal = Targeted((y + 1) % CLASSES) if rng.random() < 0.3 else Untargeted(y)
    spec = margins(goal, CLASSES, x)
    threat = threat or rng.choice([Linf(eps=0.5), L2(eps=2), L1(eps=6)])
    search = Ladder(seconds=60, subproblems=300, rungs=(Rung.BRANCH,))
    (verdict,) = search(trace(model, (1, 4, 4)), region(threat, x), spec)
    checker, where = Checker.of(model, (1, 4, 4)), inputs(threat, x[0])
    return Case(model, x, goal, threat, checker, where, spec, verdict)


def hard_case(seed: int) -> Case:
    """The largest set, of a falling row of sizes, that the search closes: most need splits."""
    found = case(seed)
    while not found.verdict.certified:
        found = case(seed, found.threat.at(float(found.threat.eps) * 0.85))
    return found
