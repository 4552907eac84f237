"""What an audit will do, as frozen data: two audits with equal plans may share a folder."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch

from saddlepoint.core.access import Access, Attack, check_fit
from saddlepoint.core.door import Precision
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.threat import ThreatModel

__all__ = ["Plan"]


@dataclass(frozen=True)
class Plan:
    """Threat model, attacks in order, number of samples and seed.

    threat: the set around each sample. attacks: run one after another, each on what still stands.
    n: the first n samples. access: what the adversary may ask for. precision: of the search;
    breaks are confirmed in the model's own. confidence: of every interval. batch_size: rows per
    chunk; it changes memory and speed, not the verdicts.

    Raises ``Invalid`` and ``Unsupported`` at construction.

    >>> from saddlepoint import PGD, Linf
    >>> Plan(Linf(eps=0.1), (PGD(),), n=100).describe()["attacks"]
    ['PGD()']
    """

    threat: ThreatModel
    attacks: tuple[Attack[Any], ...]
    n: int
    seed: int = 0
    access: Access = "gradients"
    precision: Precision = "float32"
    confidence: float = 0.95
    batch_size: int = 128

    def __post_init__(self) -> None:
        for name in ("n", "batch_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise Invalid(name, value, "a whole number of at least 1")
        Draw.of(self.seed, torch.arange(0))  # refuses a bad seed
        if not 0 < self.confidence < 1:
            raise Invalid("confidence", self.confidence, "a number between 0 and 1")
        if self.precision not in ("float32", "bfloat16"):
            raise Invalid("precision", self.precision, "'float32' or 'bfloat16'")
        if not self.attacks:
            raise Invalid("attacks", self.attacks, "at least one attack")
        for attack in self.attacks:
            check_fit(attack, self.threat, self.access)

    def names(self) -> tuple[str, ...]:
        """One distinct name per attack: its text, numbered where it comes twice."""
        seen: Counter[str] = Counter()
        names = []
        for attack in self.attacks:
            text = repr(attack)
            seen[text] += 1
            names.append(text if seen[text] == 1 else f"{text} #{seen[text]}")
        return tuple(names)

    def describe(self) -> dict[str, Any]:
        """Return the plan as JSON, in the words that the command line takes."""
        return {
            "threat": repr(self.threat),
            "attacks": [repr(a) for a in self.attacks],
            "n": self.n,
            "seed": self.seed,
            "access": self.access,
            "precision": self.precision,
            "confidence": self.confidence,
            "batch_size": self.batch_size,
        }
