"""Whether weights and an architecture belong together, and which other one would fit."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.models.registry import ARCHITECTURES, build
from saddlepoint.models.stem import decimal, is_threshold

__all__ = ["architectures_for", "completed", "fill", "infer", "mismatch"]

_SHOWN = 3
Sizes = Mapping[str, tuple[int, ...]]


def fill(model: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """Copy ``state`` into ``model``, which it must fit, and return it in evaluation mode."""
    try:
        model.load_state_dict(dict(state), strict=False)
    except RuntimeError as error:
        raise BadData(f"the weights cannot be copied into the model: {error}") from error
    return model.eval()


def mismatch(model: nn.Module, state: Mapping[str, Tensor]) -> str:
    """Return what keeps ``state`` from fitting ``model``, or "" if nothing does.

    >>> mismatch(nn.Linear(2, 3), {"weight": torch.zeros(3, 4), "scale": torch.zeros(1)})
    'missing bias; unexpected scale; weight is (3, 4) in the file, needs (3, 2)'
    """
    needs, has = _sizes(model.state_dict()), _sizes(state)
    # Files older than the counter of batches lack it, and evaluation never uses it.
    missing = [k for k in needs if k not in has and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in has if k not in needs]
    wrong = [
        f"{k} is {has[k]} in the file, needs {needs[k]}"
        for k in needs
        if k in has and has[k] != needs[k]
    ]
    parts = [
        f"missing {_some(missing)}" if missing else "",
        f"unexpected {_some(unexpected)}" if unexpected else "",
        _some(wrong, "; "),
    ]
    return "; ".join(part for part in parts if part)


def _sizes(state: Mapping[str, Any]) -> Sizes:
    return {k: tuple(v.shape) for k, v in state.items() if isinstance(v, Tensor)}


def _some(items: Sequence[str], joint: str = ", ") -> str:
    more = f"{joint}and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return joint.join(items[:_SHOWN]) + more


def infer(arch: str, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the options of the known architecture ``arch`` that the weights reveal.

    These are the width or the hidden sizes, the mean and std of a ``Normalize`` layer, and the
    radius of a ``ThresholdStem``. Raises ``BadData`` for a radius that cannot be.

    >>> infer("conv-small", {"0.weight": torch.zeros(4, 1, 4, 4)})
    {'width': 4}
    """
    options: dict[str, Any] = {}
    if arch == "mlp":
        rows = _numbered_rows(state)
        options = {"hidden": rows[:-1]} if rows else {}
    elif (first := _meta(ARCHITECTURES[arch])) is not None:
        name = next(name for name, _ in first.named_parameters())
        if name in state and state[name].dim() == 4:
            options["width"] = state[name].shape[0]
    for key in ("mean", "std"):
        if (value := state.get(f"normalize.{key}")) is not None:
            options[key] = value.flatten().tolist()
    radius, taken = state.get("stem.eps"), inspect.signature(ARCHITECTURES[arch]).parameters
    if radius is not None and radius.numel() == 1 and "stem" in taken:
        options["stem"] = decimal(radius)
        if not is_threshold(options["stem"]):
            raise BadData(f"stem.eps is {options['stem']} in the weights, must be in [0, 0.5)")
    return options


def _numbered_rows(state: Mapping[str, Tensor]) -> list[int]:
    """Return the heights of the matrices called 1.weight, 3.weight, … in their order."""
    numbers = [k.removesuffix(".weight") for k, v in state.items() if v.dim() == 2]
    ordered = sorted(int(n) for n in numbers if n.isdecimal() and len(n) < 6)
    return [state[f"{n}.weight"].shape[0] for n in ordered if f"{n}.weight" in state]


def completed(
    arch: str,
    shape: Sequence[int] | None,
    classes: int | None,
    options: Mapping[str, Any],
    state: Mapping[str, Tensor],
) -> tuple[tuple[int, ...], int]:
    """Return shape and classes; what is None comes from the architecture's default or the weights.

    >>> completed("mlp", (3,), None, {"hidden": [2]}, {"3.bias": torch.zeros(7)})
    ((3,), 7)
    """
    default = inspect.signature(ARCHITECTURES[arch]).parameters
    shape = tuple(default["shape"].default if shape is None else shape)
    if classes is None:
        with torch.device("meta"):
            last = list(build(arch, shape, None, options).state_dict())[-1]
        found = state.get(last)
        classes = found.shape[0] if found is not None and found.dim() else 10
    return shape, classes


def architectures_for(
    state: Mapping[str, Tensor], shape: Sequence[int] | None, classes: int | None
) -> list[str]:
    """Return the known architectures that the weights fit, at their own width."""

    def built(arch: str) -> nn.Module:
        options = infer(arch, state)
        return build(arch, *completed(arch, shape, classes, options, state), options)

    def fits(arch: str) -> bool:
        model = _meta(lambda: built(arch))
        return model is not None and not mismatch(model, state)

    return [arch for arch in ARCHITECTURES if fits(arch)]


def _meta(make: Callable[[], nn.Module]) -> nn.Module | None:
    """Return a model that has shapes but no memory, or None where the arguments cannot be."""
    try:
        with torch.device("meta"):
            return make()
    except (Invalid, RuntimeError, TypeError, ValueError):
        return None
