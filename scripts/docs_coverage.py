"""Whether the reference shows every public name once, and says what each is and takes."""

import dataclasses
import importlib
import inspect
import re
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
PACKAGES = (
    *("attacks", "audit", "audit.report", "compat", "data", "lightning", "models"),
    *("presets", "testing", "threats", "train", "verify", "views"),
)
_DIRECTIVE = re.compile(r"^::: (\S+)", re.MULTILINE)
_SAME_EVERYWHERE = re.compile(r"^\| ((?:`\w+`(?:, )?)+) \|", re.MULTILINE)


def shown(folder: Path = REFERENCE) -> dict[str, list[str]]:
    """For each page the names that its directives ask for.

    A module stands for its ``__all__``, less what bears the name of a module in it: mkdocstrings
    takes it for that module, so that it needs a line of its own.
    """
    found = {}
    for page in sorted(folder.glob("*.md")):
        names = []
        for path in _DIRECTIVE.findall(page.read_text()):
            target = resolve(path)
            if inspect.ismodule(target):
                seen = [n for n in target.__all__ if _module(f"{path}.{n}") is None]
                names += [f"{path}.{name}" for name in seen]
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
    around = _module(parent)
    if parent.count(".") and name in getattr(around, "__all__", ()):
        return getattr(around, name)  # saddlepoint.audit.curve is a module as well
    return _module(path) or getattr(around or resolve(parent), name)


def _module(path: str) -> ModuleType | None:
    try:
        return importlib.import_module(path) if path else None
    except ModuleNotFoundError:
        return None


def faults(folder: Path = REFERENCE) -> list[str]:
    """What is missing, shown twice or not explained; each with where to mend it."""
    names = [name for page in shown(folder).values() for name in page]
    targets = [resolve(name) for name in names]
    everyday = importlib.import_module("saddlepoint")
    found = _unseen(targets, everyday) + _twice(names, targets)
    known = same_everywhere(folder)
    exemplary = {id(getattr(everyday, name)) for name in everyday.__all__}
    for name, target in zip(names, targets, strict=True):
        if _has_words(target):
            found += unexplained(name, target, known)
            if id(target) in exemplary and ">>>" not in (target.__doc__ or ""):
                found.append(f"{name}: its docstring has no example")
    return found


def _unseen(targets: list[Any], everyday: Any) -> list[str]:  # noqa: ANN401 - a module
    there = {id(target) for target in targets}
    found = []
    for package in (everyday, *(resolve(f"saddlepoint.{name}") for name in PACKAGES)):
        lost = [n for n in package.__all__ if id(getattr(package, n)) not in there]
        found += [f"{package.__name__}.{n}: on no page of docs/reference" for n in lost]
    return found


def _twice(names: list[str], targets: list[Any]) -> list[str]:
    counts = Counter(id(target) for target in targets if _has_words(target))
    again = {n for n, t in zip(names, targets, strict=True) if counts[id(t)] > 1}
    return [f"{name}: shown twice in docs/reference" for name in sorted(again)]


def _has_words(target: Any) -> bool:  # noqa: ANN401 - whatever is public
    """Classes and functions have docstrings at run time; of constants the page tells."""
    return inspect.isclass(target) or inspect.isfunction(target)


def unexplained(name: str, target: Any, known: set[str]) -> list[str]:  # noqa: ANN401
    """Say what the docstring of a class or function lacks; ``known`` needs no words.

    >>> unexplained("it", lambda seed: seed, set())
    ['it: its docstring has no sentence']
    """
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
    """Names that a caller fills in: fields of a dataclass, parameters of what makes another.

    >>> parameters(lambda x, *, seed=0: x)
    ['x', 'seed']
    """
    if dataclasses.is_dataclass(target):
        return [field.name for field in dataclasses.fields(target) if field.init]
    if inspect.isclass(target):
        made = target.__dict__.get("__init__")  # one that is inherited is explained where it stands
        own = inspect.isfunction(made) and not getattr(target, "_is_protocol", False)
        return list(inspect.signature(made).parameters)[1:] if own else []
    return list(inspect.signature(target).parameters)


def same_everywhere(folder: Path = REFERENCE) -> set[str]:
    """Parameters that the table of api.md explains once for all."""
    rows = _SAME_EVERYWHERE.findall((folder / "api.md").read_text())
    return {name for row in rows for name in re.findall(r"\w+", row)}
