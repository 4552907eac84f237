"""Reading folders that somebody else may have written."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from saddlepoint.core.errors import BadData

__all__ = ["readable"]


@contextlib.contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Turn whatever goes wrong while a run's files are read into ``BadData`` that names it."""
    from safetensors import SafetensorError

    try:
        yield
    except FileNotFoundError as error:
        raise BadData(f"{folder} is no finished run: {error.filename} is missing") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise BadData(f"{folder} is no readable run: {type(error).__name__}: {error}") from error
