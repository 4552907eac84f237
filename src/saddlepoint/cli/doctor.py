"""The verb ``doctor``: what is installed here, and what is missing for what."""

import importlib.util
import os
import platform
from importlib import metadata
from pathlib import Path

from rich.table import Table
from rich.text import Text

from saddlepoint.cli.console import OUT

__all__ = ["EXTRAS", "doctor_command", "extras_of"]

# By extra: what it installs, as pip and Python name it, and what that is for.
EXTRAS: dict[str, tuple[dict[str, str], str]] = {
    "http": ({"httpx": "httpx", "jmespath": "jmespath"}, "models behind an HTTP endpoint"),
    "onnx": (
        {"onnx": "onnx", "onnxruntime": "onnxruntime"},
        "models from ONNX files and sessions",
    ),
    "environment": (
        {"kornia": "kornia"},
        "changes in environment: blur, fog, colour, perspective",
    ),
    "track": ({"tensorboard": "tensorboard"}, "training curves in TensorBoard"),
    "bench": (
        {"foolbox": "foolbox", "adversarial-robustness-toolbox": "art"},
        "peers for benchmarks/; torchattacks asks for torchvision, so it comes by "
        "pip install --no-deps torchattacks",
    ),
    "docs": (
        {"mkdocs-material": "material", "mkdocstrings": "mkdocstrings"},
        "this documentation, built from a clone",
    ),
}
_SHOWN = ("torch", "numpy", "scipy", "scikit-learn", "safetensors", "lightning-fabric")


def doctor_command() -> None:
    """Print versions, devices, data folders, and what each missing extra would add."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in (*_versions(), *_devices(), *_folders()):
        table.add_row(Text(name), Text(value))
    OUT.print(table)
    OUT.print()
    for name, (missing, purpose) in extras_of().items():
        said = (
            f"pip install 'saddlepoint[{name}]' adds {', '.join(missing)}" if missing else "there"
        )
        style = "yellow" if missing else "green"
        OUT.print(Text.assemble((f"{name}: {said}", style), f" ({purpose})"))


def extras_of() -> dict[str, tuple[list[str], str]]:
    """By extra: the packages that are missing, and what it is for.

    >>> sorted(extras_of()) == sorted(EXTRAS)
    True
    """
    return {
        name: ([p for p, m in packages.items() if importlib.util.find_spec(m) is None], purpose)
        for name, (packages, purpose) in EXTRAS.items()
    }


def _versions() -> list[tuple[str, str]]:
    found = [("saddlepoint", metadata.version("saddlepoint"))]
    found += [("python", f"{platform.python_version()} on {platform.platform()}")]
    return found + [(name, metadata.version(name)) for name in _SHOWN]


def _devices() -> list[tuple[str, str]]:
    import torch

    found = [("cpu", f"{os.cpu_count()} cores, {torch.get_num_threads()} threads for torch")]
    for i in range(torch.cuda.device_count()):
        free, total = (v / 2**30 for v in torch.cuda.mem_get_info(i))
        name = torch.cuda.get_device_name(i)
        found.append((f"cuda:{i}", f"{name}, {free:.0f} of {total:.0f} GiB free"))
    if not torch.cuda.is_available():
        found.append(("cuda", "no device that torch can use"))
    return found


def _folders() -> list[tuple[str, str]]:
    from saddlepoint.data import DATASETS, status
    from saddlepoint.data.places import cache_folder

    named = os.environ.get("SADDLEPOINT_DATA", "")
    there = "" if not named or Path(named).expanduser().is_dir() else ", which is no folder"
    cache = cache_folder()
    found = [
        ("SADDLEPOINT_DATA", f"{named}{there}" if named else "not set"),
        ("cache", f"{cache}{'' if cache.is_dir() else ' (not there yet)'}"),
    ]
    if there:
        return found
    known = [status(name) for name in DATASETS]
    ready = [s.name for s in known if s.ready]
    lacking = [s.name for s in known if not s.ready]
    fetch = f"; to fetch: {', '.join(f'saddlepoint data fetch {n}' for n in lacking)}"
    return [*found, ("data sets", ", ".join(ready) + (fetch if lacking else ""))]
