"""The one place where names become objects: on the command line, in TOML, from entry points.

Text such as ``Linf(eps=8/255)`` is parsed, never evaluated: calls of known names, numbers with
arithmetic, strings, tuples, True, False and None. Packages add components through the entry point
group ``saddlepoint``; what the user types may also name a class, ``package.module:Name(…)``.

own: whether such names are imported. Text that comes out of a file, such as a plan or a run that is
replayed, must never be: False is the default.
"""

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from saddlepoint import attacks, threats, views
from saddlepoint.core import loss as losses
from saddlepoint.core.errors import Invalid, closest
from saddlepoint.core.expectation import Distribution
from saddlepoint.core.named import lifted
from saddlepoint.core.target import Target, as_target
from saddlepoint.core.threat import ThreatModel
from saddlepoint.data.classes import read_classes
from saddlepoint.presets.own import own_components
from saddlepoint.presets.reader import Factory, Reader
from saddlepoint.train import (
    AWP,
    CROWNIBP,
    IBP,
    MART,
    MTLIBP,
    NFGSM,
    ROBUST_LOSSES,
    SABR,
    TRADES,
    Free,
    Gaussian,
    Madry,
    Natural,
    RobustLoss,
    Sampled,
    as_robust_loss,
)

__all__ = [
    "ATTACKS",
    "OBJECTIVES",
    "THREATS",
    "VIEWS",
    "number",
    "parse_attack",
    "parse_inner_attack",
    "parse_objective",
    "parse_target",
    "parse_threat",
    "parse_under",
]

THREATS: dict[str, Factory] = {name: getattr(threats, name) for name in threats.__all__}
"""Threat models by the names that plans and the command line take."""
VIEWS: dict[str, Factory] = {name: getattr(views, name) for name in views.__all__}
"""Transformations by the names that ``--under`` takes."""
ATTACKS: dict[str, Factory] = {
    name: getattr(attacks, name)
    for name in attacks.__all__
    if name not in ("Momentum", "Smooth", "Transform")
}
"""Attacks by the names that plans and the command line take."""
PARTS: dict[str, Factory] = {
    "Momentum": attacks.Momentum,
    "Smooth": attacks.Smooth,
    **{
        n: getattr(losses, n)
        for n in ("CrossEntropy", "Margin", "ProbabilityMargin", "DLR", "Unaware")
    },
}
OBJECTIVES: dict[str, Factory] = {
    kind.__name__: kind
    for kind in (
        Natural,
        Madry,
        TRADES,
        MART,
        Free,
        AWP,
        Gaussian,
        Sampled,
        IBP,
        CROWNIBP,
        SABR,
        MTLIBP,
    )
}
"""Training objectives by the names that recipes take."""


def parse_threat(text: str, own: bool = False) -> ThreatModel:
    """Read a threat model: a call, or several with | (either) and >> (one after another).

    >>> parse_threat("Linf(eps=8/255)")
    Linf(eps=0.03137254901960784)
    >>> parse_threat("L2(1) | (L1(3) >> Linf(0.1))")
    Union(L2(eps=1), Chain(L1(eps=3), Linf(eps=0.1)))
    """
    return _build(text, "threat", THREATS, own)  # type: ignore[no-any-return]


def parse_under(text: str) -> Distribution:
    """Read transformations between input and model, joined by ``>>``.

    >>> parse_under("Rotate(30) >> Noise(0.05)")
    Rotate(degrees=30) >> Noise(sigma=0.05)
    """
    return _build(text, "under", VIEWS, own=False)  # type: ignore[no-any-return]


def parse_target(text: str | int | None) -> Target | None:
    """Read which class the adversary wants: an index, a rule, or a file with one for each sample.

    A file is an .npz with an array ``target`` or a single one, or a .txt with one class a line.

    >>> str(parse_target("3")), str(parse_target("least-likely"))
    ('3', 'least-likely')
    """
    if not isinstance(text, str) or not text.endswith((".npz", ".txt")):
        return as_target(text)
    return Target(None, read_classes(Path(text)))


def parse_attack(text: str, own: bool = False) -> Any:  # noqa: ANN401 - an attack with access of its own choice
    """Read an attack; attacks, losses and transforms may be nested in it.

    >>> parse_attack("Restarts(APGD(loss='dlr'), n=2)")
    Restarts(APGD(loss='dlr'), n=2)
    """
    return _build(text, "attack", ATTACKS, own)


def parse_inner_attack(text: str, own: bool = False) -> Any:  # noqa: ANN401
    """Read an attack to train against: those of an audit, and those that leave the set.

    >>> parse_inner_attack("NFGSM(noise=2)")
    NFGSM(noise=2)
    """
    return _build(text, "attack", {**ATTACKS, "NFGSM": NFGSM}, own)


def parse_objective(text: str, own: bool = False) -> RobustLoss:
    """Read what training minimises: a name in lower case, or a call with its parameters.

    >>> parse_objective("trades"), parse_objective("AWP(TRADES(beta=6), gamma=0.005)")
    (TRADES(), AWP(TRADES(beta=6)))
    """
    if text in ROBUST_LOSSES:
        return as_robust_loss(text)
    return _build(text, "loss", OBJECTIVES, own)  # type: ignore[no-any-return]


def number(text: str, name: str = "number") -> float:
    """Read a number or a fraction.

    >>> number("8/255")
    0.03137254901960784
    """
    word = text.strip().isidentifier()  # there are no names that could stand for a number
    value = None if word else Reader(text, name, {}).read()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Invalid(name, text, "a number such as 0.3 or 8/255")
    return value


def _build(text: str, kind: str, known: Mapping[str, Factory], own: bool) -> Any:  # noqa: ANN401
    known = {**known, **_installed(known, text)}
    parts = {"attack": {**VIEWS, **PARTS}, "loss": PARTS}.get(kind, {})
    expression, stands = lifted(text)
    if stands and not own:
        hint = "--threat, --attack and --loss take classes of your own, never out of a file"
        raise Invalid(kind, text, "made of names that saddlepoint has", hint)
    mine = own_components(stands, kind, {**known, **parts})
    value = Reader(text, kind, {**known, **mine}, parts, stands).read(expression)
    if isinstance(value, str | int | float | tuple) or value is None:
        raise Invalid(kind, text, f"a call such as {next(iter(known))}(…)", closest(text, known))
    if stands and " at 0x" in repr(value):
        hint = "make it a frozen dataclass: plan and report say what it is by its repr"
        raise Invalid(kind, text, "made of parts whose repr tells their settings", hint)
    return value


def _installed(known: Mapping[str, Factory], text: str) -> dict[str, Factory]:
    """Components of other packages; loaded only when the text names one that we do not have."""
    found = metadata.entry_points(group="saddlepoint")
    return {e.name: e.load() for e in found if e.name not in known and e.name in text}
