"""Whether the reference shows every public name once, and says what each is and takes."""

import dataclasses
import importlib
import inspect
import re
from collections import Counter
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
PACKAGES = (
    *("attacks", "audit", "data", "models", "testing"),
    *("threats", "train", "verify", "views"),
)
_DIRECTIVE = re.compile(r"^::: (\S+)", re.MULTILINE)
_SAME_EVERYWHERE = re.compile(r"^\| ((?:`\w+`(?:, )?)+) \|", re.MULTILINE)


def shown(folder: Path = REFERENCE) -> dict[str, list[str]]:
    """For each page the names that its directives ask for; a module stands for its ``__all__``."""
    found = {}
    for page in sorted(folder.glob("*.md")):
        names = []
        for path in _DIRECTIVE.findall(page.read_text()):
            target = resolve(path)
            if inspect.ismodule(target):
                names += [f"{path}.{name}" for name in target.__all__]
            else:
                names.append(path)
        found[page.name] = names
    return found


def resolve(path: str) -> Any:  # noqa: ANN401 - whatever has that name
    """Import what a dotted path names; ``saddlepoint.audit`` is the package, not the function.

    >>> resolve("pathlib.Path.cwd").__name__
    'cwd'
    """
    parent, _, name = path.rpartition(".")
    if parent.count(".") and name in getattr(resolve(parent), "__all__", ()):
        return getattr(resolve(parent), name)  # saddlepoint.audit.curve is a module as well
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        return getattr(resolve(parent), name)


def faults(folder: Path = REFERENCE) -> list[str]:
    """What is missing, shown twice or not explained; each with where to mend it."""
    names = [name for page in shown(folder).values() for name in page]
    objects = {name: resolve(name) for name in names}
    everyday = importlib.import_module("saddlepoint")
    found = _unseen(objects, everyday) + _twice(objects)
    known = same_everywhere(folder)
    exemplary = [getattr(everyday, name) for name in everyday.__all__]
    for name, target in objects.items():
        if inspect.isclass(target) or inspect.isfunction(target):
            found += _unexplained(name, target, known)
            if any(target is e for e in exemplary) and ">>>" not in (target.__doc__ or ""):
                found.append(f"{name}: its docstring has no example")
    return found


def _unseen(objects: dict[str, Any], everyday: Any) -> list[str]:  # noqa: ANN401 - a module
    found = []
    for package in PACKAGES:
        path = f"saddlepoint.{package}"
        missing = [n for n in resolve(path).__all__ if f"{path}.{n}" not in objects]
        found += [f"{path}.{n}: on no page of docs/reference" for n in missing]
    for name in everyday.__all__:
        if not any(getattr(everyday, name) is target for target in objects.values()):
            found.append(f"saddlepoint.{name}: on no page of docs/reference")
    return found


def _twice(objects: dict[str, Any]) -> list[str]:
    callables = {n: t for n, t in objects.items() if inspect.isclass(t) or inspect.isfunction(t)}
    counts = Counter(id(target) for target in callables.values())
    return [
        f"{n}: shown twice in docs/reference" for n, t in callables.items() if counts[id(t)] > 1
    ]


def _unexplained(name: str, target: Any, known: set[str]) -> list[str]:  # noqa: ANN401
    doc = target.__doc__ or ""
    inherited = doc.startswith(f"{target.__name__}(")  # what a dataclass makes up
    if inherited or not re.match(r"\S+ \S+ .*?[.:]\s", doc + "\n", re.DOTALL):
        return [f"{name}: its docstring has no sentence"]
    taken = [p for p in parameters(target) if p not in known and not p.startswith("_")]
    untold = [p for p in taken if not re.search(rf"\b{re.escape(p)}\b", doc)]
    if not untold:
        return []
    return [f"{name}: its docstring does not say what {', '.join(untold)} is"]


def parameters(target: Any) -> list[str]:  # noqa: ANN401 - a class or a function
    """Names that a caller fills in: fields of a dataclass, parameters of a function.

    >>> parameters(lambda x, *, seed=0: x)
    ['x', 'seed']
    """
    if inspect.isclass(target):
        made = dataclasses.fields(target) if dataclasses.is_dataclass(target) else ()
        return [field.name for field in made if field.init]
    return list(inspect.signature(target).parameters)


def same_everywhere(folder: Path = REFERENCE) -> set[str]:
    """Parameters that the table of api.md explains once for all."""
    rows = _SAME_EVERYWHERE.findall((folder / "api.md").read_text())
    return {name for row in rows for name in re.findall(r"\w+", row)}
