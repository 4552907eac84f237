"""Every component once. A row here buys the whole law suite."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint import views
from saddlepoint.core.access import Attack
from saddlepoint.core.expectation import Distribution
from saddlepoint.core.goal import Goal
from saddlepoint.core.loss import Loss
from saddlepoint.core.threat import Convex
from saddlepoint.threats.environment import CORRUPTIONS, blur

__all__ = [
    "ATTACKS",
    "COUNTS",
    "GOALS",
    "GRIDS",
    "LOSSES",
    "PARTED",
    "SETS",
    "SPARSE",
    "THREATS",
    "VIEWS",
    "AttackRow",
    "GoalRow",
    "SetRow",
    "ThreatRow",
    "ViewRow",
    "covered",
]

Box = tuple[float, float]
WHOLE: Box = (-math.inf, math.inf)


class BallType(Protocol):
    """What L1, L2 and Linf have in common: a radius and a box make one."""

    def __call__(self, *, eps: float | Tensor, box: Box) -> Any:  # noqa: ANN401
        """Build the ball."""
        ...


@dataclass(frozen=True)
class ThreatRow:
    """A threat model and what an independent check needs to know about it."""

    name: str
    ball: BallType
    order: float
    eps: float
    box: Box = (0.0, 1.0)
    ramp: bool = False  # one radius per sample: eps, eps/2, eps/3 … and none for the last
    quantized: bool = False

    @property
    def dual(self) -> float:
        """The dual norm's order."""
        return {1.0: math.inf, 2.0: 2.0, math.inf: 1.0}[self.order]

    def radii(self, n: int) -> Tensor:
        """(n,) float64, the radius of each sample."""
        if not self.ramp:
            return torch.full((n,), self.eps, dtype=torch.float64)
        radii = self.eps / torch.arange(1, n + 1, dtype=torch.float64)
        return torch.cat([radii[:-1], torch.zeros(1, dtype=torch.float64)]) if n > 1 else radii

    def make(self, n: int) -> Convex:
        """Build the threat model for n samples."""
        eps: float | Tensor = self.radii(n) if self.ramp else self.eps
        ball: Convex = self.ball(eps=eps, box=self.box)
        return sp.Quantize(ball) if self.quantized else ball

    def inputs(self, n: int, shape: tuple[int, ...], seed: int, dtype: torch.dtype) -> Tensor:
        """(n, *shape) inputs, a third of them on the box; the first row is constant."""
        rng = torch.Generator().manual_seed(seed)
        v = torch.rand(n, *shape, generator=rng, dtype=torch.float64)
        snap = torch.rand(n, *shape, generator=rng)
        v[snap < 0.15], v[snap > 0.85] = 0.0, 1.0
        v[0] = (0.5, 0.0, 1.0)[seed % 3]
        if self.quantized:
            return ((v * 255).round().float() / 255).to(dtype)
        low, high = self.box
        moved = v * 4 - 2 if math.isinf(high - low) else low + v * (high - low)
        return moved.to(dtype)

    def excess(self, x: Tensor, moved: Tensor) -> npt.NDArray[np.float64]:
        """(B,) by how much a moved input leaves the set; numpy only, nothing of ours."""
        a = x.detach().double().numpy().reshape(len(x), -1)
        b = moved.detach().double().numpy().reshape(len(x), -1)
        d = np.abs(b - a)
        size = {
            0.0: (d > 0).sum(1),
            1.0: d.sum(1),
            2.0: np.sqrt((d * d).sum(1)),
            math.inf: d.max(1),
        }[self.order]
        out = np.maximum(b.max(1) - self.box[1], self.box[0] - b.min(1))
        worst: npt.NDArray[np.float64] = np.maximum(size - self.radii(len(x)).numpy(), out)
        worst[~np.isfinite(b).all(1)] = np.inf
        return worst


