"""Common corruptions: noise, blur, weather and processing that nobody chose against the model."""

from dataclasses import dataclass

from torch import Tensor

from saddlepoint.core.errors import Invalid, closest
from saddlepoint.threats.environment.axis import LEVEL, SEED, Axis
from saddlepoint.threats.environment.corruptions import CORRUPTIONS, Kind
from saddlepoint.threats.environment.environment import Environment

__all__ = ["Corruption"]


@dataclass(frozen=True, repr=False)
class Corruption(Environment):
    """{x under the corruption ``name``, of any severity up to this one and any random pattern}.

    u: (B, 1), the severity; of corruptions with a random pattern (B, 2), with the seed of the
    pattern, a whole number in [0, 65535]: an adversary may choose it, and a witness names it.
    Numbers at severities 1 to 5 are those of CIFAR-10-C, linear between, with lengths in proportion
    to the side; patterns are our own, and frost needs no photographs, so that accuracies cannot be
    compared with those on CIFAR-10-C or ImageNet-C. Differentiable in the severity.

    Source: Hendrycks and Dietterich, 1903.12261, section 4.1 and its appendix B.

    >>> import torch
    >>> x = torch.full((1, 1, 2, 2), 0.5)
    >>> Corruption("brightness", severity=3).apply(x, torch.tensor([[3.0]])).mean().item()
    0.6499999761581421
    """

    smallest = 1
    name: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name not in CORRUPTIONS:
            hint = closest(str(self.name), CORRUPTIONS)
            raise Invalid("name", self.name, "the name of a corruption", hint)

    @property
    def words(self) -> str:
        """The set in plain words."""
        said = f"the image may be corrupted by {self.name.replace('_', ' ')} up to {self.at_most}"
        return f"{said} of 5" + (", with any of 65,536 patterns" if self._kind.seeded else "")

    def tell(self, u: Tensor) -> list[str]:
        """Severity and pattern of each image."""
        named = self.name.replace("_", " ")
        said = [f"{named} of severity {s:.1f}" for s in u[:, 0].tolist()]
        if not self._kind.seeded:
            return said
        return [f"{text}, pattern {int(k)}" for text, k in zip(said, u[:, 1].tolist(), strict=True)]

    @property
    def _kind(self) -> Kind:
        return CORRUPTIONS[self.name]

    def axes(self) -> tuple[Axis, ...]:
        """Return the severity, and the pattern where there is one."""
        return (LEVEL, SEED) if self._kind.seeded else (LEVEL,)

    @property
    def counts(self) -> tuple[int, ...]:
        """Five severities, none and the largest among them, each with forty patterns."""
        return (5, 40) if self._kind.seeded else (21,)

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse what is no image, and single pixels where neighbours matter."""
        super().check(shape)
        if min(shape[1:]) < self._kind.smallest:
            allowed = f"of at least {self._kind.smallest} pixels on each side"
            raise Invalid("x", f"<images of shape {shape}>", allowed, f"{self.name} needs them")

    def render(self, x: Tensor, u: Tensor) -> Tensor:
        """Corrupt."""
        seeds = u[:, -1].detach().round().long()
        return self._kind.render(x, u[:, 0], seeds)
