"""Questions asked before any long work: can this model be audited at all?"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saddlepoint.audit.evidence import Evidence
from saddlepoint.audit.plan import Plan
from saddlepoint.audit.samples import Samples
from saddlepoint.core.access import SEEN
from saddlepoint.core.answers import check_scores
from saddlepoint.core.detected import against, refuse_rejecting, rejects
from saddlepoint.core.door import Door, Model
from saddlepoint.core.errors import Invalid, Unanswered, Unsound, Unsupported
from saddlepoint.core.goal import Untargeted
from saddlepoint.core.metered import is_metered
from saddlepoint.core.referee import batch_gap, repeat_gap
from saddlepoint.core.search import check_inputs

__all__ = ["first_look", "refuse_chance", "refuse_other_answers"]

LOOK = 32


def first_look(
    door: Door, plan: Plan, samples: Samples, force: bool = False
) -> tuple[Tensor, dict[str, float]]:
    """Ask about a few samples; return their scores and what was measured.

    Raises ``Invalid`` for inputs out of range, outputs of the wrong shape, outputs that are not
    finite or (unless ``force``) that are probabilities, and labels that the model has no class for.
    """
    if plan.n > len(samples):
        raise Invalid("n", plan.n, f"at most {len(samples)}, the number of samples there are")
    rows = torch.arange(min(LOOK, plan.n))
    x, y = samples.batch(rows)
    goal = Untargeted(y)
    check_inputs(x, goal, plan.threat[rows])
    x = door.fit(x)
    door.admit(x)
    try:
        out = door.scores(x)
    except (Unanswered, Unsound):
        raise
    except Exception as error:
        shape = "x".join(map(str, x.shape[1:]))
        raise Unsupported(
            f"the model failed on {len(x)} inputs of shape {shape}: {error}; does it belong to "
            "this data set?"
        ) from error
    check_scores(out, against(door.model, y.to(x.device)), len(x))
    target = getattr(plan, "target", None)
    if target is not None:
        refuse_rejecting(door.model, "a targeted audit")
        target.check(plan.n, out.shape[1])
    # Nobody climbs what the model returns; a curve always does.
    blind = getattr(plan, "access", SEEN[-1]) not in SEEN
    half = door.dtype in (torch.bfloat16, torch.float16)
    sums = _check_values(out, 2e-2 if half else 1e-3, force or blind)
    notes = {
        "probabilities": float(sums and not blind),
        "input_low": float(x.min()),
        "input_high": float(x.max()),
        "rejects": float(rejects(door.model)),
        "training": float(_in_training(door.model)),
    }
    return out, {**_gaps(door, x, out), **notes}


def _gaps(door: Door, x: Tensor, out: Tensor) -> dict[str, float]:
    """How much an answer depends on its batch, and on when it is given."""
    if is_metered(door.model):  # its ledger repeats itself, and each sample is asked about alone
        return {"batch_gap": 0.0, "repeat_gap": door.model.drift(x)}
    return {"batch_gap": batch_gap(door, x), "repeat_gap": repeat_gap(door, x, out)}


def _in_training(model: Model) -> int:
    """How many modules are in training mode although the door has put the model into eval mode."""
    return sum(m.training for m in model.modules()) if isinstance(model, nn.Module) else 0


def _check_values(out: Tensor, tol: float, force: bool) -> bool:
    """Refuse scores that no attack can work on; say whether they are probabilities."""
    if not bool(out.isfinite().all()):
        bad = int((~out.isfinite()).any(1).sum())
        raise Invalid(
            "model(x)", f"<not finite for {bad} of {len(out)} clean inputs>", "finite logits"
        )
    probabilities = bool((out >= 0).all()) and bool(((out.sum(1) - 1).abs() < tol).all())
    if probabilities and not force:
        raise Invalid(
            "model(x)",
            "<rows that sum to 1>",
            "logits, not probabilities",
            "remove the final softmax, or return the logarithm of its output: an attack on "
            "probabilities loses its gradients where the model is sure, and overstates robustness",
        )
    return probabilities


def refuse_other_answers(
    now: Tensor, then: "np.ndarray[Any, Any]", notes: dict[str, float], folder: Path | None
) -> None:
    """Raise ``Invalid`` where a run would go on with a model that answers otherwise.

    now, then: (n, K) scores of the same inputs. notes: of ``first_look``; a model that does not
    even repeat itself, or minds its neighbours, is not held to what it said.
    """
    said = now.float().cpu().numpy()
    gap = float(np.abs(said - then).max() / max(float(np.abs(said).max()), 1e-12))
    loose = notes["repeat_gap"] + notes["batch_gap"]
    if gap > 1e-2 and not loose > 1e-3:
        raise Invalid(
            "out",
            str(folder),
            "an empty folder or one with the same run",
            "the model there gave other scores to the same inputs: choose another --out",
        )


def refuse_chance(evidence: Evidence) -> None:
    """Raise ``Invalid`` when clean accuracy is no better than guessing: nothing to attack.

    The threshold is the chance level plus 1.64 standard errors; fewer than 20 samples cannot tell.
    """
    n, chance = evidence.plan.n, 1 / evidence.classes
    limit = chance + 1.64 * math.sqrt(chance * (1 - chance) / n)
    if n >= 20 and evidence.clean_accuracy <= limit:
        raise Invalid(
            "clean accuracy",
            f"<{evidence.clean_accuracy:.1%} of {n}>",
            f"better than guessing among {evidence.classes} classes",
            "check the input range, the normalisation, the order of the labels and the weights",
        )
