"""Every function of one element, by name."""

from typing import Any

import torch

from saddlepoint.verify.operators import smooth
from saddlepoint.verify.operators.piecewise import Bend, Clip

__all__ = ["ELEMENTS"]

ELEMENTS: dict[str, Any] = {
    "relu": Bend(),
    "leaky": Bend(0.1, 1.0),
    "leaky-negative": Bend(-0.5, 1.0),
    "abs": Bend(-1.0, 1.0),
    "clip": Clip(-0.5, 1.0),
    "clip-below": Clip(0.3, torch.inf),
    "clip-above": Clip(-torch.inf, 0.3),
    "clip-point": Clip(0.3, 0.3),
    "sigmoid": smooth.SIGMOID,
    "tanh": smooth.TANH,
    "erf": smooth.ERF,
    "softsign": smooth.SOFTSIGN,
    "softplus": smooth.SOFTPLUS,
    "silu": smooth.SILU,
    "mish": smooth.MISH,
    "gelu": smooth.GELU,
    "tanh-gelu": smooth.TANH_GELU,
    "hardswish": smooth.HARDSWISH,
    "square": smooth.SQUARE,
    "elu": smooth.elu(1.0),
    "elu-flat": smooth.elu(0.3),
    "elu-steep": smooth.elu(3.0),
    "elu-negative": smooth.elu(-0.5),
}
