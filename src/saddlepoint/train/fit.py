"""Whether the model and the plan fit, found out before any long work."""

import torch
from torch import Tensor, nn

from saddlepoint.core.answers import check_scores
from saddlepoint.core.door import Door
from saddlepoint.core.errors import Invalid
from saddlepoint.core.goal import Untargeted
from saddlepoint.core.search import check_inputs
from saddlepoint.train.bounded import live
from saddlepoint.train.certified import certifies
from saddlepoint.train.plan import TrainPlan
from saddlepoint.train.samples import Samples

__all__ = ["check_model"]


def check_model(plan: TrainPlan, model: nn.Module, samples: Samples) -> None:
    """Raise ``Invalid`` unless the model can be trained and answers two samples as planned.

    Raises ``Unsupported`` for one whose bounds are to be trained and are not known.
    """
    if not any(p.requires_grad for p in model.parameters()):
        raise Invalid("model", f"<{type(model).__name__}>", "a model with trainable parameters")
    few = samples.measured(2)
    with Door(model, verify=False) as door:
        x, goal = door.fit(few.x), Untargeted(few.y.to(door.device))
        check_inputs(x, goal, plan.threat)
        try:
            out = door.scores(x)
        except (RuntimeError, ValueError) as error:
            allowed = f"a model of inputs (B, {', '.join(map(str, plan.shape))})"
            raise Invalid("model", f"<{type(model).__name__}>", allowed, str(error)) from error
        _check_type(plan, model, few.x.to(door.device))
    check_scores(out, goal, len(x))
    if out.shape[1] != plan.classes:
        raise Invalid("classes", plan.classes, f"{out.shape[1]}, as many as the model's logits")
    if certifies(plan.objective):
        live(model, plan.shape)
    if not bool(out.isfinite().all()):
        raise Invalid("model", f"<{type(model).__name__}>", "one whose logits are finite")


def _check_type(plan: TrainPlan, model: nn.Module, x: Tensor) -> None:
    """Ask as a step does, which feeds float32; the model itself was fed what it is made of."""
    half = plan.precision == "bfloat16"
    try:
        with torch.no_grad(), torch.autocast(x.device.type, torch.bfloat16, enabled=half):
            model(x)
    except RuntimeError as error:
        kinds = sorted({str(p.dtype) for p in model.parameters()})
        allowed = "a model of float32 inputs, model.float()"
        raise Invalid("model", f"<weights in {', '.join(kinds)}>", allowed, str(error)) from error
