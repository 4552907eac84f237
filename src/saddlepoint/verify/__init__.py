"""Bounds from above: what no member of a set can do, by certificate or at a stated confidence."""

from saddlepoint.verify.smoothing import ABSTAIN, Certified, Predicted, Smoothing

__all__ = ["ABSTAIN", "Certified", "Predicted", "Smoothing"]