THREATS = (
    ThreatRow("linf", sp.Linf, math.inf, 0.1),
    ThreatRow("l2", sp.L2, 2.0, 0.7),
    ThreatRow("l1", sp.L1, 1.0, 1.5),
    ThreatRow("linf-free", sp.Linf, math.inf, 0.3, WHOLE),
    ThreatRow("l2-free", sp.L2, 2.0, 0.7, WHOLE),
    ThreatRow("l1-free", sp.L1, 1.0, 1.5, WHOLE),
    ThreatRow("linf-each", sp.Linf, math.inf, 0.3, ramp=True),
    ThreatRow("l2-each", sp.L2, 2.0, 1.0, ramp=True),
    ThreatRow("l1-each", sp.L1, 1.0, 2.0, ramp=True),
    ThreatRow("linf-signed", sp.Linf, math.inf, 0.1, (-1.0, 1.0)),
    ThreatRow("l2-bytes", sp.L2, 2.0, 90.0, (0.0, 255.0)),
    ThreatRow("l1-odd", sp.L1, 1.0, 3.0, (-2.1179, 2.64)),
    ThreatRow("linf-zero", sp.Linf, math.inf, 0.0),
    ThreatRow("l2-zero", sp.L2, 2.0, 0.0),
    ThreatRow("l1-zero", sp.L1, 1.0, 0.0),
    ThreatRow("linf-8bit", sp.Linf, math.inf, 8 / 255, quantized=True),
    ThreatRow("l2-8bit", sp.L2, 2.0, 0.5, quantized=True),
    ThreatRow("l1-8bit", sp.L1, 1.0, 2.0, quantized=True),
)

# Sets that are not convex have laws of their own: tests/laws/test_l0.py.
COUNTS = (
    ThreatRow("l0", sp.L0, 0.0, 3.0),
    ThreatRow("l0-signed", sp.L0, 0.0, 2.0, (-1.0, 3.0)),
    ThreatRow("l0-zero", sp.L0, 0.0, 0.0),
    ThreatRow("l0-all", sp.L0, 0.0, 99.0),
)


def _shares(n: int) -> Tensor:
    """(n,) one size per sample: 1, 1/2, 1/3 …, and none for the last."""
    return torch.cat([1 / torch.arange(1, n, dtype=torch.float64), torch.zeros(1)])


@dataclass(frozen=True)
class SetRow:
    """A set that no norm describes; tests/laws/test_any_set.py holds what it must obey.

    make: builds it for n samples. shape: of an input. spaced: members as far as this apart count as
    the same after a projection. uneven: why ``project`` need not be idempotent, if it is not.
    amplifies: why rounding may grow on the way, so that a sample alone and in a batch agrees less.
    ties: why many members may be equally bad, if they are, so that rounding picks among them.
    """

    name: str
    make: Callable[[int], Any]
    shape: tuple[int, ...] = (1, 6, 6)
    spaced: float = 1e-6
    uneven: str = ""
    amplifies: str = ""
    ties: str = ""
    slow: bool = False  # every law of it runs in the slow suite only

    def inputs(self, n: int, seed: int, dtype: torch.dtype) -> Tensor:
        """(n, *shape) inputs within the set's box, a third of them on it."""
        low, high = self.make(n).box
        rng = torch.Generator().manual_seed(seed)
        v = torch.rand(n, *self.shape, generator=rng, dtype=torch.float64)
        snap = torch.rand(n, *self.shape, generator=rng)
        v[snap < 0.15], v[snap > 0.85] = 0.0, 1.0
        moved: Tensor = low + v * (high - low)
        return moved.to(dtype)


def _each(eps: float, n: int) -> Tensor:
    return eps / torch.arange(1, n + 1, dtype=torch.float64)


_HOLES = ((1, 4), (2, 5))
_TURN = sp.RotateTranslate(degrees=40, pixels=1)
STEEP = "a silent unit that wakes turns its direction at once, in each of many small steps"


def ramp(n: int) -> Tensor:
    """(n,) severities, one for each sample, none for the last."""
    return 5 * (1 - torch.arange(1, n + 1, dtype=torch.float64) / n)


def same(threat: object) -> Callable[[int], Any]:
    """Build that set for any number of samples."""
    return lambda n: threat


