"""The one place where names become objects: on the command line, in TOML, from entry points.

Text such as ``Linf(eps=8/255)`` is parsed, never evaluated: calls of known names, numbers with
arithmetic, strings, tuples, True, False and None. Packages add components through the entry point
group ``saddlepoint``.
"""

import ast
import dataclasses
import operator
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from saddlepoint import attacks, threats, views
from saddlepoint.core import loss as losses
from saddlepoint.core.errors import Invalid, closest
from saddlepoint.core.expectation import Distribution
from saddlepoint.core.target import Target, as_target
from saddlepoint.core.threat import ThreatModel
from saddlepoint.data.classes import read_classes
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
from saddlepoint.views.chain import then

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

Factory = Callable[..., Any]
THREATS: dict[str, Factory] = {name: getattr(threats, name) for name in threats.__all__}
VIEWS: dict[str, Factory] = {name: getattr(views, name) for name in views.__all__}
ATTACKS: dict[str, Factory] = {
    name: getattr(attacks, name)
    for name in attacks.__all__
    if name not in ("Momentum", "Smooth", "Transform")
}
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
_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


# How sets are written into one, as in Python: >> binds more tightly than |.
_SETS: dict[type[ast.operator], Factory] = {ast.BitOr: threats.Union, ast.RShift: threats.Chain}


def parse_threat(text: str) -> ThreatModel:
    """Read a threat model: a call, or several with | (either) and >> (one after another).

    >>> parse_threat("Linf(eps=8/255)")
    Linf(eps=0.03137254901960784)
    >>> parse_threat("L2(1) | (L1(3) >> Linf(0.1))")
    Union(L2(eps=1), Chain(L1(eps=3), Linf(eps=0.1)))
    """
    return _build(text, "threat", THREATS)  # type: ignore[no-any-return]


def parse_under(text: str) -> Distribution:
    """Read transformations between input and model, joined by ``>>``.

    >>> parse_under("Rotate(30) >> Noise(0.05)")
    Rotate(degrees=30) >> Noise(sigma=0.05)
    """
    return _build(text, "under", VIEWS)  # type: ignore[no-any-return]


def parse_target(text: str | int | None) -> Target | None:
    """Read which class the adversary wants: an index, a rule, or a file with one for each sample.

    A file is an .npz with an array ``target`` or a single one, or a .txt with one class a line.

    >>> str(parse_target("3")), str(parse_target("least-likely"))
    ('3', 'least-likely')
    """
    if not isinstance(text, str) or not text.endswith((".npz", ".txt")):
        return as_target(text)
    return Target(None, read_classes(Path(text)))


def parse_attack(text: str) -> Any:  # noqa: ANN401 - an attack with access of its own choice
    """Read an attack; attacks, losses and transforms may be nested in it.

    >>> parse_attack("Restarts(APGD(loss='dlr'), n=2)")
    Restarts(APGD(loss='dlr'), n=2)
    """
    return _build(text, "attack", ATTACKS)


def parse_inner_attack(text: str) -> Any:  # noqa: ANN401
    """Read an attack to train against: those of an audit, and those that leave the set.

    >>> parse_inner_attack("NFGSM(noise=2)")
    NFGSM(noise=2)
    """
    return _build(text, "attack", {**ATTACKS, "NFGSM": NFGSM})


def parse_objective(text: str) -> RobustLoss:
    """Read what training minimises: a name in lower case, or a call with its parameters.

    >>> parse_objective("trades"), parse_objective("AWP(TRADES(beta=6), gamma=0.005)")
    (TRADES(), AWP(TRADES(beta=6)))
    """
    if text in ROBUST_LOSSES:
        return as_robust_loss(text)
    return _build(text, "loss", OBJECTIVES)  # type: ignore[no-any-return]


def number(text: str, name: str = "number") -> float:
    """Read a number or a fraction.

    >>> number("8/255")
    0.03137254901960784
    """
    value = _Reader(text, name, {}).read()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Invalid(name, text, "a number such as 0.3 or 8/255")
    return value


