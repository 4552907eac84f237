"""max, from below: algorithms that look for a witness, and know only a set's verbs."""

from saddlepoint.attacks.apgd import APGD
from saddlepoint.attacks.bisect import Bisect
from saddlepoint.attacks.boundary_attack import Boundary
from saddlepoint.attacks.carlini_wagner import CW, CWLinf
from saddlepoint.attacks.carlini_wagner_l0 import CWL0
from saddlepoint.attacks.combine import Restarts, Sequence, Targets
from saddlepoint.attacks.ddn import DDN
from saddlepoint.attacks.deepfool import DeepFool
from saddlepoint.attacks.elastic_net import EAD
from saddlepoint.attacks.fab import FAB
from saddlepoint.attacks.fmn import FMN
from saddlepoint.attacks.frank_wolfe import FrankWolfe
from saddlepoint.attacks.geoda import GeoDA
from saddlepoint.attacks.grid import Grid
from saddlepoint.attacks.guess import Guess
from saddlepoint.attacks.hop_skip_jump import HopSkipJump
from saddlepoint.attacks.jsma import JSMA
from saddlepoint.attacks.lagrangian import Lagrangian
from saddlepoint.attacks.one_pixel import OnePixel
from saddlepoint.attacks.parts import Each, PartOf
from saddlepoint.attacks.pdpgd import PDPGD
from saddlepoint.attacks.pgd import FGSM, PGD
from saddlepoint.attacks.polish import Polish
from saddlepoint.attacks.random_search import RandomSearch
from saddlepoint.attacks.rays import RayS
from saddlepoint.attacks.refine import Refine
from saddlepoint.attacks.sigma_zero import SigmaZero
from saddlepoint.attacks.square import Square
from saddlepoint.attacks.transform import Momentum, Transform
from saddlepoint.attacks.worst_of import WorstOf

__all__ = [
    "APGD",
    "CW",
    "CWL0",
    "DDN",
    "EAD",
    "FAB",
    "FGSM",
    "FMN",
    "JSMA",
    "PDPGD",
    "PGD",
    "Bisect",
    "Boundary",
    "CWLinf",
    "DeepFool",
    "Each",
    "FrankWolfe",
    "GeoDA",
    "Grid",
    "Guess",
    "HopSkipJump",
    "Lagrangian",
    "Momentum",
    "OnePixel",
    "PartOf",
    "Polish",
    "RandomSearch",
    "RayS",
    "Refine",
    "Restarts",
    "Sequence",
    "SigmaZero",
    "Square",
    "Targets",
    "Transform",
    "WorstOf",
]
