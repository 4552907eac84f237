"""One net of a study: which it is."""

from dataclasses import dataclass

__all__ = ["NARROWEST", "Cell"]

NARROWEST = 2


@dataclass(frozen=True)
class Cell:
    """One net of the study: ``multiplier`` times the narrowest net, under one ``training``.

    width: filters of the first convolution; the second has twice, the hidden layer 32 times as
    many, so that x1 has 2, 4 and 64 (1706.06083, section 4).

    >>> Cell(4, "pgd").width, Cell(4, "pgd").name
    (8, 'x4-pgd')
    """

    multiplier: int
    training: str

    @property
    def width(self) -> int:
        """Return the ``width`` option of ``madry-mnist``."""
        return NARROWEST * self.multiplier

    @property
    def name(self) -> str:
        """Return the name of its folder."""
        return f"x{self.multiplier}-{self.training}"
