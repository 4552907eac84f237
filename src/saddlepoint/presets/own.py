"""The user's own components, ``package.module:Name``: imported, and looked at before a call."""

from collections.abc import Container, Mapping

from saddlepoint.core.errors import Invalid
from saddlepoint.core.named import imported
from saddlepoint.presets.reader import Factory

__all__ = ["own_components"]

_SET = ("start", "sample", "project", "steepest", "apply", "contains", "__getitem__")


def own_components(
    stands: Mapping[str, str], kind: str, known: Container[str]
) -> dict[str, Factory]:
    """Import the classes that identifiers stand for; raises ``Invalid`` for what is none.

    Only a class that has the verbs of its kind is ever called, so that a slip such as ``os:system``
    does nothing. A class that bears the name of one of ours is refused: what a run prints about it
    would be read as ours.
    """
    return {short: _component(name, kind, known) for short, name in stands.items()}


def _component(name: str, kind: str, known: Container[str]) -> Factory:
    target = imported(name, kind)
    if not isinstance(target, type):
        raise Invalid(kind, name, "the name of a class", f"it is a {type(target).__name__}")
    lacks = [v for v in (_SET if kind == "threat" else ("__call__",)) if not _has(target, v)]
    if lacks:
        raise Invalid(kind, name, f"a class with the verbs of its kind: no {', '.join(lacks)}")
    if target.__name__ in known:
        hint = f"saddlepoint has a {target.__name__}, which reports and replays would take it for"
        raise Invalid(kind, name, "a class with a name of its own", hint)
    return target


def _has(kind: type, verb: str) -> bool:
    """Whether instances have the verb; every class can itself be called, which is not meant."""
    return any(verb in vars(k) for k in kind.__mro__)
