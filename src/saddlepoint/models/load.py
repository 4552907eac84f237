"""One way in: a file, a folder or the name of a factory becomes a model."""

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.core.door import state_hash
from saddlepoint.core.errors import BadData, Invalid, closest
from saddlepoint.models.card import Card, read_card
from saddlepoint.models.factory import is_factory, make_model
from saddlepoint.models.fit import architectures_for, completed, fill, infer, mismatch
from saddlepoint.models.loaded import Loaded
from saddlepoint.models.registry import ARCHITECTURES, DEFENCES, build
from saddlepoint.models.weights import (
    PICKLE_SUFFIXES,
    TORCH_SUFFIXES,
    read_safetensors,
    read_torch,
    refuse_pickle,
)
from saddlepoint.models.zoo import is_zoo, load_zoo

__all__ = ["load_model"]

_SUFFIXES = (".safetensors", ".onnx", *TORCH_SUFFIXES, ".toml")
_FORMS = (
    f"a {', '.join(_SUFFIXES)} file, a folder with model.safetensors and model.json, "
    "package.module:factory, or robustbench:DATASET/THREAT/NAME"
)
Shape = Sequence[int]


def load_model(
    spec: str | Path,
    arch: str | None = None,
    shape: Shape | None = None,
    classes: int | None = None,
) -> Loaded:
    """Load a model without running code that its file contains.

    ``spec`` is weights (``.safetensors``, or ``.pt .pth .bin .ckpt`` holding a state dict; these
    need ``arch``), a folder with ``model.safetensors`` and ``model.json``, an ``.onnx`` file, a
    ``.toml`` that describes a model behind HTTP, ``package.module:factory``, or a model of
    RobustBench's zoo, ``robustbench:cifar10/Linf/Carmon2019Unlabeled``. ``arch`` is a known
    architecture or a factory. ``shape`` of one sample and ``classes`` are checked against, or
    completed from, what the file says.
    Raises ``Invalid`` for arguments that cannot be, ``BadData`` for files that are missing,
    damaged, unsafe or do not fit the architecture, ``Missing`` when ONNX or RobustBench is not
    installed.

    >>> loaded = load_model("torch.nn:Identity", shape=(10,), classes=10)
    >>> loaded.name, loaded.access, loaded.model.training
    ('torch.nn:Identity', 'gradients', False)
    """
    path, name = Path(spec).expanduser(), str(spec)
    if path.is_dir():
        return _from_folder(path, arch, shape, classes)
    if path.is_file():
        return _from_file(path, arch, shape, classes)
    if is_zoo(name):
        if arch is not None:
            raise Invalid("arch", arch, f"left out, as {name} names a model with its architecture")
        loaded = load_zoo(name)
        _require_equal(name, "shape", shape, loaded.shape)
        _require_equal(name, "classes", classes, loaded.classes)
        return loaded
    if is_factory(name):
        if arch is not None:
            raise Invalid("arch", arch, f"left out, as {name} is the architecture already")
        return _from_factory(name, shape, classes)
    raise _nothing_there(name, path)


def _nothing_there(name: str, path: Path) -> Exception:
    if name in ARCHITECTURES | DEFENCES:
        hint = f"{name} is an architecture: pass its weights, and --arch {name}"
        return Invalid("model", name, _FORMS, hint)
    folder, near = path.parent, []
    with contextlib.suppress(OSError):  # no such folder, or not ours to look into
        near = [p.name for p in folder.iterdir() if p.suffix in _SUFFIXES or _is_model(p)]
    hint = f"; in {folder.resolve()}: {closest(path.name, near)}" if near else ""
    return BadData(f"{path}: no such file or folder{hint}; a model is {_FORMS}")


def _is_model(folder: Path) -> bool:
    return (folder / "model.json").is_file()


def _from_factory(name: str, shape: Shape | None, classes: int | None) -> Loaded:
    size = None if shape is None else tuple(shape)
    given: dict[str, Any] = {"shape": size, "classes": classes}
    model = make_model(name, {k: v for k, v in given.items() if v is not None})
    if not isinstance(model, nn.Module):
        digest = str(getattr(model, "sha256", ""))
        return Loaded(model, name, name, getattr(model, "access", "scores"), digest, size, classes)
    return Loaded(model.eval(), name, name, "gradients", state_hash(model), size, classes)


def _from_folder(
    folder: Path, arch: str | None, shape: Shape | None, classes: int | None
) -> Loaded:
    weights, card_path = folder / "model.safetensors", folder / "model.json"
    for path in (weights, card_path):
        if not path.is_file():
            holds = f"{weights.name} and {card_path.name}"
            raise BadData(f"{folder}: no {path.name} in it; a model folder holds {holds}")
    card = read_card(card_path)
    if arch is None and card.arch not in ARCHITECTURES | DEFENCES:
        _refuse_arch(card_path, card)
    _require_equal(card_path, "shape", shape, card.shape)
    _require_equal(card_path, "classes", classes, card.classes)
    options = card.options if arch in (None, card.arch) else {}
    return _from_weights(
        weights, folder.resolve().name, arch or card.arch, card.shape, card.classes, options or None
    )


