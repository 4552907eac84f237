"""Models of RobustBench's zoo by name, where that package is installed."""

import contextlib
import importlib
import importlib.util
import os
from collections.abc import Iterator
from pickle import UnpicklingError
from typing import Any

from torch import nn

from saddlepoint.core.door import state_hash
from saddlepoint.core.errors import BadData, Invalid, Missing, closest
from saddlepoint.models.loaded import Loaded

__all__ = ["is_zoo", "load_zoo"]

_SCHEME = "robustbench:"
_FORM = "robustbench:DATASET/THREAT/NAME, such as robustbench:cifar10/Linf/Carmon2019Unlabeled"
_INSTALL = (
    "pip install robustbench git+https://github.com/fra31/auto-attack (it needs torchvision and an "
    "old timm: an environment of its own is best)"
)
_DATA: dict[str, tuple[tuple[int, int, int], int]] = {
    "cifar10": ((3, 32, 32), 10),
    "cifar100": ((3, 32, 32), 100),
    "imagenet": ((3, 224, 224), 1000),
}
_THREATS = ("Linf", "L2", "corruptions")
_ONLY_TENSORS, _ANYTHING = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


def is_zoo(name: str) -> bool:
    """Tell whether ``name`` is one of RobustBench's.

    >>> is_zoo("robustbench:cifar10/Linf/Carmon2019Unlabeled"), is_zoo("mine.nets:small")
    (True, False)
    """
    return name.startswith(_SCHEME)


def load_zoo(name: str) -> Loaded:
    """Load ``robustbench:DATASET/THREAT/NAME`` by ``robustbench.utils.load_model``.

    DATASET, THREAT and NAME are RobustBench's own words, as its folder of downloads is laid out;
    it downloads to ``./models`` what is not there yet. The checkpoints are pickles that nobody
    signed: meanwhile ``torch.load`` takes tensors and plain containers and nothing else, whatever
    the package asks for; what is read in another way is not guarded. The architecture is code of
    the installed package.

    Raises ``Invalid`` for what cannot be, ``Missing`` without the package, ``BadData`` for a
    checkpoint that holds more than tensors, or that could not be fetched or read.
    """
    dataset, threat, model_name = _parts(name)
    utils = _package()
    try:
        with _tensors_only():
            model = utils.load_model(model_name, dataset=dataset, threat_model=threat)
    except UnpicklingError as error:
        raise BadData(
            f"{name}: its checkpoint holds more than tensors, and might run any code, so it was "
            "not read. If you trust it, load it with robustbench in a process of yours and save "
            "model.state_dict() with safetensors.torch.save_file"
        ) from error
    except Exception as error:
        if isinstance(error, KeyError) and error.args == (model_name,):
            raise _unknown(dataset, threat, model_name) from error
        said = f"{name}: robustbench could not load it: {type(error).__name__}: {error}"
        raise BadData(said) from error
    if not isinstance(model, nn.Module):
        raise BadData(f"{name}: robustbench returned a {type(model).__name__}, not a torch module")
    model.eval()
    shape, classes = _DATA[dataset]
    own = name.removeprefix(_SCHEME)
    return Loaded(model, "robustbench", own, "gradients", state_hash(model), shape, classes)


def _parts(name: str) -> tuple[str, str, str]:
    parts = name.removeprefix(_SCHEME).split("/")
    if len(parts) != 3 or not all(parts):
        raise Invalid("model", name, _FORM)
    for value, known in ((parts[0], tuple(_DATA)), (parts[1], _THREATS)):
        if value not in known:
            raise Invalid("model", name, _FORM, closest(value, known))
    return parts[0], parts[1], parts[2]


def _package() -> Any:  # noqa: ANN401 - somebody's module
    if importlib.util.find_spec("robustbench") is None:
        raise Missing("robustbench", None, _INSTALL)
    try:
        return importlib.import_module("robustbench.utils")
    except ImportError as error:
        raise Missing(f"what robustbench imports ({error})", None, _INSTALL) from error


def _unknown(dataset: str, threat: str, model_name: str) -> Invalid:
    """Say what the zoo has instead, as far as it says itself."""
    hint = ""
    with contextlib.suppress(ImportError, AttributeError, KeyError, ValueError):
        zoo = importlib.import_module("robustbench.model_zoo").model_dicts
        enums = importlib.import_module("robustbench.model_zoo.enums")
        known = zoo[enums.BenchmarkDataset(dataset)][enums.ThreatModel(threat)]
        hint = closest(model_name, known)
    return Invalid("model", model_name, f"a model of RobustBench's {dataset}/{threat}", hint)


@contextlib.contextmanager
def _tensors_only() -> Iterator[None]:
    """Let ``torch.load`` read tensors alone in here, whatever its caller asks for."""
    before = {name: os.environ.pop(name, None) for name in (_ONLY_TENSORS, _ANYTHING)}
    os.environ[_ONLY_TENSORS] = "1"
    try:
        yield
    finally:
        os.environ.pop(_ONLY_TENSORS)
        os.environ.update({k: v for k, v in before.items() if v is not None})
