"""Where training runs: one device, or one per process when started by torchrun."""

import atexit
import contextlib
import logging
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from saddlepoint.core.door import Precision
from saddlepoint.core.errors import Invalid, closest

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["STRATEGIES", "hardware", "launch", "processes"]

STRATEGIES = ("auto", "ddp", "fsdp")
_TALKERS = ("rank_zero", "distributed")


def rank() -> int:
    """Return which of the processes of torchrun this is; 0 without it.

    >>> rank()
    0
    """
    return int(os.environ["RANK"]) if processes() > 1 else 0


def processes() -> int:
    """Return how many processes torchrun started in all; 1 without it.

    >>> processes()
    1
    """
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def launch(device: str, precision: Precision, strategy: str = "auto") -> "Fabric":
    """Return a launched ``Fabric``.

    device: ``cpu``, ``cuda``, ``cuda:1`` or ``auto`` (a GPU if there is one).
    Under ``torchrun`` each process takes its own device of that kind. strategy: ``auto`` and
    ``ddp``: every process holds the model, gradients are averaged (2006.15704); ``fsdp``: weights,
    gradients and optimizer state are split between them (2304.11277; see ``sharding``). Raises
    ``Invalid`` for a device that this machine does not have, and for ``fsdp`` in one process.
    """
    from lightning_fabric import Fabric

    if strategy not in STRATEGIES:
        raise Invalid("strategy", strategy, "one of auto, ddp, fsdp", closest(strategy, STRATEGIES))
    place, world = _place(device), processes()
    local = int(os.environ["LOCAL_WORLD_SIZE"]) if world > 1 else 1
    if world > 1 and place.type == "mps":
        raise Invalid("device", device, "cpu or cuda in several processes")
    with _quiet():
        fabric = Fabric(
            accelerator=place.type,
            devices=local if place.index is None or world > 1 else [place.index],
            num_nodes=world // local,
            strategy=_strategy(strategy, world),
            precision="bf16-mixed" if precision == "bfloat16" else "32-true",
        )
        fabric.launch()
    if world > 1:
        atexit.register(_part)
    return fabric


def _part() -> None:
    """Leave the other processes; gloo's threads, left running at exit, can abort the process."""
    import torch.distributed

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _strategy(name: str, world: int) -> Any:  # noqa: ANN401 - a name, or an object of Fabric
    if name != "fsdp":
        return "ddp" if world > 1 else "auto"
    if world == 1:
        hint = "a single process has nobody to share with: torchrun --nproc-per-node N starts more"
        raise Invalid("strategy", name, "'auto' in one process", hint)
    from lightning_fabric.strategies.model_parallel import ModelParallelStrategy

    from saddlepoint.train.sharding import shard

    return ModelParallelStrategy(shard, data_parallel_size=world, tensor_parallel_size=1)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let Fabric start without telling what the plan says already; warnings still come through."""
    names = ["lightning_utilities.core.rank_zero"]
    names += [f"lightning_fabric.utilities.{name}" for name in _TALKERS]
    talkers = [logging.getLogger(name) for name in names]

    def matters(record: logging.LogRecord) -> bool:
        return record.levelno > logging.INFO

    for talker in talkers:
        talker.addFilter(matters)
    try:
        yield
    finally:
        for talker in talkers:
            talker.removeFilter(matters)


def _place(device: str) -> torch.device:
    there = {"cpu": True, "cuda": torch.cuda.is_available()}
    if device == "auto":
        return torch.device("cuda" if there["cuda"] else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError:
        place = None
    allowed = "'auto' or one of " + ", ".join(repr(k) for k, has in there.items() if has)
    if place is None or not there.get(place.type, False):
        # Members of a set and margins are told in float64, which Apple's GPUs do not have.
        hint = "mps has no float64" if device.startswith("mps") else ""
        raise Invalid("device", device, allowed, hint)
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise Invalid("device", device, f"one of {torch.cuda.device_count()} CUDA devices")
    return place


def hardware(
    device: str = "cpu", strategy: str = "auto", compiled: bool = False
) -> dict[str, object]:
    """Return what training runs on, for the model card; the arguments are those of ``train``.

    ``device`` is the kind that ``auto`` comes to; ``gpu`` is None unless that is cuda, however many
    GPUs the machine has. Raises ``Invalid`` for a device that this machine does not have.

    >>> found = hardware("cpu")
    >>> found["device"], found["gpu"], found["processes"], found["compiled"]
    ('cpu', None, 1, False)
    """
    place = _place(device)
    return {
        "cpu": _cpu(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name(place.index) if place.type == "cuda" else None,
        "device": place.type,
        "processes": processes(),
        "strategy": strategy,
        "compiled": compiled,
    }


def _cpu() -> str:
    """The processor's name; Linux tells it in a file only."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        if names:
            return names[0]
    return platform.processor() or platform.machine()