def _refuse_arch(path: Path, card: Card) -> None:
    if is_factory(card.arch):
        raise BadData(
            f"{path} names {card.arch}, which is code: it is not imported on a file's word. "
            f"If you trust it, say so with --arch {card.arch}"
        )
    raise BadData(
        f"{path}: arch = {card.arch!r} is not known; {closest(card.arch, ARCHITECTURES | DEFENCES)}"
    )


def _require_equal(path: Path | str, name: str, asked: object, found: object) -> None:
    if asked is not None and (tuple(asked) if isinstance(asked, Sequence) else asked) != found:
        raise BadData(f"{path}: the model has {name} {found}, but the data has {asked}")


def _from_file(path: Path, arch: str | None, shape: Shape | None, classes: int | None) -> Loaded:
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        if arch is not None:
            raise Invalid("arch", arch, "left out, as an ONNX file holds its architecture")
        return _from_onnx(path, shape, classes)
    if suffix == ".toml":
        if arch is not None:
            raise Invalid("arch", arch, "left out, as a service keeps its architecture to itself")
        return _from_service(path, shape, classes)
    if suffix in PICKLE_SUFFIXES:
        raise refuse_pickle(path)
    if suffix not in _SUFFIXES:
        raise BadData(f"{path}: not a model file; a model is {_FORMS}")
    return _from_weights(path, path.stem, arch, shape, classes, None)


def _from_onnx(path: Path, shape: Shape | None, classes: int | None) -> Loaded:
    from saddlepoint.models.onnx.load import load_onnx

    found = load_onnx(path, None if shape is None else tuple(shape))
    _require_equal(path, "classes", classes, found.classes)
    return Loaded(
        found.model,
        "onnx",
        path.stem,
        found.access,
        _sha256(path),
        found.shape,
        found.classes,
        found.note,
    )


def _from_service(path: Path, shape: Shape | None, classes: int | None) -> Loaded:
    from saddlepoint.models.service import load_service

    loaded = load_service(path)
    _require_equal(path, "shape", shape, loaded.shape)
    _require_equal(path, "classes", classes, loaded.classes)
    return loaded


def _from_weights(
    path: Path,
    name: str,
    arch: str | None,
    shape: Shape | None,
    classes: int | None,
    options: Mapping[str, Any] | None,
) -> Loaded:
    """Build ``arch`` and fill it; options that are None are read off the weights."""
    state = read_safetensors(path) if path.suffix.lower() == ".safetensors" else read_torch(path)
    if arch is None:
        fitting = " or ".join(architectures_for(state, shape, classes))
        hint = f"{path.name} fits {fitting}" if fitting else "it holds weights without architecture"
        known = ", ".join(ARCHITECTURES | DEFENCES)
        raise Invalid("arch", None, f"one of {known}, or package.module:factory", hint)
    if arch in ARCHITECTURES:
        options = infer(arch, state) if options is None else options
        shape, classes = completed(arch, shape, classes, options, state)
    if arch in ARCHITECTURES | DEFENCES:
        if options is None or shape is None or classes is None:
            hint = "weights alone do not say what is inside the defence"
            allowed = "left to a folder with model.safetensors and model.json"
            raise Invalid("arch", arch, allowed, hint)
        with torch.device("meta"):  # sizes first: a hostile file must not fill the memory
            _require_fit(path, arch, shape, classes, options, state)
    with torch.random.fork_rng(devices=[]):  # the initial values are thrown away
        model = build(arch, shape, classes, options)
    if arch not in ARCHITECTURES | DEFENCES and (problem := mismatch(model, state)):
        raise BadData(f"{path} does not fit {arch}: {problem}")
    given = None if shape is None else tuple(shape)
    return Loaded(fill(model, state), arch, name, "gradients", _sha256(path), given, classes)


def _require_fit(
    path: Path,
    arch: str,
    shape: Shape,
    classes: int,
    options: Mapping[str, Any],
    state: Mapping[str, Tensor],
) -> None:
    problem = mismatch(build(arch, shape, classes, options), state)
    if problem:
        fitting = [a for a in architectures_for(state, shape, classes) if a != arch]
        hint = f"; it fits --arch {' or '.join(fitting)}" if fitting else ""
        raise BadData(
            f"{path} does not fit {arch} with inputs {tuple(shape)} and {classes} classes: "
            f"{problem}{hint}"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
