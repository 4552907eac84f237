"""Health checks on models that misbehave, and on a linear one that does not."""

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from tests.audit.conftest import Subject

ATTACKS = (sp.FGSM(), sp.PGD(steps=5))


def verdicts(model: nn.Module, s: Subject, probes: int = 0) -> dict[str, str]:
    result = sp.audit(model, (s.x, s.y), sp.Linf(0.05), ATTACKS, probes=probes)
    return {f.check: f.verdict for f in result.findings}


class Wrapped(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner


class Neighbours(Wrapped):
    """Normalises by the mean of the batch, as batch norm does in training mode."""

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x - 0.1 * x.mean(0))


class Standardised(Wrapped):
    """Scales by the spread of the batch, which a sample alone does not have."""

    def forward(self, x: Tensor) -> Tensor:
        spread = (x - x.mean(0)).square().sum(0).mean() / torch.tensor(len(x) - 1.0)
        return self.inner(x * (1 + 0.2 * spread))


class Counting(Wrapped):
    """Writes into a buffer whenever it is asked."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__(inner)
        self.register_buffer("asked", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.asked += 1
        return self.inner(x)


class Overflowing(Wrapped):
    """Breaks down just beside the data."""

    def forward(self, x: Tensor) -> Tensor:
        steps = x * 255
        off = (steps - steps.round()).abs().flatten(1).amax(1) > 0.01
        return torch.where(off[:, None], torch.inf, self.inner(x))


def test_control(subject: Subject) -> None:
    found = verdicts(subject.model, subject, probes=64)
    assert found.pop("survivors' audit") == "inconclusive"
    assert set(found.values()) == {"ok"}


@pytest.mark.parametrize(
    ("bad", "check", "verdict"),
    [
        (Neighbours, "batch independence", "fail"),
        (Standardised, "batch independence", "fail"),
        (Counting, "model unchanged", "fail"),
        (Overflowing, "finite answers", "fail"),
    ],
)
def test_known_bad(subject: Subject, bad: type[Wrapped], check: str, verdict: str) -> None:
    found = verdicts(bad(subject.model), subject)
    assert found[check] == verdict


def test_few_samples_cannot_tell_from_guessing(subject: Subject) -> None:
    data = (subject.x[:1], subject.y[:1])
    result = sp.audit(subject.model, data, sp.Linf(0.05), ATTACKS, probes=0)
    assert result.findings[0].verdict == "warn"


def test_a_threat_model_that_cheats_is_caught(subject: Subject) -> None:
    class Cheat(sp.Linf):
        """Projects onto a ball twice as large as it says."""

        def project(self, x: Tensor, u: Tensor) -> Tensor:
            return u.clamp(-2 * float(self.eps), 2 * float(self.eps))

    Cheat.__name__ = "Linf"
    result = sp.audit(
        subject.model, (subject.x, subject.y), Cheat(eps=0.05), (sp.PGD(steps=5),), probes=0
    )
    finding = next(f for f in result.findings if f.check == "witnesses")
    assert finding.verdict == "fail"
    assert result.document["counts"]["error"] > 0
