"""max, from below: algorithms that look for a witness, and know only a set's verbs."""

from saddlepoint.attacks.apgd import APGD
from saddlepoint.attacks.combine import Restarts, Sequence, Targets
from saddlepoint.attacks.frank_wolfe import FrankWolfe
from saddlepoint.attacks.guess import Guess
from saddlepoint.attacks.pgd import FGSM, PGD
from saddlepoint.attacks.polish import Polish
from saddlepoint.attacks.random_search import RandomSearch
from saddlepoint.attacks.square import Square
from saddlepoint.attacks.transform import Momentum, Transform
from saddlepoint.attacks.worst_of import WorstOf

__all__ = [
    "APGD",
    "FGSM",
    "PGD",
    "FrankWolfe",
    "Guess",
    "Momentum",
    "Polish",
    "RandomSearch",
    "Restarts",
    "Sequence",
    "Square",
    "Targets",
    "Transform",
    "WorstOf",
]
