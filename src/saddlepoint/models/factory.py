"""Models made by a function the user names: ``package.module:factory``."""

import contextlib
import importlib
import inspect
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from saddlepoint.core.errors import Invalid
from saddlepoint.models.foreign.adapt import as_model, asked
from saddlepoint.models.loaded import Model

__all__ = ["is_factory", "make", "make_model"]

_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*:[A-Za-z_]\w*(\.\w+)*")


def is_factory(name: str) -> bool:
    """Tell whether ``name`` is written as ``package.module:factory``.

    >>> is_factory("mine.nets:small"), is_factory("resnet9"), is_factory("C:/model.onnx")
    (True, False, False)
    """
    return _NAME.fullmatch(name) is not None


def make(name: str, options: Mapping[str, Any]) -> nn.Module:
    """Import ``package.module:factory`` and call it with those ``options`` its signature takes.

    As ``make_model``, for a torch module and nothing else.

    >>> make("torch.nn:Identity", {})
    Identity()
    """
    model = make_model(name, options)
    if not isinstance(model, nn.Module):
        made = f"it returned a {type(model).__name__}"
        raise Invalid("arch", name, "a factory of torch.nn.Module", made)
    return model


def make_model(name: str, options: Mapping[str, Any]) -> Model:
    """Import ``package.module:factory`` and call it with those ``options`` its signature takes.

    The current folder can be imported from, as with ``python -m``. A module instance or a fitted
    classifier in place of a factory is taken as it is. This runs code: only ever pass a name that
    the user typed. Raises ``Invalid`` when there is no such module or attribute, when it cannot be
    called, fails, or returns something other than a model.
    """
    with _current_folder():
        target = _find(name)
        if isinstance(target, nn.Module) or (asked(target) and not isinstance(target, type)):
            return as_model(target)
        if not callable(target):
            raise Invalid("arch", name, "a function or class", f"it is a {type(target).__name__}")
        try:
            model = target(**_accepted(target, options))
        except Exception as error:
            problem = f"calling it raised {type(error).__name__}: {error}"
            raise Invalid("arch", name, "a factory that works", problem) from error
    try:
        return as_model(model)
    except Invalid as error:
        allowed = "a factory of torch.nn.Module, or of another model"
        raise Invalid("arch", name, allowed, f"it returned a {type(model).__name__}") from error


@contextlib.contextmanager
def _current_folder() -> Iterator[None]:
    here = os.getcwd()
    sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)


def _find(name: str) -> Any:  # noqa: ANN401 - whatever the user's module holds
    module_name, _, path = name.partition(":")
    try:
        target: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        own = error.name is not None and (module_name + ".").startswith(error.name + ".")
        problem = f"there is no module {error.name}" if own else f"it imports {error.name}"
        hint = f"{problem}, which is not installed nor in {os.getcwd()}"
        raise Invalid("arch", name, "an importable package.module:factory", hint) from error
    except Exception as error:
        problem = f"importing it raised {type(error).__name__}: {error}"
        raise Invalid("arch", name, "an importable package.module:factory", problem) from error
    for part in path.split("."):
        if not hasattr(target, part):
            there = [n for n in vars(target) if n.isidentifier() and n[0] != "_"] if path else []
            hint = (
                f"{module_name} has no {part}; it has {', '.join(there[:12]) or 'nothing public'}"
            )
            raise Invalid("arch", name, "an importable package.module:factory", hint)
        target = getattr(target, part)
    return target


def _accepted(target: Any, options: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):  # built in C: no signature to go by
        return {}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return dict(options)
    by_name = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return {key: value for key, value in options.items() if key in by_name}
