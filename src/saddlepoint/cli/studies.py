"""All experiments under the verb ``study``: importing a module adds its command."""

from types import ModuleType

from saddlepoint.cli import (
    study,
    study_arms,
    study_corruptions,
    study_eot,
    study_exact,
    study_spatial,
)

__all__ = ["EXPERIMENTS", "app"]

EXPERIMENTS: tuple[ModuleType, ...] = (
    study,
    study_exact,
    study_spatial,
    study_corruptions,
    study_arms,
    study_eot,
)
app = study.app
