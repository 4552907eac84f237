"""From a model and a place to a learner: averaged, compiled, sharded, wrapped, in that order."""

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from saddlepoint.core.errors import Invalid
from saddlepoint.core.layout import laid_out
from saddlepoint.train.average import Average, masks
from saddlepoint.train.plan import TrainPlan
from saddlepoint.train.sharding import to_shard
from saddlepoint.train.step import Learner

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["assemble", "check_compiler"]


def assemble(
    plan: TrainPlan, model: nn.Module, few: Tensor, fabric: "Fabric", sharded: bool, compiled: bool
) -> Learner:
    """Return the learner of ``model``, which is moved to the device of ``fabric``.

    few: (B, *F), inputs that tell whether the model works in channels-last memory. Where weights
    are sharded a copy learns, and the model itself is filled after each epoch.
    """
    home = model.to(fabric.device)
    last = laid_out(home, few.to(fabric.device))
    bare = to_shard(home) if sharded else home
    mean = Average(bare, plan.ema) if plan.ema else None
    asked = cast(nn.Module, torch.compile(bare)) if compiled else bare
    wrapped = fabric.setup_module(asked)
    # Sharding replaces the weights: the optimizer comes after it.
    optimizer = _optimizer(plan, bare)
    there = home if sharded else None
    still = tuple(name for name, m in home.named_modules() if home.training and not m.training)
    fixed = masks(home)
    return Learner(plan, fabric, bare, asked, wrapped, optimizer, mean, there, last, still, fixed)


def _optimizer(plan: TrainPlan, model: nn.Module) -> torch.optim.Optimizer:
    weights = [p for p in model.parameters() if p.requires_grad]
    # One kernel for all weights; sharded ones and other devices take torch's own choice.
    plain = all(type(p) is nn.Parameter and p.device.type in ("cpu", "cuda") for p in weights)
    usual: dict[str, Any] = {
        "lr": plan.lr,
        "weight_decay": plan.weight_decay,
        "fused": True if plain else None,
    }
    if plan.optimizer == "adam":
        return torch.optim.Adam(weights, **usual)
    return torch.optim.SGD(weights, momentum=plan.momentum, **usual)


def check_compiler(device: torch.device) -> None:
    """Compile one addition; raise ``Invalid`` with the compiler's words where that fails."""

    def probe(x: Any) -> Any:  # noqa: ANN401
        return x + 1

    try:
        torch.compile(probe)(torch.zeros(2, device=device))
    except Exception as error:  # each backend has its own
        words = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        allowed = "False on this machine, which has no working compiler"
        raise Invalid("compiled", True, allowed, words) from error
