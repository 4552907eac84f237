"""What continuing a run needs, taken from the learner and put back."""

import copy
from collections.abc import Mapping
from typing import Any

from saddlepoint.train.sharding import apart, apart_optimizer, whole
from saddlepoint.train.step import Learner

__all__ = ["put_back", "taken"]


def taken(learner: Learner) -> Mapping[str, Any]:
    """Return a copy of the state, in the format of one process; every process has to ask."""
    state = {"model": learner.bare.state_dict(), "optimizer": learner.optimizer.state_dict()}
    if learner.mean is not None:
        state["ema"] = learner.mean.state_dict()
    return copy.deepcopy(whole(state) if learner.sharded else state)


def put_back(learner: Learner, state: Mapping[str, Any]) -> None:
    """Load what ``taken`` returned; the copy stays as it is."""
    model, optimizer = state["model"], copy.deepcopy(state["optimizer"])
    if learner.sharded:
        model, optimizer = apart(model, learner.bare), apart_optimizer(optimizer, learner.optimizer)
    for saved, here in zip(optimizer["param_groups"], learner.optimizer.param_groups, strict=True):
        saved["fused"] = here["fused"]  # what this device can do, not the one before
    learner.bare.load_state_dict(model)
    learner.optimizer.load_state_dict(optimizer)
    if learner.mean is not None:
        learner.mean.load_state_dict(state["ema"])
