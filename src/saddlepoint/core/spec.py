"""One-line text of a frozen configuration object, as the command line and plans write it."""

import dataclasses
import hashlib
from typing import Any

from torch import Tensor

__all__ = ["compact", "text"]


def text(value: Any) -> str:  # noqa: ANN401
    """Text of one field: of a tensor, what tells its content from any other."""
    if not isinstance(value, Tensor):
        return repr(value)
    # torch abbreviates and rounds; two different tensors must not read the same.
    content = value.detach().cpu().double().contiguous().numpy().tobytes()
    return f"tensor(sha256:{hashlib.sha256(content).hexdigest()[:16]}, n={value.numel()})"


def compact(obj: Any) -> str:  # noqa: ANN401 - any dataclass instance
    """Name the fields that differ from their defaults; usable as ``__repr__``.

    obj: an instance of a dataclass. Fields without a default are always named; the text of a set or
    an attack within stands for itself.

    >>> @dataclasses.dataclass
    ... class Walk:
    ...     steps: int = 10
    ...     start: str = "clean"
    >>> compact(Walk(steps=3))
    'Walk(steps=3)'
    """
    said = []
    for f in dataclasses.fields(obj):
        value = getattr(obj, f.name)
        default = f.default if f.default is not dataclasses.MISSING else None
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and (dataclasses.is_dataclass(value) or isinstance(value, tuple)):
            said.append(text(value))  # an attack within an attack speaks for itself
        elif required or (value is not default and repr(value) != repr(default)):
            said.append(f"{f.name}={text(value)}")
    return f"{type(obj).__name__}({', '.join(said)})"
