"""A step in an Linf ball looks at no value of a tensor: on a GPU the program would wait for it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from saddlepoint import FGSM
from saddlepoint.core.errors import Invalid
from saddlepoint.train import AWP, IBP, MART, NFGSM, TRADES, Madry, train
from saddlepoint.train.known import Known
from saddlepoint.train.step import Learner
from tests.train.kit import Digits, MakeNet, MakePlan

LOOKS = ("_local_scalar_dense", "nonzero", "masked_select")  # and picking rows by a mask


class Looks(TorchDispatchMode):
    """Notes what needs a value before the program can go on; ``count`` is on the CPU anyway."""

    def __init__(self, count: torch.Tensor | None = None) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.count = count

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        name = func.__name__.split(".")[0]
        picks = [i.dtype for i in args[1] if i is not None] if name == "index" else []
        if (name in LOOKS and args[0] is not self.count) or torch.bool in picks:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


PLANS = {
    "madry": {},
    "fgsm": {"attack": FGSM(), "keep": "last"},
    "nfgsm": {
        "loss": Madry(label_smoothing=0.1),
        "attack": NFGSM(),
        "keep": "last",
        "ema": 0.9,
        "augment": "flip-crop",
    },
    "trades": {"loss": AWP(TRADES(), rows=64), "ema": 0.9, "eps_ramp": 1.0},
    "mart": {"loss": MART()},
    "ibp": {"loss": IBP(), "eps_ramp": 0.5},
}


@pytest.mark.parametrize("name", PLANS)
def test_a_step_waits_for_nothing(
    name: str,
    plan: MakePlan,
    net: MakeNet,
    digits: Digits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[list[str]] = []
    step = Learner._step

    def watched(self: Learner, *args: Any) -> torch.Tensor:  # noqa: ANN401
        with Looks(self.mean and self.mean.n_averaged) as looks:
            loss = step(self, *args)
        seen.append(looks.seen)
        return loss

    monkeypatch.setattr(Learner, "_step", watched)
    x, y, *_ = digits
    p = plan(epochs=1, optimizer="sgd", **PLANS[name])
    train(p, net(), x, y, tmp_path, progress=False)
    assert seen[1:] == [[]] * 4  # in the first step of an epoch a network to be bounded is traced


def test_a_look_is_seen() -> None:
    with Looks() as looks:
        float(torch.ones(1))
        torch.ones(2)[torch.tensor([True, False])]
    assert looks.seen == ["_local_scalar_dense", "index"]


@pytest.mark.parametrize("y", [torch.zeros(3, 2).long(), torch.zeros(3)], ids=["one-hot", "soft"])
def test_what_is_no_index_is_still_refused(y: torch.Tensor) -> None:
    with pytest.raises(Invalid, match="y = "):
        Known(y)
