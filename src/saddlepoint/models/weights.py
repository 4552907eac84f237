"""Weights from files, without running anything that a file contains."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from saddlepoint.core.errors import BadData

__all__ = ["PICKLE_SUFFIXES", "TORCH_SUFFIXES", "read_safetensors", "read_torch", "refuse_pickle"]

TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib", ".dill")
_HOLDERS = ("state_dict", "model_state_dict", "model", "net")
_PREFIXES = ("module.", "_orig_mod.")  # DataParallel, torch.compile
_CONVERT = (
    "Such a file can run any code when it is opened, so it was not. If you trust it, open it where "
    "it was made and save the weights alone:\n"
    "    from safetensors.torch import save_file\n"
    '    save_file(model.state_dict(), "model.safetensors")\n'
    "then pass that file with --arch, the architecture's name or package.module:factory."
)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a ``.safetensors`` file by name; ``BadData`` when it is damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    _require_content(path)
    try:
        return _stripped(path, load_file(path))
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise BadData(
            f"{path}: truncated, corrupt, or not a safetensors file ({error}): "
            "copy or write it again"
        ) from error


def read_torch(path: Path) -> dict[str, Tensor]:
    """Return the state dict of a file written by ``torch.save``.

    It may be the whole content or lie under state_dict, model_state_dict, model or net; prefixes
    that wrappers add (``module.``) are taken off. Only tensors and plain containers are read
    (``weights_only=True``). Raises ``BadData`` for pickled modules, with the way to convert them.
    """
    _require_content(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is refused below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError) as error:
        raise BadData(f"{path}: {_refusal(path, str(error))}") from error
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
    ) as error:
        raise BadData(f"{path}: {_damaged(error)}") from error
    return _stripped(path, _state_dict(path, content))


def refuse_pickle(path: Path) -> BadData:
    """Return the refusal of a file that can only be read by running it."""
    return BadData(f"{path}: a pickle, not weights alone. {_CONVERT}")


def _require_content(path: Path) -> None:
    try:
        empty = path.stat().st_size == 0
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}") from error
    if empty:
        raise BadData(f"{path} is empty: the copy or download did not finish")


def _damaged(error: object) -> str:
    first = str(error).strip().partition("\n")[0][:200] or type(error).__name__
    return f"truncated, corrupt, or not written by torch.save ({first})"


def _refusal(path: Path, message: str) -> str:
    """Say whether the file wanted code to run or is merely broken."""
    if "TorchScript" in message:
        return f"a TorchScript program, not weights. {_CONVERT}"
    wanted = re.search(r"GLOBAL (\S+)", message)
    if wanted is not None:
        return f"holds a pickled object ({wanted.group(1)}), not weights alone. {_CONVERT}"
    with path.open("rb") as stream:
        pickled = stream.read(2).startswith((b"\x80", b"PK"))
    if pickled and "nsupported" in message:  # an opcode that weights never need
        return f"holds more than weights. {_CONVERT}"
    return _damaged(message.rpartition("message: ")[2] or message)


def _state_dict(path: Path, content: object) -> Mapping[str, Tensor]:
    if not isinstance(content, Mapping):
        raise BadData(f"{path}: holds a {type(content).__name__}, not a state dict")
    for key in (None, *_HOLDERS):
        found = content if key is None else content.get(key)
        if isinstance(found, Mapping) and found and _all_tensors(found):
            return found
    keys = ", ".join(map(str, list(content)[:8])) or "nothing"
    raise BadData(
        f"{path}: no state dict in it; it holds {keys}; "
        f"looked for tensors at the top and under {', '.join(_HOLDERS)}"
    )


def _all_tensors(found: Mapping[object, object]) -> bool:
    return all(isinstance(k, str) and isinstance(v, Tensor) for k, v in found.items())


def _stripped(path: Path, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if not state:
        raise BadData(f"{path}: holds no tensors")
    result = dict(state)
    for prefix in (*_PREFIXES, *_PREFIXES):  # each may be inside the other
        if all(key.startswith(prefix) for key in result):
            result = {key.removeprefix(prefix): value for key, value in result.items()}
    return result
