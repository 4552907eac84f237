"""For test suites: fail where a model is less robust than promised."""

from typing import Any

from saddlepoint.audit import Audit, audit
from saddlepoint.core.errors import Invalid

__all__ = ["assert_robust"]


def assert_robust(
    model: Any,  # noqa: ANN401 - whatever ``audit`` takes
    data: Any,  # noqa: ANN401
    threat: Any,  # noqa: ANN401
    at_least: float,
    *,
    certified: bool = False,
    **options: Any,  # noqa: ANN401
) -> Audit:
    """Audit a model and raise ``AssertionError`` where it withstands on too few samples.

    at_least: share of all samples in [0, 1]. certified: of samples that are proved robust (needs
    ``verify=`` among the options), instead of samples that nothing has broken. Samples on which an
    attack failed, and failed health checks, do not count as robustness: both raise as well.
    options: those of ``audit``. Returns the audit, for what else is to be asserted.

    >>> import torch
    >>> from saddlepoint import Linf
    >>> x = torch.tensor([[0.9, 0.1], [0.2, 0.7]])  # the larger number is the class
    >>> assert_robust(torch.nn.Identity(), (x, x.argmax(1)), Linf(eps=0.2), at_least=1.0)
    Audit(clean=1.0000, robust<=1.0000 [0.1581, 1.0000], n=2)
    """
    if isinstance(at_least, bool) or not 0 <= at_least <= 1:
        raise Invalid("at_least", at_least, "a share of the samples in [0, 1]")
    if certified and not options.get("verify"):
        raise Invalid(
            "verify", options.get("verify"), "given where certified=True: seconds, or True"
        )
    result = audit(model, data, threat, **options)
    errors = result.document["counts"]["error"]
    share = (
        result.certified_accuracy
        if certified
        else result.robust_accuracy - errors / result.evidence.n
    )
    failed = [f.check for f in result.findings if f.verdict == "fail"]
    if share < at_least or failed:
        raise AssertionError(_words(result, share, at_least, certified, failed))
    return result


def _words(result: Audit, share: float, at_least: float, certified: bool, failed: list[str]) -> str:
    what = "are proved robust" if certified else "withstood"
    under = result.document["threat"]["spec"]
    said = (
        f"{share:.2%} of {result.evidence.n} samples {what} under {under}, "
        f"at least {at_least:.2%} were promised"
    )
    if failed:
        said += f"; health checks failed: {', '.join(failed)}"
    if result.folder is not None:
        said += f"; see {result.folder}/report.html"
    return said