def _build(text: str, kind: str, known: dict[str, Factory]) -> Any:  # noqa: ANN401
    known = {**known, **_installed(known, text)}
    value = _Reader(text, kind, known).read()
    if isinstance(value, str | int | float | tuple) or value is None:
        raise Invalid(kind, text, f"a call such as {next(iter(known))}(…)", closest(text, known))
    return value


def _installed(known: dict[str, Factory], text: str) -> dict[str, Factory]:
    """Components of other packages; loaded only when the text names one that we do not have."""
    found = metadata.entry_points(group="saddlepoint")
    return {e.name: e.load() for e in found if e.name not in known and e.name in text}


_EXAMPLES = {
    "threat": "Linf(eps=8/255)",
    "attack": "PGD(steps=40)",
    "loss": "AWP(TRADES(beta=6))",
    "under": "Rotate(30) >> Noise(0.05)",
}
_JOINS: dict[str, dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    "threat": _SETS,
    "under": {ast.RShift: then},
    "attack": {ast.RShift: then},
}


class _Reader:
    """Turns one expression into an object, by hand."""

    def __init__(self, text: str, kind: str, known: dict[str, Factory]) -> None:
        self.text, self.kind, self.known = text, kind, known

    def read(self) -> Any:  # noqa: ANN401
        try:
            tree = ast.parse(self.text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise self._refuse(f"a call such as {self._example()}") from error
        return self._value(tree.body, outer=True)

    def _example(self) -> str:
        return _EXAMPLES.get(self.kind, "8/255")

    def _refuse(self, allowed: str, hint: str = "") -> Invalid:
        return Invalid(self.kind, self.text, allowed, hint)

    def _value(self, node: ast.expr, outer: bool = False) -> Any:  # noqa: ANN401
        match node:
            case ast.Call(func=ast.Name(id=name)):
                return self._call(name, node, outer)
            case ast.Name(id=name) if outer:
                return self._call(name, ast.Call(node, [], []), outer)
            case ast.Constant(value=int() | float() | str() | None as value):
                return value
            case ast.Tuple(elts=items) | ast.List(elts=items):
                return tuple(self._value(i) for i in items)
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return -self._figure(inner)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return self._compute(op, left, right)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in self._joins:
                return self._joins[type(op)](self._value(left, outer), self._value(right, outer))
        raise self._refuse(
            f"a call such as {self._example()}",
            f"{ast.unparse(node)!r} is neither a number, a text, a tuple nor a known call",
        )

    @property
    def _joins(self) -> dict[type[ast.operator], Callable[[Any, Any], Any]]:
        """Operators that make one of two: one set, one transformation."""
        return _JOINS.get(self.kind, {})

    def _figure(self, node: ast.expr) -> float:
        value = self._value(node)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._refuse("arithmetic on numbers", f"{ast.unparse(node)!r} is none")
        return value

    def _compute(self, op: ast.operator, left: ast.expr, right: ast.expr) -> float:
        a, b = self._figure(left), self._figure(right)
        try:
            return _ARITHMETIC[type(op)](a, b)
        except (ZeroDivisionError, OverflowError) as error:
            raise self._refuse("a number that exists", str(error)) from error

    def _call(self, name: str, node: ast.Call, outer: bool) -> Any:  # noqa: ANN401
        inner = {"attack": {**VIEWS, **PARTS}, "loss": PARTS}.get(self.kind, {})
        known = self.known if outer else {**self.known, **inner}
        if name not in known:
            what = {"under": "transformation"}.get(self.kind, self.kind)
            raise self._refuse(f"the name of a known {what}", closest(name, known))
        arguments = [self._value(a) for a in node.args]
        named = {k.arg: self._value(k.value) for k in node.keywords if k.arg}
        if len(named) != len(node.keywords):
            raise self._refuse("named arguments", "** is not read here")
        try:
            return known[name](*arguments, **named)
        except TypeError as error:
            fields = ", ".join(_fields(known[name]))
            raise self._refuse(
                f"arguments that {name} takes", f"{error}; fields: {fields}"
            ) from error


def _fields(kind: Factory) -> list[str]:
    """Names of the arguments that a component takes."""
    return [f.name for f in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
