"""What is learnt about a model after its training, added to its ``model.json``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saddlepoint.core.errors import BadData
from saddlepoint.core.files import write_bytes

__all__ = ["record_audit"]


def record_audit(folder: Path, summary: Mapping[str, Any] | None) -> None:
    """Write an audit's summary into the ``model.json`` of a training run; None takes it out.

    summary: ``n``, ``split``, ``clean``, ``robust_at_most``, ``interval``, ``attacks``,
    ``findings`` (health checks that were not passed), ``folder``, ``seconds``. Raises ``BadData``
    where ``folder`` holds no finished run.
    """
    path = Path(folder) / "model.json"
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadData(f"{path} cannot be read: {error}") from error
    if not isinstance(card, dict) or card.get("status") != "complete":
        raise BadData(f"{path}: an audit belongs to a complete run; finish the training first")
    if card.pop("audit", None) is summary is None:
        return
    said = {} if summary is None else {"audit": dict(summary)}
    text = json.dumps({**card, **said}, indent=2) + "\n"
    write_bytes(path, text.encode())
