"""max, from below: algorithms that look for a witness, and know only a set's verbs."""

from saddlepoint.attacks.apgd import APGD
from saddlepoint.attacks.bandits import Bandits
from saddlepoint.attacks.bisect import Bisect
from saddlepoint.attacks.boundary_attack import Boundary
from saddlepoint.attacks.carlini_wagner import CW, CWLinf
from saddlepoint.attacks.carlini_wagner_l0 import CWL0
from saddlepoint.attacks.combine import Restarts, Sequence, Targets
from saddlepoint.attacks.ddn import DDN
from saddlepoint.attacks.deepfool import DeepFool
from saddlepoint.attacks.earlier import Earlier
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
from saddlepoint.attacks.nes import NES
from saddlepoint.attacks.noisy import NoisyPGD
from saddlepoint.attacks.one_pixel import OnePixel
from saddlepoint.attacks.parsimonious import Parsimonious
from saddlepoint.attacks.parts import Each, PartOf
from saddlepoint.attacks.pdpgd import PDPGD
from saddlepoint.attacks.pgd import FGSM, PGD
from saddlepoint.attacks.polish import Polish
from saddlepoint.attacks.prior_guided import PriorGuided
from saddlepoint.attacks.random_search import RandomSearch
from saddlepoint.attacks.rays import RayS
from saddlepoint.attacks.refine import Refine
from saddlepoint.attacks.sigma_zero import SigmaZero
from saddlepoint.attacks.sign_hunter import SignHunter
from saddlepoint.attacks.simba import SimBA
from saddlepoint.attacks.spsa import SPSA
from saddlepoint.attacks.square import Square
from saddlepoint.attacks.transfer import Transfer
from saddlepoint.attacks.transform import Momentum, Smooth, Transform
from saddlepoint.attacks.worst_of import WorstOf
from saddlepoint.attacks.zoo import ZOO

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
    "NES",
    "PDPGD",
    "PGD",
    "SPSA",
    "ZOO",
    "Bandits",
    "Bisect",
    "Boundary",
    "CWLinf",
    "DeepFool",
    "Each",
    "Earlier",
    "FrankWolfe",
    "GeoDA",
    "Grid",
    "Guess",
    "HopSkipJump",
    "Lagrangian",
    "Momentum",
    "NoisyPGD",
    "OnePixel",
    "Parsimonious",
    "PartOf",
    "Polish",
    "PriorGuided",
    "RandomSearch",
    "RayS",
    "Refine",
    "Restarts",
    "Sequence",
    "SigmaZero",
    "SignHunter",
    "SimBA",
    "Smooth",
    "Square",
    "Targets",
    "Transfer",
    "Transform",
    "WorstOf",
]
