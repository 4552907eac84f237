"""Defensive distillation: a net that is taught another's soft labels at a high temperature."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import pieces
from saddlepoint.models.defences.fitting import Fitting

__all__ = ["distill"]


def distill(
    make: Callable[[], nn.Module],
    x: Tensor,
    y: Tensor,
    temperature: float = 100.0,
    fitting: Fitting | None = None,
) -> nn.Module:
    """Train a teacher, then a student of its soft labels, both at a temperature; use it at 1.

    Both nets minimise cross-entropy of softmax(z / T); the student's labels are softmax(z / T) of
    the teacher. Used at T = 1 its logits are T times too large, softmax rounds to 0 and 1, and its
    gradient to nothing: attacks on the softmax see a wall, attacks on the logits do not.

    make: returns an untrained net. x: (N, *F); y: (N,) classes. What comes back is an ordinary net
    of that architecture, to be saved and audited like any other.

    Source: Papernot et al., 1511.04508; fallen to Carlini and Wagner, 1608.04644.

    >>> x = torch.linspace(-1, 1, 64)[:, None]
    >>> net = distill(lambda: nn.Linear(1, 2), x, (x[:, 0] > 0).long(), 10.0, Fitting(lr=0.5))
    >>> net.training
    False
    """
    if not temperature >= 1:
        raise Invalid("temperature", temperature, "a number of at least 1", "the paper has 100")
    fitting = fitting or Fitting()
    teacher = fitting.classes(make(), x, y, temperature)
    with torch.no_grad():
        soft = torch.cat([(teacher(part) / temperature).softmax(1) for part in pieces(x, 1000)])
    return fitting.classes(make(), x, soft, temperature)