SETS: tuple[SetRow, ...] = (
    SetRow("union", lambda n: sp.Linf(0.1) | sp.L2(0.5) | sp.L0(3)),
    SetRow("union-each", lambda n: sp.Linf(_each(0.1, n)) | sp.L1(_each(1.0, n)), slow=True),
    SetRow("union-half", lambda n: sp.Union(sp.Linf(0.1), sp.L2(0.5), eps=0.5), slow=True),
    SetRow("union-of-chain", lambda n: sp.Chain(sp.L2(0.3), sp.Linf(0.05)) | sp.L0(2)),
    SetRow("union-turn", lambda n: sp.Linf(0.1) | _TURN, (1, 5, 5)),
    SetRow("chain-turn", lambda n: _TURN >> sp.Linf(0.1), (1, 5, 5)),
    SetRow("masked-turn", lambda n: sp.Masked(_TURN, mask=_HOLES), slow=True),
    SetRow("chain", lambda n: sp.L2(0.5) >> sp.Linf(0.1)),
    SetRow(
        "chain-signed",
        lambda n: sp.Chain(sp.L0(2, (-1.0, 1.0)), sp.Linf(0.1, (-1.0, 1.0))),
        slow=True,
    ),
    SetRow("masked", lambda n: sp.Masked(sp.L2(0.5), mask=_HOLES)),
    SetRow("masked-linf", lambda n: sp.Masked(sp.Linf(0.1), mask=_HOLES), slow=True),
    SetRow("masked-each", lambda n: sp.Masked(sp.L1(_each(1.0, n)), mask=_HOLES)),
    SetRow("l0-pixel", same(sp.L0(eps=2, per="pixel")), (3, 4, 4), slow=True),
    SetRow("masked-l0", lambda n: sp.Masked(sp.L0(3), mask=_HOLES), slow=True),
    SetRow("masked-chain", lambda n: sp.Masked(sp.L2(0.5) >> sp.Linf(0.1), mask=_HOLES), slow=True),
    SetRow("affine", same(sp.Affine(padding="reflect")), (1, 5, 7)),
    SetRow("affine-each", lambda n: sp.Affine(severity=ramp(n), box=(-1.0, 3.0)), slow=True),
    SetRow("affine-turn", same(sp.Affine(shift=0, scale=0, shear=0)), slow=True),
    SetRow("perspective", same(sp.Perspective(severity=3)), (3, 6, 5), slow=True),
    SetRow("colour", same(sp.Colour()), (3, 4, 4), slow=True),
    SetRow("colour-grey", same(sp.Colour(saturation=0, hue=0)), (1, 1, 1), slow=True),
    *(
        SetRow(f"blur-{kind}", same(sp.Blur(kind, pixels=1.5)), slow=True)
        for kind in get_args(blur.Kind)
    ),
    *(
        SetRow(name, same(sp.Corruption(name, severity=4)), (3, 9, 8), slow=name != "fog")
        for name in CORRUPTIONS
        if name not in ("defocus_blur", "glass_blur", "impulse_noise", "elastic")
    ),
    SetRow(
        "glass_blur",
        same(sp.Corruption("glass_blur", severity=4)),
        (1, 9, 8),
        ties="a blur of a twentieth of a pixel blurs nothing, and at severity 0 no pattern counts",
        slow=True,
    ),
    SetRow(
        "elastic",
        same(sp.Corruption("elastic", severity=4)),
        (3, 9, 8),
        ties="at severity 0 every pattern is the same",
        slow=True,
    ),
    SetRow(
        "defocus_blur",
        same(sp.Corruption("defocus_blur", severity=4)),
        (1, 26, 24),
        ties="disks within a pixel blur nothing",
        slow=True,
    ),
    SetRow(
        "impulse_noise",
        same(sp.Corruption("impulse_noise", severity=4)),
        ties="at severity 0 every pattern is the same, and on small images at some others",
        slow=True,
    ),
    SetRow("rotate", lambda n: sp.RotateTranslate(degrees=40, pixels=2), (2, 6, 6)),
    SetRow(
        "rotate-mirrored", lambda n: sp.RotateTranslate(30, 1, "reflect", box=(1, 3)), (1, 4, 7)
    ),
    SetRow(
        "rotate-each", lambda n: sp.RotateTranslate(180, 0, eps=_shares(n)), (1, 5, 1), slow=True
    ),
    SetRow("patch", same(sp.Patch(size=(2, 3), at=(1, 2)))),
    SetRow("patch-random", same(sp.Patch(2, at="random", box=(-1.0, 3.0))), (2, 5, 4)),
    SetRow("patch-anywhere", same(sp.Patch(size=2)), (2, 4, 5)),
    SetRow(
        "printable",
        same(sp.Printable(sp.Patch(size=2), smooth=0.3, palette=((0.1,), (0.9,)))),
        (1, 4, 5),
        slow=True,
    ),
    SetRow("patch-glasses", same(sp.Patch(mask="glasses")), (1, 9, 9), slow=True),
    SetRow("features", lambda n: sp.Features(seeing(), eps=0.4, cg=4), amplifies=STEEP),
    SetRow(
        "features-each",
        lambda n: sp.Features(seeing(), eps=torch.linspace(0.0, 0.8, n), box=(-1.0, 1.0), cg=0),
        amplifies=STEEP,
        slow=True,
    ),
)


