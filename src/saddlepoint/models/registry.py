"""Architectures by name."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from saddlepoint.core.errors import Invalid, closest
from saddlepoint.models.defences import guarded, outlier_class, specialists, squeezed
from saddlepoint.models.defences.body import BODIES
from saddlepoint.models.factory import is_factory, make
from saddlepoint.models.preact_resnet18 import preact_resnet18
from saddlepoint.models.resnet9 import resnet9
from saddlepoint.models.small import conv_medium, conv_small, madry_mnist, mlp
from saddlepoint.models.stem import is_threshold

__all__ = ["ARCHITECTURES", "DEFENCES", "build", "check_options"]

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "conv-small": conv_small,
    "conv-medium": conv_medium,
    "madry-mnist": madry_mnist,
    "resnet9": resnet9,
    "preact-resnet18": preact_resnet18,
    "mlp": mlp,
}
"""Reference nets by the names that ``--arch`` and recipes take."""
# Nets with a defence around them: they have one score more than classes, that of rejection.
DEFENCES: dict[str, Callable[..., nn.Module]] = {
    "squeezed": squeezed,
    "guarded": guarded,
    "outlier-class": outlier_class,
    "specialists": specialists,
}
"""Defended nets by name; ``build`` makes them, and a folder's ``model.json`` names them."""


def build(
    arch: str,
    shape: Sequence[int] | None = None,
    classes: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Return a new, untrained model in training mode.

    ``arch`` is a name in ``ARCHITECTURES`` or ``DEFENCES``, or ``package.module:factory``; a
    factory of your own gets ``shape`` and ``classes`` when its signature takes them. ``shape`` is
    that of one sample; what is None is left to the factory's default. ``options`` are further
    arguments: ``width``, …
    Raises ``Invalid`` for names, shapes and options that cannot be.

    >>> build("conv-small", shape=(1, 8, 8), classes=10)[5]
    Linear(in_features=128, out_features=100, bias=True)
    """
    given: dict[str, Any] = {} if shape is None else {"shape": tuple(shape)}
    if classes is not None:
        if classes < 2:
            raise Invalid("classes", classes, "2 or more")
        given["classes"] = classes
    options = dict(options or {})
    if is_factory(arch):
        return make(arch, {**given, **options})
    known = ARCHITECTURES | DEFENCES
    if arch not in known:
        allowed = "a known architecture or package.module:factory"
        raise Invalid("arch", arch, allowed, _own_file(arch) or closest(arch, known))
    check_options(arch, options)
    return known[arch](**given, **options)


def _own_file(arch: str) -> str:
    """How to name a function of a file in the current folder, where ``arch`` names the file."""
    module, _, function = arch.removesuffix(".py").partition(".")
    if not module.isidentifier() or not Path(f"{module}.py").is_file():
        return ""
    return f"a function of {module}.py is written {module}:{function or 'its_name'}"


def check_options(arch: str, options: Mapping[str, Any]) -> None:
    """Raise ``Invalid`` unless ``options`` are plain arguments of the known architecture ``arch``.

    >>> check_options("resnet9", {"widht": 8})
    Traceback (most recent call last):
    saddlepoint.core.errors.Invalid: option = 'widht': must be an option of resnet9; did you ...
    """
    function = (ARCHITECTURES | DEFENCES)[arch]
    taken = [p for p in inspect.signature(function).parameters if p not in _COMMON]
    for key, value in options.items():
        if key not in taken:
            raise Invalid("option", key, f"an option of {arch}", closest(key, taken))
        if key == "stem":
            _check_stem(arch, value)
        elif arch in DEFENCES and key in _OF_DEFENCES:
            _check_word(key, value)
        else:
            _check_sizes(arch, key, value)


def _check_stem(arch: str, value: object) -> None:
    if value is not None and not is_threshold(value):
        raise Invalid("stem", value, f"a number in [0, 0.5) for {arch}, or None for no stem")


def _check_word(key: str, value: object) -> None:
    if key == "net" and value not in BODIES:
        raise Invalid(key, value, "the net inside the defence", closest(str(value), BODIES))
    if key == "smooth" and not isinstance(value, bool):
        raise Invalid(key, value, "true or false")


def _check_sizes(arch: str, key: str, value: Any) -> None:  # noqa: ANN401
    many = key in ("mean", "std", "hidden")
    values = list(value) if many and isinstance(value, list | tuple) else [value]
    kind: type | tuple[type, ...] = (int, float) if key in ("mean", "std") else int
    if many != isinstance(value, list | tuple) or not all(_is(v, kind) for v in values):
        what = "a list of numbers" if many else "a whole number"
        raise Invalid(key, value, f"{what} for {arch}")
    if kind is int and not all(1 <= v <= 65_536 for v in values):
        raise Invalid(key, value, f"in [1, 65536] for {arch}")


_COMMON = ("shape", "classes")
_OF_DEFENCES = ("net", "smooth", "bits", "median")  # whole numbers of 0 are the defence's to judge


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
