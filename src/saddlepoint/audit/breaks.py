"""The witnesses of a run, as the journal keeps them: the first that broke each sample."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.journal import Journal
from saddlepoint.core.ledger import Status

__all__ = ["breaks", "witnesses"]

Array = np.ndarray[Any, Any]


def breaks(
    e: Evidence, journal: Journal, rounds: set[int] | None = None, what: str = "witness"
) -> Iterator[tuple[Array, Array]]:
    """Yield sample numbers and perturbed inputs of the first break of each sample.

    One chunk at a time, in order of rounds; ``rounds`` leaves out what other rounds broke.
    what: ``witness_u`` for the parameters in place of the inputs.
    """
    first = e.broken_by()
    for number in range(len(e.rounds)) if rounds is None else sorted(rounds):
        if not len(e.rounds[number].where(Status.BROKEN)):
            continue
        for record in journal.records(number):
            mine = first[record["witness_rows"]] == number
            if mine.any():
                yield record["witness_rows"][mine], record[what][mine]


def witnesses(
    e: Evidence, journal: Journal, rounds: set[int] | None = None
) -> Iterator[tuple[Array, Array]]:
    """Yield the same with inputs as floats in the input range."""
    for rows, x in breaks(e, journal, rounds):
        yield rows, x / np.float32(255) if x.dtype == np.uint8 else x.astype(np.float32)
