"""What the JSON of every finished run says first."""

import datetime
from collections.abc import Mapping
from importlib import metadata
from typing import Any

__all__ = ["heading"]


def heading(schema_version: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return versions, time, and the model and the data that ``said`` names.

    >>> sorted(heading("1.0", {"model": {}, "data": {}}))
    ['created', 'data', 'model', 'saddlepoint', 'schema_version', 'status']
    """
    return {
        "schema_version": schema_version,
        "status": "complete",
        "saddlepoint": metadata.version("saddlepoint"),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "model": said["model"],
        "data": said["data"],
    }
