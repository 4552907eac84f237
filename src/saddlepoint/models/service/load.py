"""From a TOML file to a model."""

from pathlib import Path

from saddlepoint.core.errors import BadData, Missing
from saddlepoint.models.loaded import Loaded
from saddlepoint.models.service.service import Service
from saddlepoint.models.service.settings import read_endpoint

__all__ = ["load_service", "open_service"]


def open_service(path: str | Path) -> Service:
    """Return the model that a TOML file describes; see ``docs/service.md`` for its keys.

    Raises ``BadData`` that names file and key for what cannot be, also for environment variables
    that are missing, and ``Missing`` without the extra ``http``.
    """
    try:
        import httpx  # noqa: F401 - the courier needs it, and could only say so late
    except ImportError as error:
        raise Missing("httpx", "http") from error
    path = Path(path).expanduser()
    if not path.is_file():
        raise BadData(f"{path}: no such file; an endpoint is described in a TOML file")
    return Service(read_endpoint(path), str(path))


def load_service(path: Path) -> Loaded:
    """Load the service as any model is; its hash is that of question and answer."""
    model = open_service(path)
    said = model.endpoint
    return Loaded(
        model,
        "service",
        path.stem,
        model.access,
        model.sha256,
        said.shape,
        said.n_classes,
        model.note,
    )
