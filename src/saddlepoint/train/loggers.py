"""Loggers by name or of the caller's own: whatever speaks as lightning-fabric's ``Logger`` does."""

import contextlib
import importlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from saddlepoint.core.errors import Invalid, Missing, closest

__all__ = ["LOGGERS", "Logger", "check_logger", "opened"]


@runtime_checkable
class Logger(Protocol):
    """The part of ``lightning_fabric.loggers.Logger`` that is asked; its subclasses all have it."""

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Record numbers by name."""
        ...

    def log_hyperparams(self, params: dict[str, Any]) -> None:
        """Record what the run was told."""
        ...

    def save(self) -> None:
        """Write what is waiting to be written."""
        ...

    def finalize(self, status: str) -> None:
        """End the log."""
        ...


def _tensorboard(folder: Path, purge: int | None) -> Any:  # noqa: ANN401 - a Logger
    from lightning_fabric.loggers.tensorboard import TensorBoardLogger

    more: dict[str, Any] = {} if purge is None else {"purge_step": purge}
    return TensorBoardLogger(folder, "tensorboard", "", **more)


def _csv(folder: Path, purge: int | None) -> Any:  # noqa: ANN401
    from lightning_fabric.loggers.csv_logs import CSVLogger

    return CSVLogger(folder, "csv")  # a version_0, version_1 … for each session


def _wandb(folder: Path, purge: int | None) -> Any:  # noqa: ANN401
    project = os.environ.get("WANDB_PROJECT", "saddlepoint")
    return _lightning().WandbLogger(name=_run_name(folder), save_dir=folder, project=project)


def _mlflow(folder: Path, purge: int | None) -> Any:  # noqa: ANN401
    return _lightning().MLFlowLogger(
        experiment_name=os.environ.get("MLFLOW_EXPERIMENT_NAME", "saddlepoint"),
        run_name=_run_name(folder),
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}"),
    )


_OPEN: dict[str, Callable[[Path, int | None], Any]] = {
    "tensorboard": _tensorboard,
    "csv": _csv,
    "wandb": _wandb,
    "mlflow": _mlflow,
}
LOGGERS = tuple(_OPEN)
# Lightning's loggers for services are fabric's Logger with a service behind it.
_HOSTED = ("wandb", "mlflow")
_LIGHTNING = ("pytorch_lightning", "lightning")


def check_logger(logger: Logger | str | None, folder: Path | str | None = ".") -> None:
    """Raise ``Invalid`` for what is no logger, ``Missing`` where its package is not installed.

    folder: where named loggers write; None: there is none.

    >>> check_logger("tensorbord")
    Traceback (most recent call last):
    saddlepoint.core.errors.Invalid: logger = 'tensorbord': must be tensorboard, csv, wandb, ...
    """
    allowed = f"{', '.join(LOGGERS)}, None, or a Logger of lightning-fabric"
    given: object = logger
    if isinstance(given, type):  # which has the methods that are looked for
        name = given.__name__
        raise Invalid("logger", f"<class {name}>", allowed, f"make one: {name}(…)")
    if logger is None or (not isinstance(logger, str) and isinstance(logger, Logger)):
        return
    if not isinstance(logger, str):
        raise Invalid("logger", type(logger).__name__, allowed)
    if logger not in LOGGERS:
        raise Invalid("logger", logger, allowed, closest(logger, LOGGERS))
    if folder is None:
        raise Invalid("logger", logger, "given with out", "it writes into the run's folder")
    _check_installed(logger)


def _check_installed(logger: str) -> None:
    if logger == "tensorboard" and find_spec("tensorboard") is None:
        raise Missing("tensorboard", "track")
    if logger in _HOSTED:
        line = f"pip install {logger} pytorch-lightning"
        if find_spec(logger) is None:
            raise Missing(logger, None, line)
        if not any(find_spec(name) for name in _LIGHTNING):
            raise Missing("pytorch-lightning, which has the logger,", None, line)
        try:  # starts nothing, and shows what else is missing before any work and not after it
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                _OPEN[logger](Path(folder), None)  # MLflow's makes its database at once
        except ImportError as error:
            raise Missing(f"what {logger}'s logger needs ({error})", None, line) from error


def _lightning() -> Any:  # noqa: ANN401 - a module
    if find_spec("pytorch_lightning"):
        return importlib.import_module("pytorch_lightning.loggers")
    return importlib.import_module("lightning.pytorch.loggers")


def _run_name(folder: Path) -> str:
    """The last two parts of the folder: robust, robust/audit."""
    return "/".join(folder.resolve().parts[-2:])


@contextlib.contextmanager
def opened(
    logger: Logger | str,
    folder: Path,
    params: Mapping[str, Any] | None = None,
    purge: int | None = None,
) -> Iterator[Any]:
    """Open a logger by name in ``folder``, and end its log afterwards; the caller's stays open.

    params: what the run was told, for loggers that record that. purge: the first step that is
    logged anew, for TensorBoard, which drops what an earlier session logged from there on. A
    service learns its project, address and key from its own environment variables; each session
    is a run of its own there, named after the folder.
    """
    writer: Any = _OPEN[logger](folder, purge) if isinstance(logger, str) else logger
    try:
        if params is not None and logger != "tensorboard":  # which draws them as one more chart
            with contextlib.suppress(NotImplementedError):  # fabric's CSVLogger
                writer.log_hyperparams(dict(params))
        yield writer
    except BaseException:
        with contextlib.suppress(Exception):  # the first error is the one to tell
            _end(writer, logger, "failed")
        raise
    _end(writer, logger, "success")


def _end(writer: Any, logger: Logger | str, status: str) -> None:  # noqa: ANN401
    try:
        writer.save()
    finally:
        try:
            if isinstance(logger, str):
                writer.finalize(status)
        finally:
            if logger == "wandb":  # which would take the next run of this process for this one
                writer.experiment.finish()
