"""Models: reference nets, layers for their inputs, and loading without running foreign code."""

from saddlepoint.models.foreign import Arrays, Estimator, SessionScores, as_model
from saddlepoint.models.load import load_model
from saddlepoint.models.loaded import Loaded, Model
from saddlepoint.models.normalize import Normalize
from saddlepoint.models.preact_resnet18 import preact_resnet18
from saddlepoint.models.registry import ARCHITECTURES, DEFENCES, build
from saddlepoint.models.resnet9 import resnet9
from saddlepoint.models.save import save_model
from saddlepoint.models.seen import Seen
from saddlepoint.models.small import conv_medium, conv_small, madry_mnist, mlp
from saddlepoint.models.stem import ThresholdStem

__all__ = [
    "ARCHITECTURES",
    "DEFENCES",
    "Arrays",
    "Estimator",
    "Loaded",
    "Model",
    "Normalize",
    "Seen",
    "SessionScores",
    "ThresholdStem",
    "as_model",
    "build",
    "conv_medium",
    "conv_small",
    "load_model",
    "madry_mnist",
    "mlp",
    "preact_resnet18",
    "resnet9",
    "save_model",
]
