"""A model as a folder: weights and the words that build it again."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from saddlepoint.core.files import full_disk, write_bytes
from saddlepoint.models.registry import check_options

__all__ = ["save_model"]


def save_model(
    model: nn.Module,
    folder: str | Path,
    arch: str,
    shape: Sequence[int],
    classes: int,
    options: Mapping[str, Any] | None = None,
) -> Path:
    """Write ``model.safetensors`` and ``model.json``, as ``load_model`` reads them.

    Returns the folder. arch, shape, classes, options: what ``build`` made the model from. Raises
    ``Invalid`` for options that it would not take.

    >>> import tempfile
    >>> from saddlepoint.models import build, load_model
    >>> with tempfile.TemporaryDirectory() as out:
    ...     saved = save_model(build("mlp", (4,), 3), out, "mlp", (4,), 3, {"hidden": [256, 256]})
    ...     load_model(saved).classes
    3
    """
    from safetensors.torch import save

    options = dict(options or {})
    check_options(arch, options)
    folder = Path(folder)
    with full_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
    weights = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    write_bytes(folder / "model.safetensors", save(weights))
    card = {"arch": arch, "shape": list(shape), "classes": classes, "options": options}
    write_bytes(folder / "model.json", (json.dumps(card, indent=2) + "\n").encode())
    return folder
