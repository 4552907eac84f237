"""Load the model and the samples that a command names."""

import os
from dataclasses import dataclass

import torch
from rich.text import Text
from torch import nn

from saddlepoint.audit.samples import Samples
from saddlepoint.cli.console import OUT
from saddlepoint.core.access import Access
from saddlepoint.core.door import Model
from saddlepoint.core.errors import Invalid
from saddlepoint.data import load_data
from saddlepoint.models import load_model
from saddlepoint.train.device import processes

__all__ = ["Subject", "load_subject", "pick_device"]


@dataclass(frozen=True, eq=False)
class Subject:
    """A model on its device, and the samples to ask it about."""

    model: Model
    samples: Samples
    arch: str
    access: Access
    sha256: str


def pick_device(name: str | None) -> torch.device:
    """Return the named device, or a GPU where there is one; raises ``Invalid``.

    It has to have float64, in which breaks are judged.
    """
    if name is None:
        return _own(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    try:
        device = torch.device(name)
        device = _own(device) if torch.cuda.is_available() else device
        torch.zeros(1, device=device, dtype=torch.float64)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise Invalid("device", name, "a device of this machine, such as cpu", reason) from error
    return device


def _own(device: torch.device) -> torch.device:
    """Give each process of torchrun a GPU of its own, where none is named by number."""
    if processes() == 1 or str(device) != "cuda":
        return device
    return torch.device("cuda", int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())


def load_subject(
    model: str, arch: str | None, data: str, split: str, device: str | None
) -> Subject:
    """Load data first: its shape and number of classes complete an architecture."""
    where = pick_device(device)
    dataset = load_data(data)
    # A file knows its classes; data in which the highest class is absent does not.
    code = ":" in (arch or model)
    loaded = load_model(model, arch, dataset.shape, dataset.classes if code else None)
    if loaded.note:
        OUT.print(Text(f"note: {loaded.note}", style="yellow"))
    net = loaded.model.to(where) if isinstance(loaded.model, nn.Module) else loaded.model
    return Subject(net, dataset.split(split), loaded.arch, loaded.access, loaded.sha256)
