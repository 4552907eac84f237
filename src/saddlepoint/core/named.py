"""The user's own code by name, ``package.module:name``: finding such names, and importing them."""

import contextlib
import importlib
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

from saddlepoint.core.errors import Invalid

__all__ = ["current_folder", "imported", "is_named", "lifted"]

_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*:[A-Za-z_]\w*(\.\w+)*")
_QUOTED_OR_NAME = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\b""" + _NAME.pattern)


def is_named(text: str) -> bool:
    """Tell whether ``text`` is written as ``package.module:name``.

    >>> is_named("mine.nets:small"), is_named("resnet9"), is_named("C:/model.onnx")
    (True, False, False)
    """
    return _NAME.fullmatch(text) is not None


def lifted(text: str) -> tuple[str, dict[str, str]]:
    """Put a plain identifier in the place of every ``package.module:name`` of an expression.

    Returns the expression, and what each identifier stands for. What is quoted is left alone.

    >>> lifted("Linf(0.1) | mine.sets:Shade(eps='a:b')")
    ("Linf(0.1) | own_0(eps='a:b')", {'own_0': 'mine.sets:Shade'})
    """
    stands: dict[str, str] = {}

    def stand(match: re.Match[str]) -> str:
        if match[0][0] in "\"'":
            return match[0]
        name = f"own_{len(stands)}"
        stands[name] = match[0]
        return name

    return _QUOTED_OR_NAME.sub(stand, text), stands


def imported(name: str, kind: str) -> Any:  # noqa: ANN401 - whatever the user's module holds
    """Import ``package.module:name``; the current folder counts, as with ``python -m``.

    This runs code: only ever pass a name that the user typed. kind: what the error calls it.
    Raises ``Invalid`` where there is no such module or attribute, or importing it fails.
    """
    module_name, _, path = name.partition(":")
    allowed = f"an importable package.module:{'factory' if kind == 'arch' else 'name'}"
    with current_folder():
        target = _module(module_name, name, kind, allowed)
    for part in path.split("."):
        if not hasattr(target, part):
            there = [n for n in vars(target) if n.isidentifier() and n[0] != "_"] if path else []
            hint = (
                f"{module_name} has no {part}; it has {', '.join(there[:12]) or 'nothing public'}"
            )
            raise Invalid(kind, name, allowed, hint)
        target = getattr(target, part)
    return target


def _module(module_name: str, name: str, kind: str, allowed: str) -> Any:  # noqa: ANN401
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        own = error.name is not None and (module_name + ".").startswith(error.name + ".")
        problem = f"there is no module {error.name}" if own else f"it imports {error.name}"
        hint = f"{problem}, which is not installed nor in {os.getcwd()}"
        if module_name.endswith(".py"):
            hint = f"without .py: {name.replace('.py:', ':', 1)}"
        raise Invalid(kind, name, allowed, hint) from error
    except Exception as error:
        problem = f"importing it raised {type(error).__name__}: {error}"
        raise Invalid(kind, name, allowed, problem) from error


@contextlib.contextmanager
def current_folder() -> Iterator[None]:
    """Let the current folder be imported from."""
    here = os.getcwd()
    sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)
