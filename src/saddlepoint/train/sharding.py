"""Fully sharded data-parallel training: each process keeps its part of every weight (2304.11277).

A weight is put together where a layer is asked and taken apart again; its gradient is averaged and
handed out in parts. The optimizer sees parts only. What is saved is whole, in the format of one
process, so that a run may be continued with another number of processes or another strategy.
"""

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from saddlepoint.attacks import FGSM, PGD
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.train.losses import MART, TRADES, Madry, Natural
from saddlepoint.train.plan import TrainPlan
from saddlepoint.train.single_step import NFGSM

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

__all__ = ["apart", "apart_optimizer", "check_sharded", "parts_of", "shard", "to_shard", "whole"]

# Their passes are the same in number and order in every process, whatever the samples: each pass
# puts weights together, and waits for all.
_ATTACKS = (FGSM, PGD, NFGSM)
_OBJECTIVES = (Natural, Madry, TRADES, MART)


def check_sharded(plan: TrainPlan, compiled: bool) -> None:
    """Raise ``Invalid`` for what sharding is not known to do right, ``Unsupported`` by old torch.

    >>> from saddlepoint import Linf
    >>> plan = TrainPlan(arch="mlp", shape=(4,), classes=2, threat=Linf(eps=0.1), loss="awp")
    >>> check_sharded(plan, compiled=False)
    Traceback (most recent call last):
    saddlepoint.core.errors.Invalid: loss = AWP(Madry()): must be natural, madry, trades or mart ...
    """
    among = "with strategy='fsdp'"
    if plan.ema:
        raise Invalid("ema", plan.ema, f"0 {among}")
    if compiled:
        raise Invalid("compiled", compiled, f"False {among}")
    if not isinstance(plan.objective, _OBJECTIVES):
        raise Invalid("loss", plan.objective, f"natural, madry, trades or mart {among}")
    if not isinstance(plan.attack, _ATTACKS):
        raise Invalid("attack", plan.attack, f"PGD, FGSM or NFGSM {among}")
    from torch.distributed import fsdp

    if not hasattr(fsdp, "fully_shard"):
        raise Unsupported(f"strategy='fsdp' needs torch 2.6 or newer; this is {torch.__version__}")


def to_shard(model: nn.Module) -> nn.Module:
    """Return a copy that may be sharded; the model itself stays whole, to be measured and kept."""
    return copy.deepcopy(model).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload, no-any-return]


def shard(model: nn.Module, mesh: "DeviceMesh") -> nn.Module:
    """Split the weights in place, by parts of the model that are put together one at a time.

    The parts are the direct children that are called as such; a model with tied weights is one
    part. All processes start from the weights of the first.
    """
    from torch.distributed.fsdp import fully_shard

    for tensor in (*model.parameters(), *model.buffers()):
        torch.distributed.broadcast(tensor.detach(), 0)
    line = mesh["data_parallel"]
    for part in parts_of(model):
        fully_shard(part, mesh=line)
    fully_shard(model, mesh=line)
    return model


def parts_of(model: nn.Module) -> list[nn.Module]:
    """Return the children that hold weights of their own, and of nobody else.

    >>> len(parts_of(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))))
    2
    >>> same = nn.Linear(2, 2)
    >>> parts_of(nn.Sequential(same, nn.ReLU(), same))
    []
    """
    if len(list(model.parameters())) != len(list(model.named_parameters(remove_duplicate=False))):
        return []
    callable_ = (c for c in model.children() if not isinstance(c, nn.ModuleList | nn.ModuleDict))
    return [c for c in callable_ if next(c.parameters(), None) is not None]


def whole(state: Any) -> Any:  # noqa: ANN401 - a state dict, or a value in one
    """Return a state dict with its shards put together, on the CPU; every process has to ask."""
    if isinstance(state, Mapping):
        return {name: whole(value) for name, value in state.items()}
    if isinstance(state, Tensor):
        return getattr(state, "full_tensor", lambda: state)().detach().cpu()
    return state


def apart(state: Mapping[str, Any], model: nn.Module) -> dict[str, Any]:
    """Return a model's whole state dict as the shards that ``model`` holds."""
    return {name: _like(value, state[name]) for name, value in model.state_dict().items()}


def apart_optimizer(state: Mapping[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return an optimizer's whole state dict with shards where its weights are sharded."""
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    split = {
        k: {name: _like(weights[k], value) for name, value in values.items()}
        for k, values in state["state"].items()
    }
    return {**copy.deepcopy(dict(state)), "state": split}


def _like(part: Tensor, value: Any) -> Any:  # noqa: ANN401
    """``value``, split like ``part`` where it has one entry for each of its."""
    mesh = getattr(part, "device_mesh", None)
    if mesh is None or not isinstance(value, Tensor) or value.shape != part.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(mesh.device_type), mesh, part.placements)  # type: ignore[attr-defined]
