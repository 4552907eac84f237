"""``model.json``: the architecture beside the weights, in words that are data and never code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saddlepoint.core.errors import BadData

__all__ = ["Card", "read_card"]

_LARGEST = 1 << 20  # bytes; a card needs a few hundred
_SIDE = 1 << 16
_NUMBERS = 1 << 28


@dataclass(frozen=True)
class Card:
    """The content of ``model.json``: architecture, shape of one sample, classes, options."""

    arch: str
    shape: tuple[int, ...]
    classes: int
    options: Mapping[str, Any] = field(default_factory=dict)


def read_card(path: Path) -> Card:
    """Read ``{"arch": "resnet9", "shape": [3, 32, 32], "classes": 10, "options": {"width": 32}}``.

    ``options`` may be absent; other keys are left to whoever wrote them. Raises ``BadData`` for
    what is no such object.
    """
    content = _parse(path)
    lacks = [key for key in ("arch", "shape", "classes") if key not in content]
    if lacks:
        raise BadData(
            f"{path}: lacks {', '.join(lacks)}; it holds {', '.join(content) or 'nothing'}"
        )
    arch, shape, classes = content["arch"], content["shape"], content["classes"]
    options = content.get("options", {})
    if not isinstance(arch, str):
        raise BadData(f"{path}: arch = {arch!r}: must be a string")
    if not isinstance(shape, list) or not 1 <= len(shape) <= 4 or not _all_between(shape, _SIDE):
        raise BadData(f"{path}: shape = {shape!r}: must be a list of 1 to 4 sizes, [C, H, W]")
    if not _all_between([classes], 1 << 20) or classes < 2:
        raise BadData(f"{path}: classes = {classes!r}: must be a whole number, 2 or more")
    if not isinstance(options, dict):
        raise BadData(f"{path}: options = {options!r}: must be an object")
    return Card(arch, tuple(shape), classes, options)


def _all_between(values: list[Any], most: int) -> bool:
    product = 1
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            return False
        product *= value
    return product <= _NUMBERS


def _parse(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST:
            raise BadData(f"{path}: larger than 1 MiB: not a model card")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadData(f"{path}: not valid JSON ({error})") from error
    if not isinstance(content, dict):
        raise BadData(f"{path}: must be an object with arch, shape and classes")
    return content
