"""An audit's headline numbers, by name, as loggers and dashboards take them."""

import warnings
from pathlib import Path

from saddlepoint.audit.result import Audit
from saddlepoint.core.interrupts import interrupts
from saddlepoint.train.loggers import Logger, opened

__all__ = ["headline", "log_audit"]


def headline(result: Audit) -> dict[str, float]:
    """Return the numbers of an audit by name, all shares of its samples.

    ``robust_accuracy`` is the upper bound with its interval ``_low`` and ``_high``;
    ``certified_accuracy`` is there where something was to be proved, ``error`` where attacks failed
    on samples, which ``robust_accuracy`` counts as unbroken.

    >>> import torch
    >>> from saddlepoint import FGSM, Linf, audit
    >>> x = torch.tensor([[0.9, 0.1], [0.2, 0.7]])
    >>> headline(audit(torch.nn.Identity(), (x, x.argmax(1)), Linf(eps=0.3), (FGSM(),)))
    {'clean_accuracy': 1.0, 'robust_accuracy': 0.5, 'robust_accuracy_low': ...}
    """
    low, high = result.interval
    said = {
        "clean_accuracy": result.clean_accuracy,
        "robust_accuracy": result.robust_accuracy,
        "robust_accuracy_low": low,
        "robust_accuracy_high": high,
    }
    if result.evidence.proofs is not None:
        said["certified_accuracy"] = result.certified_accuracy
    if errors := result.document["counts"]["error"]:
        said["error"] = errors / result.evidence.n
    return said


def log_audit(result: Audit, logger: Logger | str | None) -> Audit:
    """Log the headline as ``audit/NAME``, once, and return the audit.

    A logger that fails is warned of: the work of hours is not given up for it.
    """
    if logger is not None:
        try:
            with interrupts():
                _log(result, logger)
        except Exception as error:  # noqa: BLE001 - a service may raise anything
            said = f"the audit is done, but was not logged: {type(error).__name__}: {error}"
            warnings.warn(said, stacklevel=3)
    return result


def _log(result: Audit, logger: Logger | str) -> None:
    folder = Path() if result.folder is None else result.folder
    told = {"threat": result.document["threat"]["spec"], "n": result.evidence.n}
    with opened(logger, folder, told | {"model": result.document["model"]["spec"]}) as writer:
        writer.log_metrics({f"audit/{k}": v for k, v in headline(result).items()}, 0)
