"""One expression becomes an object, by hand: nothing of it is evaluated."""

import ast
import dataclasses
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from saddlepoint import threats
from saddlepoint.core.errors import Invalid, closest
from saddlepoint.views.chain import then

__all__ = ["Factory", "Reader"]

Factory = Callable[..., Any]
_DEEPEST = 100
_SHOWN = 60
_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

# How sets are written into one, as in Python: >> binds more tightly than |.
_SETS: dict[type[ast.operator], Factory] = {ast.BitOr: threats.Union, ast.RShift: threats.Chain}
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


class Reader:
    """Turns one expression into an object.

    text: what the user wrote, for messages. known: the components that may be called. parts: those
    that only occur within another. own: identifiers that stand for a name of the user's.
    """

    def __init__(
        self,
        text: str,
        kind: str,
        known: Mapping[str, Factory],
        parts: Mapping[str, Factory] | None = None,
        own: Mapping[str, str] | None = None,
    ) -> None:
        self.text, self.kind, self.known = text, kind, known
        self.parts, self.own = parts or {}, own or {}

    def read(self, expression: str | None = None) -> Any:  # noqa: ANN401
        """Build the object; expression: the text as it is parsed, if that is another."""
        try:
            tree = ast.parse((expression or self.text).strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise self._refuse(f"a call such as {self._example()}") from error
        if _is_deep(tree):
            allowed = f"nested at most {_DEEPEST} deep, each operator in a row one more"
            raise Invalid(self.kind, self.text[:_SHOWN] + "…", allowed)
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
        known = self.known if outer else {**self.known, **self.parts}
        if name not in known:
            what = {"under": "transformation"}.get(self.kind, self.kind)
            raise self._refuse(
                f"the name of a known {what}",
                closest(name, [k for k in known if k not in self.own]),
            )
        arguments = [self._value(a) for a in node.args]
        named = {k.arg: self._value(k.value) for k in node.keywords if k.arg}
        if len(named) != len(node.keywords):
            raise self._refuse("named arguments", "** is not read here")
        try:
            return known[name](*arguments, **named)
        except TypeError as error:
            said = re.sub(r"^\S*__init__\(\) ", "", str(error))  # the base's name confuses
            hint = f"{said}; fields: {', '.join(_fields(known[name]))}"
            raise self._refuse(f"arguments that {self.own.get(name, name)} takes", hint) from error
        except Exception as error:
            if name not in self.own or isinstance(error, Invalid):
                raise
            hint = f"making it raised {type(error).__name__}: {error}"
            raise self._refuse(f"arguments that {self.own[name]} takes", hint) from error


def _is_deep(tree: ast.AST) -> bool:
    """Whether what reads the tree, by recursion, might not come to its end."""
    level = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return bool(level)


def _fields(kind: Factory) -> list[str]:
    """Names of the arguments that a component takes."""
    return [f.name for f in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
