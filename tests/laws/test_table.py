"""Adding a component without a row in the table is an error."""

import dataclasses

import pytest

import saddlepoint
from saddlepoint.core.loss import LOSSES as NAMED
from tests import table


def is_component(part: object) -> bool:
    """A frozen class that is called (attack, loss, transform), a set, or a goal."""
    verbs = ("__call__", "project", "margin")
    return dataclasses.is_dataclass(part) and any(v in vars(part) for v in verbs)


def components() -> set[str]:
    """Public names that a row must hold."""
    public = {name: getattr(saddlepoint, name) for name in saddlepoint.__all__}
    return {name for name, part in public.items() if is_component(part)}


def test_every_public_component_has_a_row() -> None:
    assert components() - table.covered() == set()


def test_components_are_told_from_the_rest() -> None:
    assert {"PGD", "L1", "Quantize", "DLR", "Targeted", "Momentum"} <= components()
    assert not {"Found", "Budget", "Status", "search"} & components()


def test_every_public_name_exists() -> None:
    assert all(hasattr(saddlepoint, name) for name in saddlepoint.__all__)


def test_every_named_loss_has_a_row() -> None:
    assert set(NAMED) == set(table.LOSSES)


@pytest.mark.parametrize(
    "kind",
    ["THREATS", "COUNTS", "SETS", "VIEWS", "ATTACKS", "GRIDS", "SPARSE", "PARTED", "GOALS"],
)
def test_names_are_unique(kind: str) -> None:
    names = [row.name for row in getattr(table, kind)]
    assert len(names) == len(set(names))
