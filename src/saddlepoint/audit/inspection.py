"""A look inside the model: its first filters, and what its loss is sensitive to.

Robust nets tend to have few, simple filters and gradients that trace the object; natural ones have
gradients that look like noise (arXiv:1805.12152, figure 2). Pictures for the report, never part of
the verdict, and never a reason for an audit to fail.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.samples import Samples
from saddlepoint.core.door import Door, Model
from saddlepoint.core.goal import Untargeted
from saddlepoint.core.interrupts import interrupts
from saddlepoint.core.loss import CrossEntropy

__all__ = ["first_filters", "inspection", "one_of_each"]

Array = np.ndarray[Any, Any]
FILTERS = 64
INPUTS = 8


def one_of_each(label: Array, count: int) -> Array:
    """Sample numbers, one class after another: they depend on labels only, so models compare.

    >>> one_of_each(np.array([3, 3, 1, 2, 1]), 4).tolist()
    [0, 1, 2, 3]
    """
    found = [np.flatnonzero(label == c)[:count] for c in np.unique(label)]
    rows = np.concatenate([*found, np.empty(0, dtype=np.int64)])
    turn = np.concatenate([np.arange(len(f)) for f in found] or [rows])
    return np.sort(rows[np.lexsort((rows, turn))[:count]])


def first_filters(model: Model) -> Array | None:
    """(F, C, h, w) weights of the first layer that has any, where it is a convolution of images.

    >>> first_filters(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(2, 2))).shape
    (4, 1, 3, 3)
    >>> first_filters(nn.Linear(2, 2)) is None
    True
    """
    modules = model.modules() if isinstance(model, nn.Module) else iter(())
    for module in modules:
        if next(module.parameters(recurse=False), None) is None:
            continue
        weight = module.weight if isinstance(module, nn.Conv2d) else None
        pictured = weight is not None and weight.shape[1] in (1, 3) and weight[0, 0].numel() > 1
        return (
            weight[:FILTERS].detach().float().cpu().numpy()
            if pictured and weight is not None
            else None
        )
    return None


def loss_gradient(door: Door, x: Tensor, y: Tensor) -> Tensor | None:
    """(B, *F) gradient of the cross-entropy at x; None where no gradient reaches the input."""
    with torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        # In float32 the softmax of a confident model rounds to one, and its gradient with it.
        loss = CrossEntropy()(door.search(leaf).double(), Untargeted(y.to(x.device)))
        if not loss.requires_grad:
            return None
        return torch.autograd.grad(loss.sum(), leaf)[0]


def inspection(e: Evidence, samples: Samples, door: Door) -> dict[str, Array]:
    """Arrays of ``inspection.npz``; empty where the weights are not the adversary's to see.

    filters: (F, C, h, w), where the first layer is a convolution. index, label, x, gradient: of a
    few inputs. note: why the gradient is missing, else empty.
    """
    if e.plan.access != "gradients":
        return {}
    filters = first_filters(door.model)
    found = {} if filters is None else {"filters": filters}
    rows = one_of_each(e.label, INPUTS)
    x, y = samples.batch(torch.from_numpy(rows))
    note = "no gradient of the loss reaches the input"
    try:
        with interrupts():
            gradient = loss_gradient(door, door.fit(x), y)
    except Exception as error:  # noqa: BLE001 - the model is foreign code, and this is a picture
        gradient, note = None, f"the gradient could not be taken: {error!r:.200}"
    if gradient is None:
        return {**found, "note": np.array(note)}
    return {
        **found,
        "note": np.array(""),
        "index": rows,
        "label": e.label[rows],
        "x": x.numpy().astype(np.float32),
        "gradient": gradient.detach().float().cpu().numpy(),
    }
