"""Ladders: attacks of one kind, each longer than the last and run on fewer samples."""

from dataclasses import dataclass
from typing import Any

from saddlepoint.core.access import Attack
from saddlepoint.core.errors import Invalid

__all__ = ["HALF", "Ladder"]

HALF = 0.5  # of a rung's survivors, the most vulnerable, meet the next rung


@dataclass(frozen=True)
class Ladder:
    """Rungs of one kind of attack; passes: what each costs on a sample that survives it.

    Successive halving (1502.07943): a sample that a short run brings near the boundary is worth a
    longer one. Rungs that double in length spend as much each, and together find what neither many
    short runs nor a few long ones do.

    >>> from saddlepoint import Square
    >>> Ladder((Square(100), Square(200)), (101, 201)).cost()
    201.5
    """

    rungs: tuple[Attack[Any], ...]
    passes: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.rungs or len(self.rungs) != len(self.passes):
            raise Invalid("rungs", f"<{len(self.rungs)}>", "at least one, each with its passes")

    def cost(self) -> float:
        """Passes per sample of the first rung, when nothing breaks on the way."""
        return sum(p * HALF**i for i, p in enumerate(self.passes))
