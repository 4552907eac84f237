"""Where training runs: one device, or one per process when started by torchrun."""

import os
from typing import TYPE_CHECKING

import torch

from saddlepoint.core.door import Precision
from saddlepoint.core.errors import Invalid

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["launch"]


def launch(device: str, precision: Precision) -> "Fabric":
    """Return a launched ``Fabric``.

    device: ``cpu``, ``cuda``, ``cuda:1``, ``mps`` or ``auto`` (an accelerator if there is one).
    Under ``torchrun`` each process takes its own device of that kind and gradients are averaged.
    Raises ``Invalid`` for a device that this machine does not have.
    """
    from lightning_fabric import Fabric

    place = _place(device)
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    nodes = int(os.environ.get("WORLD_SIZE", "1")) // local
    fabric = Fabric(
        accelerator=place.type,
        devices=local if place.index is None or local > 1 else [place.index],
        num_nodes=max(1, nodes),
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
    )
    fabric.launch()
    return fabric


def _place(device: str) -> torch.device:
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if device == "auto":
        return torch.device(next((k for k in ("cuda", "mps") if there[k]), "cpu"))
    try:
        place = torch.device(device)
    except RuntimeError:
        place = None
    allowed = "'auto' or one of " + ", ".join(repr(k) for k, has in there.items() if has)
    if place is None or not there.get(place.type, False):
        raise Invalid("device", device, allowed)
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise Invalid("device", device, f"one of {torch.cuda.device_count()} CUDA devices")
    return place