def seeing() -> nn.Module:
    """A small network whose activations measure a distance."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        layers = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2), nn.Tanh()
    return nn.Sequential(*layers)


@dataclass(frozen=True)
class AttackRow:
    """An attack, small for the laws; ``default`` is what a user gets without arguments."""

    name: str
    small: Attack[Any]
    default: Attack[Any] | None = None
    scores: bool = False  # needs no gradients
    seeded: bool = True  # another seed gives another point
    shaped: bool = False  # moves neighbours together, so that the shape of u matters
    sized: bool = False  # looks for the smallest change, so the margin is not what it pushes
    follows: bool = False  # needs a size with a gradient
    orders: tuple[float, ...] = (math.inf, 2.0, 1.0)  # of the norms that it finds the smallest in


def _linear(x: Tensor) -> Tensor:
    """Five classes, for inputs of any shape and type."""
    v = x.flatten(1)
    rows = torch.arange(v.shape[1], dtype=v.dtype, device=v.device)[:, None]
    return v @ torch.sin(3 * rows + 2 * torch.arange(5.0, dtype=v.dtype, device=v.device))


# What learns from other models than the one under attack.
OTHER = sp.Surrogate(_linear, "linear", "5" * 64)

ATTACKS = (
    AttackRow("fgsm", sp.FGSM(), seeded=False),
    AttackRow("pgd", sp.PGD(steps=6), sp.PGD()),
    AttackRow("pgd-clean", sp.PGD(steps=6, start="clean"), sp.PGD(start="clean"), seeded=False),
    AttackRow(
        "pgd-momentum",
        sp.PGD(steps=6, transform=sp.Momentum()),
        sp.PGD(transform=sp.Momentum()),
    ),
    AttackRow("pgd-madry", sp.PGD(steps=6, step_size=2.5 / 6)),
    AttackRow("apgd", sp.APGD(steps=12), sp.APGD()),
    AttackRow("apgd-dlr", sp.APGD(steps=12, loss="dlr")),
    AttackRow("frank-wolfe", sp.FrankWolfe(steps=5), sp.FrankWolfe(), seeded=False),
    AttackRow("frank-wolfe-random", sp.FrankWolfe(steps=5, start="random")),
    AttackRow("random-search", sp.RandomSearch(n_queries=20), sp.RandomSearch(), scores=True),
    AttackRow("worst-of", sp.WorstOf(k=6), sp.WorstOf(), scores=True),
    AttackRow("square", sp.Square(n_queries=20), sp.Square(), scores=True, shaped=True),
    AttackRow("pgd-diverse", sp.PGD(steps=6, start="diverse")),
    AttackRow("polish", sp.Polish(sp.Square(n_queries=8), steps=4), shaped=True),
    AttackRow("polish-search", sp.Polish(sp.RandomSearch(n_queries=8))),
    AttackRow("guess", sp.Guess(k=6), scores=True, shaped=True),
    AttackRow("restarts", sp.Restarts(sp.PGD(steps=4), n=3), sp.Restarts(sp.PGD(), n=2)),
    AttackRow(
        "targets",
        sp.Targets(sp.APGD(steps=6, loss="dlr"), n=3),
        sp.Targets(sp.APGD(loss="dlr")),
    ),
    AttackRow(
        "sequence",
        sp.Sequence((sp.FGSM(), sp.PGD(steps=3), sp.RandomSearch(n_queries=5))),
        sp.Sequence((sp.FGSM(), sp.PGD())),
    ),
    AttackRow("each", sp.Each(sp.PGD(steps=4))),
    AttackRow("fmn", sp.FMN(steps=8), sp.FMN(), seeded=False, sized=True),
    AttackRow("ddn", sp.DDN(steps=8), sp.DDN(), seeded=False, sized=True),
    AttackRow("fab", sp.FAB(steps=6), sp.FAB(), seeded=False, sized=True),
    AttackRow("fab-random", sp.FAB(steps=6, rivals=2, start="random"), sized=True),
    AttackRow("cw", sp.CW(steps=5, rounds=2), sp.CW(), seeded=False, sized=True, orders=(2.0,)),
    AttackRow(
        "cw-linf",
        sp.CWLinf(steps=5, rounds=2),
        sp.CWLinf(),
        seeded=False,
        sized=True,
        orders=(math.inf,),
    ),
    AttackRow("deepfool", sp.DeepFool(steps=4), sp.DeepFool(), seeded=False, sized=True),
    AttackRow("ead", sp.EAD(steps=4, rounds=2), sp.EAD(), seeded=False, sized=True, orders=(1.0,)),
    AttackRow(
        "ead-ista",
        sp.EAD(steps=4, rounds=1, fista=False, rule="elastic"),
        seeded=False,
        sized=True,
    ),
    AttackRow("pdpgd", sp.PDPGD(steps=5), sp.PDPGD(), seeded=False, sized=True),
    AttackRow(
        "fab-t",
        sp.Targets(sp.FAB(steps=4), n=2),
        sp.Targets(sp.FAB(), n=9),
        seeded=False,
        sized=True,
    ),
    AttackRow(
        "bisect",
        sp.Bisect(sp.PGD(steps=4), rounds=3),
        sp.Bisect(sp.PGD()),
        sized=True,
    ),
    AttackRow("boundary", sp.Boundary(n_queries=30), scores=True),
    AttackRow("hop-skip-jump", sp.HopSkipJump(n_queries=30, probes=4), scores=True),
    AttackRow("geoda", sp.GeoDA(n_queries=30, rounds=2), scores=True, shaped=True),
    AttackRow("rays", sp.RayS(n_queries=30), scores=True, seeded=False),
    AttackRow("lagrangian", sp.Lagrangian(steps=8), sp.Lagrangian(), follows=True),
    AttackRow("noisy-pgd", sp.NoisyPGD(steps=6), sp.NoisyPGD()),
    AttackRow("nes", sp.NES(n_queries=12, pairs=2), sp.NES(), scores=True),
    AttackRow("spsa", sp.SPSA(n_queries=12, pairs=2), sp.SPSA(), scores=True),
    AttackRow("zoo", sp.ZOO(n_queries=18, coordinates=4), sp.ZOO(), scores=True),
    AttackRow(
        "zoo-newton",
        sp.ZOO(n_queries=18, coordinates=4, solver="newton"),
        sp.ZOO(solver="newton"),
        scores=True,
    ),
    AttackRow("bandits", sp.Bandits(n_queries=12, tiles=3), sp.Bandits(), scores=True, shaped=True),
    AttackRow("simba", sp.SimBA(n_queries=12), sp.SimBA(), scores=True),
    AttackRow(
        "simba-dct",
        sp.SimBA(n_queries=12, basis="dct"),
        sp.SimBA(basis="dct"),
        scores=True,
        shaped=True,
    ),
    AttackRow("sign-hunter", sp.SignHunter(n_queries=12), sp.SignHunter(), True, seeded=False),
    AttackRow(
        "parsimonious",
        sp.Parsimonious(n_queries=12, group=3),
        sp.Parsimonious(),
        scores=True,
        shaped=True,
    ),
    AttackRow("transfer", sp.Transfer(sp.PGD(steps=4), (OTHER,)), scores=True),
    AttackRow(
        "transfer-smooth",
        sp.Transfer(
            sp.PGD(steps=3, transform=sp.Smooth(0.7, then=sp.Momentum())),
            (OTHER, sp.Surrogate(lambda x: 2 * _linear(x).tanh(), "other", "6" * 64)),
            fuse="probabilities",
        ),
        scores=True,
        shaped=True,
    ),
    AttackRow(
        "prior-guided",
        sp.PriorGuided(8, (OTHER,), (sp.Transfer(sp.PGD(steps=2)),), every=2),
        scores=True,
        shaped=True,
    ),
)
# Attacks on samples of an earlier run: tests/core/test_earlier.py.
EARLIER = (sp.Earlier(),)
# Attacks that need a set of few parameters.
GRIDS = (
    AttackRow("grid", sp.Grid(counts=(2,)), sp.Grid(), scores=True, seeded=False),
    AttackRow(
        "refine",
        sp.Refine(counts=(2,), rounds=1, keep=2),
        sp.Refine(),
        scores=True,
        seeded=False,
    ),
)
# Attacks that need a set of whole numbers.
SPARSE = (
    AttackRow("sigma-zero", sp.SigmaZero(steps=12), seeded=False, sized=True),
    AttackRow("cw-l0", sp.CWL0(steps=4, rounds=3), seeded=False, sized=True),
    AttackRow("one-pixel", sp.OnePixel(population=6, generations=2), scores=True),
    AttackRow("jsma", sp.JSMA(), seeded=False, sized=True),
    AttackRow("jsma-both", sp.JSMA(sign=0, theta=0.5), seeded=False, sized=True),
)
# Attacks that need a set with parts.
PARTED = (AttackRow("part-of", sp.PartOf(sp.PGD(steps=4), k=0)),)

LOSSES: dict[str, Loss] = {
    "cross-entropy": sp.CrossEntropy(),
    "margin": sp.Margin(),
    "probability-margin": sp.ProbabilityMargin(),
    "dlr": sp.DLR(),
}


@dataclass(frozen=True)
class GoalRow:
    """A goal, built from labels and the number of classes."""

    name: str
    targeted: bool
    source: bool = False

    def make(self, y: Tensor, classes: int) -> Goal:
        """Leave y, or reach the class after it."""
        if not self.targeted:
            return sp.Untargeted(y)
        return sp.Targeted((y + 1) % classes, y if self.source else None)


GOALS = (
    GoalRow("untargeted", targeted=False),
    GoalRow("targeted", targeted=True),
    GoalRow("targeted-from", targeted=True, source=True),
)


@dataclass(frozen=True)
class ViewRow:
    """A distribution of transformations; tests/views holds what it must obey."""

    name: str
    views: Distribution
    vectors: bool = False  # takes inputs of any shape, not images alone


VIEWS = (
    ViewRow("rotate", views.Rotate(30)),
    ViewRow("rotate-border", views.Rotate((10, 40), padding="border")),
    ViewRow("scale", views.Scale((0.8, 1.3))),
    ViewRow("shift", views.Shift(0.2)),
    ViewRow("perspective", views.Perspective(50)),
    ViewRow("brightness", views.Brightness(0.3), vectors=True),
    ViewRow("contrast", views.Contrast((0.5, 1.5)), vectors=True),
    ViewRow("noise", views.Noise(0.1), vectors=True),
    ViewRow("noise-free", views.Noise(0.1, box=None), vectors=True),
    ViewRow("chain", views.Rotate(30) >> views.Scale((0.9, 1.1)) >> views.Noise(0.05)),
    ViewRow("tones", views.Contrast((0.5, 1.5)) >> views.Brightness(0.1), vectors=True),
    ViewRow("sphere", views.Render("sphere", size=12)),
    ViewRow("cylinder", views.Render("cylinder", size=12)),
    ViewRow("cube", views.Render("cube", size=12) >> views.Noise(0.05)),
)


def _types(part: object) -> set[str]:
    if isinstance(part, tuple):
        return set().union(*map(_types, part))
    if not dataclasses.is_dataclass(part) or isinstance(part, type):
        return set()
    inside = (getattr(part, f.name) for f in dataclasses.fields(part))
    return {type(part).__name__}.union(*map(_types, inside))


# What proves instead of attacking has laws of its own, in tests/verify and tests/audit.
PROVERS = (sp.Smoothing(sigma=0.5), sp.RadiusSearch())
# What is about models that may reject has its laws in tests/core/test_detected.py.
REJECTING = (sp.Undetected(torch.zeros(2, dtype=torch.int64)), sp.Unaware())
# One u for many samples is no attack on each: tests/audit/test_universal.py.
SHARED = (sp.Universal(),)


def covered() -> set[str]:
    """Names of the classes that some row of the table holds."""
    y = torch.zeros(2, dtype=torch.int64)
    rows: tuple[ThreatRow | SetRow, ...] = (*THREATS, *COUNTS, *SETS)
    parts: list[object] = [t.make(2) for t in rows]
    parts += [a.small for a in (*ATTACKS, *GRIDS, *SPARSE, *PARTED)]
    parts += [
        *LOSSES.values(),
        *(g.make(y, 3) for g in GOALS),
        *PROVERS,
        *SHARED,
        *REJECTING,
        *EARLIER,
    ]
    parts += [row.views for row in VIEWS]
    parts += [sp.Confident(sp.Untargeted(y), kappa=1.0)]  # tests/core/test_confident.py
    return set().union(*map(_types, parts))
