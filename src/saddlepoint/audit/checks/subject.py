"""Is the model what the audit takes it for: working, deterministic, alone with each sample?"""

from saddlepoint.audit.checks.finding import Finding
from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.stats import clopper_pearson

__all__ = [
    "batch_independence",
    "clean_accuracy",
    "finite",
    "input_range",
    "outputs",
    "training_mode",
    "unchanged",
]

_NARROW = 0.05  # share of the declared range that inputs should at least span


def clean_accuracy(e: Evidence) -> Finding:
    """Warn when the clean accuracy is not clearly better than guessing."""
    value, n = e.clean_accuracy, e.plan.n
    low, high = clopper_pearson(round(value * n), n, e.plan.confidence)
    said = f"{value:.1%} of {n} ({low:.1%} to {high:.1%}), guessing {1 / e.classes:.1%}"
    if e.notes.get("rejects"):
        said += f"; {int((e.prediction == e.classes - 1).sum())} inputs were rejected as they are"
    if low <= 1 / e.classes:
        return Finding(
            "clean accuracy",
            "warn",
            said,
            "too few samples, or too weak a model, to tell it from guessing",
            "audit more samples; check input range, label order and weights",
        )
    return Finding("clean accuracy", "ok", said, "the model works on unperturbed inputs")


def finite(e: Evidence) -> Finding:
    """Fail when scores or gradients were not finite."""
    rows = int((e.total("nonfinite") > 0).sum())
    if rows:
        return Finding(
            "finite answers",
            "fail",
            f"{rows} of {e.plan.n} samples met NaN or infinity",
            "where the model breaks down an attack is blind; such samples count as errors",
            "find the layer that overflows; scale the logits down",
        )
    return Finding("finite answers", "ok", "all", "scores and gradients were finite throughout")


def outputs(e: Evidence) -> Finding:
    """Fail when the model returns probabilities, which only ``force`` lets through."""
    if e.notes.get("probabilities"):
        return Finding(
            "outputs",
            "fail",
            "rows of scores lie in [0, 1] and sum to 1",
            "probabilities lose the gradient where the model is sure, so robust accuracy is "
            "overstated",
            "remove the final softmax, or return the logarithm of its output",
        )
    return Finding("outputs", "ok", "logits", "losses read the scores as they are meant to")


def input_range(e: Evidence) -> Finding:
    """Warn when inputs fill little of the declared range; those outside stop an audit at once."""
    box = getattr(e.plan.threat, "box", None)
    if box is None or "input_low" not in e.notes:
        return Finding(
            "input range", "inconclusive", "no range declared", "there is nothing to compare with"
        )
    low, high = e.notes["input_low"], e.notes["input_high"]
    said = f"{low:.4g} to {high:.4g} within [{box[0]:g}, {box[1]:g}]"
    if high - low < _NARROW * (box[1] - box[0]) < float("inf"):
        return Finding(
            "input range",
            "warn",
            said,
            "the inputs fill little of their range, so the radius is large beside them",
            "see that images are not divided by 255 twice; declare the true range as box=(low, "
            "high)",
        )
    return Finding("input range", "ok", said, "inputs lie where the threat model expects them")


def training_mode(e: Evidence) -> Finding:
    """Fail when layers stay in training mode after ``eval()``."""
    layers = int(e.notes.get("training", 0))
    if layers:
        return Finding(
            "training mode",
            "fail",
            f"{layers} modules stay in training mode after eval()",
            "dropout and batch statistics are still at work: not the model that will be used",
            "let train(mode) pass its argument on; export the model in eval mode",
        )
    return Finding("training mode", "ok", "eval", "the model was asked in eval mode")


def batch_independence(e: Evidence) -> Finding:
    """Fail when an answer depends on the other samples of its batch."""
    gap = e.notes.get("batch_gap", 0.0)
    # Draws of a randomised model differ as well: that is the matter of repeatability.
    if not gap <= max(1e-3, 3 * e.notes.get("repeat_gap", 0.0)):  # NaN is no small gap
        return Finding(
            "batch independence",
            "fail",
            f"scores move by {gap:.2g} of their size when a sample is asked about alone",
            "the verdict on a sample depends on its neighbours",
            "put batch normalisation into eval mode; remove operations across the batch",
        )
    return Finding("batch independence", "ok", f"{gap:.1g}", "each sample is judged by itself")


def unchanged(e: Evidence) -> Finding:
    """Fail when parameters or buffers changed while the model was only asked."""
    if e.model_changed:
        return Finding(
            "model unchanged",
            "fail",
            "hash differs",
            "its answers depend on earlier questions, so no result about it can be replayed",
            "find the layer that writes into a buffer in eval mode",
        )
    return Finding("model unchanged", "ok", "same hash", "the audit left no trace in the model")
