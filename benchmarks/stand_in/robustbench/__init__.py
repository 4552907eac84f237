"""A stand-in for RobustBench 1.1.1, which needs torchvision and so cannot be imported here.

It has the calls that docs/coming-from/robustbench.md uses, with the arguments of the real package,
and digits, three times as wide and in three equal colours, for CIFAR-10.
"""

from .data import load_cifar10
from .eval import benchmark
from .utils import load_model

__all__ = ["benchmark", "load_cifar10", "load_model"]
