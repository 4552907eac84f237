"""Models that are paid for by the question, such as one behind an API."""

import contextlib
from pathlib import Path
from typing import Any, Protocol, TypeGuard, runtime_checkable

from torch import Tensor

from saddlepoint.core.shapes import put

__all__ = ["LEDGER", "Metered", "attached", "is_metered", "spare"]

LEDGER = "queries.sqlite"  # in the folder of a run; others beside it begin with that name


@runtime_checkable
class Metered(Protocol):
    """A model that answers from a ledger what was asked before, and pays for the rest.

    Called like any model: x (B, *F) to scores (B, K).
    """

    def __call__(self, x: Tensor) -> Tensor:
        """Return the scores of a batch."""
        ...

    def attached(self, folder: Path | None) -> contextlib.AbstractContextManager[Any]:
        """Keep the ledger in this folder, where a later run finds it; None: in memory."""
        ...

    def drift(self, x: Tensor) -> float:
        """Largest relative change of an answer since it was given; asks about a few of x (B, *F).

        A ledger repeats itself whatever the model does, so this one asks anew.
        """
        ...

    def usage(self) -> dict[str, Any]:
        """Return what was asked and paid, as JSON."""
        ...

    def fresh(self) -> "Metered":
        """Return the same model without what the ledger knows."""
        ...


def is_metered(model: object) -> TypeGuard[Metered]:
    """Whether each question to the model is paid for.

    >>> is_metered(lambda x: x)
    False
    """
    return isinstance(model, Metered)


def attached(model: object, folder: Path | None) -> contextlib.AbstractContextManager[Any]:
    """Keep a metered model's ledger in the folder while the context lasts; others have none."""
    return model.attached(folder) if is_metered(model) else contextlib.nullcontext()


def spare(model: object, moved: Tensor, x: Tensor, asked: Tensor) -> Tensor:
    """Return moved (B, *F) with x, which has been asked about, where nobody waits for the answer.

    asked: (B,) bool. Closed rows stay in a batch until it is worth shrinking; they cost a machine
    little, and money where each question is paid for.
    """
    if bool(asked.all()) or not is_metered(model):
        return moved
    return put(asked, moved, x)
