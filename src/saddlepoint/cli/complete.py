"""What Tab offers for a value, with a line on each for the shells that show one.

Threat models and attacks are offered by name alone: unquoted brackets would be the shell's.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

__all__ = [
    "RECIPES",
    "arch_names",
    "attack_names",
    "data_names",
    "either",
    "loss_names",
    "recipe_names",
    "threat_names",
]

RECIPES = Path(__file__).parents[1] / "recipes"
Completion = Callable[[str], list[tuple[str, str]]]


def either(*names: str) -> Completion:
    """Offer fixed words.

    >>> either("quick", "standard", "thorough")("st")
    [('standard', '')]
    """
    return lambda incomplete: _starting(incomplete, dict.fromkeys(names, ""))


def threat_names(incomplete: str) -> list[tuple[str, str]]:
    """Offer threat models.

    >>> [name for name, _ in threat_names("Li")]
    ['Linf']
    """
    from saddlepoint.presets import THREATS

    return _starting(incomplete, _documented(THREATS))


def attack_names(incomplete: str) -> list[tuple[str, str]]:
    """Offer attacks."""
    from saddlepoint.presets import ATTACKS

    return _starting(incomplete, _documented(ATTACKS))


def loss_names(incomplete: str) -> list[tuple[str, str]]:
    """Offer objectives of training."""
    from saddlepoint.train import ROBUST_LOSSES

    return _starting(incomplete, dict.fromkeys(ROBUST_LOSSES, ""))


def arch_names(incomplete: str) -> list[tuple[str, str]]:
    """Offer architectures."""
    from saddlepoint.models import ARCHITECTURES, DEFENCES

    return _starting(incomplete, _documented(ARCHITECTURES | DEFENCES))


def data_names(incomplete: str) -> list[tuple[str, str]]:
    """Offer data sets; where none starts so, a shell goes on with files."""
    from saddlepoint.data import DATASETS

    return _starting(incomplete, dict.fromkeys(DATASETS, ""))


def recipe_names(incomplete: str) -> list[tuple[str, str]]:
    """Offer recipes.

    >>> [name for name, _ in recipe_names("di")]
    ['digits']
    """
    return _starting(
        incomplete, {p.stem: "" for p in sorted(RECIPES.glob("*.toml"), key=lambda p: p.stem)}
    )


def _documented(kinds: Mapping[str, object]) -> dict[str, str]:
    return {name: (kind.__doc__ or "").strip().split("\n")[0] for name, kind in kinds.items()}


def _starting(incomplete: str, known: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, about) for name, about in known.items() if name.startswith(incomplete)]
