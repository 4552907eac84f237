"""Which code of the user's own a plan is made of, so that another class of that name is another."""

import dataclasses
import functools
import inspect
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from torch import Tensor, nn

__all__ = ["code", "code_of", "fingerprint"]

_NOT_OWN = {"saddlepoint", "torch", "numpy", *sys.stdlib_module_names} - {"__main__"}
_DIGITS = 16


def code_of(*parts: object) -> dict[str, str]:
    """Name classes and functions that are not saddlepoint's, with a hash of the file they are in.

    parts: sets, attacks, objectives or strategies; what their fields hold is looked at as well, and
    what their classes inherit from. Each is ``module:qualname``; the hash is 16 digits of the
    file's sha256. Where there is no file, as in a console, it is that of a function's code, and
    empty for a class.

    >>> from saddlepoint import PGD, Linf
    >>> code_of(Linf(eps=0.1), PGD())
    {}
    """
    kinds = {k for part in parts for k in _kinds(part, set())}
    named = {f"{k.__module__}:{k.__qualname__}": _source(k) for k in kinds if _is_own(k)}
    return dict(sorted(named.items()))


def code(*parts: object) -> dict[str, dict[str, str]]:
    """Return ``{"code": code_of(…)}``, or nothing: a plan without such classes reads as ever."""
    found = code_of(*parts)
    return {"code": found} if found else {}


def _kinds(part: object, seen: set[int]) -> Iterator[type | FunctionType]:
    if id(part) in seen or isinstance(part, str | bytes | Tensor | nn.Module | type):
        return  # weights are known by their own hash
    seen.add(id(part))
    if isinstance(part, FunctionType):
        yield part
        return
    made = dataclasses.is_dataclass(part)
    if made or (_is_own(type(part)) and (callable(part) or hasattr(part, "project"))):
        yield from type(part).__mro__
        held = [getattr(part, f.name, None) for f in dataclasses.fields(part)] if made else []  # type: ignore[arg-type]
        inner: Any = [*held, *getattr(part, "__dict__", {}).values()]
    elif isinstance(part, dict):
        inner = part.values()
    elif isinstance(part, functools.partial):
        inner = (part.func, *part.args, *part.keywords.values())
    else:
        inner = part if isinstance(part, tuple | list | set | frozenset) else ()
    for value in inner:
        yield from _kinds(value, seen)


def _is_own(kind: type | FunctionType) -> bool:
    return kind.__module__.partition(".")[0] not in _NOT_OWN


@functools.cache
def _source(kind: type | FunctionType) -> str:
    """Hash the file once: it may be edited while a run goes on, which the class in use is not."""
    try:
        content = Path(inspect.getsourcefile(kind) or "").read_bytes()
    except (OSError, TypeError):
        return fingerprint(kind) if isinstance(kind, FunctionType) else ""
    return sha256(content).hexdigest()[:_DIGITS]


def fingerprint(function: FunctionType) -> str:
    """Return 16 digits that tell functions of one name apart: code, defaults and what is enclosed.

    Numbers and words that are enclosed count, and the class of anything else, which may change
    while it is used.

    >>> fingerprint(lambda x: x + 1) == fingerprint(lambda x: x + 2)
    False
    """
    cells = [c.cell_contents for c in function.__closure__ or ()]
    held = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items(), *cells]
    parts = [_digest(function.__code__), *map(_said, held)]
    return sha256("|".join(parts).encode()).hexdigest()[:_DIGITS]


def _digest(code: CodeType) -> str:
    inner = [_digest(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    text = "|".join([code.co_code.hex(), repr(code.co_names), *inner])
    return sha256(text.encode()).hexdigest()


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_said, value))})"
    if isinstance(value, str | bytes | int | float | complex | None):
        return repr(value)
    return f"{type(value).__module__}:{type(value).__qualname__}"
