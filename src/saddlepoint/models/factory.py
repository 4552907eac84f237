"""Models made by a function the user names: ``package.module:factory``."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from saddlepoint.core.errors import Invalid
from saddlepoint.core.named import current_folder, imported, is_named
from saddlepoint.models.foreign.adapt import as_model, asked
from saddlepoint.models.loaded import Model

__all__ = ["is_factory", "make", "make_model"]


def is_factory(name: str) -> bool:
    """Tell whether ``name`` is written as ``package.module:factory``.

    >>> is_factory("mine.nets:small"), is_factory("resnet9"), is_factory("C:/model.onnx")
    (True, False, False)
    """
    return is_named(name)


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
    with current_folder():
        target = imported(name, "arch")
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


def _accepted(target: Any, options: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):  # built in C: no signature to go by
        return {}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return dict(options)
    by_name = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return {key: value for key, value in options.items() if key in by_name}
