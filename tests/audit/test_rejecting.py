"""Audits of models that may reject: what counts, and what flags a claim that did not know them."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import saddlepoint as sp
from saddlepoint.audit.probing import rivals
from saddlepoint.audit.replay import Witnesses, replay
from saddlepoint.audit.samples import as_samples
from saddlepoint.core.errors import Unsupported
from saddlepoint.models.defences import Fitting, OutlierClass
from tests.audit import nets
from tests.audit.conftest import Subject


class Wary(torch.nn.Module):
    """Class 1 above 0.5, class 0 below; rejects what is near to it, and everything above 0.9."""

    rejects = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        v = x.flatten(1)[:, 0]
        z = torch.stack([0.5 - v, v - 0.5], 1)
        alarm = torch.maximum(0.1 - (v - 0.5).abs(), v - 0.9)
        return torch.cat([z, (z.amax(1) + alarm)[:, None]], 1)


X = torch.tensor([0.35, 0.2, 0.55, 0.7, 0.8, 0.95, 0.3])[:, None]
Y = torch.tensor([0, 0, 1, 1, 0, 1, 0])


def audited(out: Path | None = None, model: torch.nn.Module | None = None) -> sp.Audit:
    attacks = (sp.PGD(steps=30, loss="margin"), sp.Targets(sp.PGD(steps=30), n=2))
    options: dict[str, Any] = {"out": out, "force": True, "figures": 0, "probes": 0}
    return sp.audit(model or Wary(), (X, Y), sp.Linf(eps=0.28), attacks, **options)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> sp.Audit:
    return audited(tmp_path_factory.mktemp("wary"))


def test_a_break_is_wrong_and_accepted_and_a_false_alarm_an_error(run: sp.Audit) -> None:
    # 0.35 reaches 0.63, 0.7 reaches 0.42 (rejected) only, 0.55 and 0.95 are rejected as they are,
    # 0.8 is wrong as it is, 0.3 reaches 0.58 (rejected) only.
    said = run.table()["status"].tolist()
    assert said == ["broken", "survived", "broken", "survived", "broken", "broken", "survived"]
    assert run.clean_accuracy == pytest.approx(4 / 7)
    assert run.evidence.prediction.tolist() == [0, 0, 2, 1, 1, 2, 0]
    first = next(f for f in run.findings if f.check == "clean accuracy")
    assert "2 inputs were rejected as they are" in first.measured


def test_every_witness_is_wrong_and_accepted_or_a_false_alarm(run: sp.Audit) -> None:
    assert run.folder is not None
    claims = Witnesses.load(run.folder)
    samples = as_samples((X, Y))
    assert samples is not None
    held = replay(claims, Wary(), samples, sp.Linf(eps=0.28))
    assert (held.checked, held.holds, held.same_model) == (4, True, True)
    # A changed input that is rejected is no break, whoever claims it.
    moved = claims.x_adv.copy()
    moved[claims.index == 0] = np.float32(0.55)
    false = replay(dataclasses.replace(claims, x_adv=moved), Wary(), samples, sp.Linf(eps=0.28))
    assert list(false.failed) == [0]
    assert "the model is right about it" in false.failed[0]


def test_a_class_of_that_name_is_another_game() -> None:
    class Plain(Wary):
        rejects = False

    assert (
        audited(model=Plain()).evidence.verdict().tolist() != audited().evidence.verdict().tolist()
    )


def test_what_does_not_know_rejection_says_so() -> None:
    for ask in (
        lambda: sp.curve(Wary(), (X, Y), sp.Linf(eps=0.2)),
        lambda: sp.smooth(Wary(), (X, Y), sp.Smoothing(sigma=0.1, n=100)),
        lambda: sp.universal(Wary(), (X[:3], Y[:3]), (X[3:], Y[3:]), sp.Linf(eps=0.2)),
        lambda: sp.certified_radii(Wary(), X, Y, sp.Linf(eps=0.2)),
    ):
        with pytest.raises(Unsupported, match="does not know models that reject"):
            ask()


def outlier() -> Subject:
    """A net that has learnt what one step makes of its inputs as a class of its own."""
    natural, data = nets.natural(), sp.load_data("digits")
    x, y = data.split("train").batch(torch.arange(1297))
    threat = sp.L2(1.0)
    moved = sp.search(sp.FGSM(), natural.model, x, y, threat, early_stop=False).x_adv
    with torch.random.fork_rng():
        torch.manual_seed(0)
        inner = [torch.nn.Flatten(), torch.nn.Linear(64, 64), torch.nn.ReLU()]
        model = OutlierClass(torch.nn.Sequential(*inner, torch.nn.Linear(64, 11)))
    model.fit(x, y, moved, 10, Fitting(epochs=8, batch_size=64, lr=1e-2))
    return Subject(model, natural.x, natural.y)


def test_the_claim_is_flagged_and_the_control_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "QUERIES", 100)
    threat, s, blind = sp.L2(1.0), outlier(), sp.FGSM(loss=sp.Unaware())
    claim = sp.audit(s.model, (s.x, s.y), threat, (blind,), probes=32)
    knowing = (sp.PGD(), sp.Targets(sp.PGD(loss="margin"), n=3))
    true = sp.audit(s.model, (s.x, s.y), threat, knowing, probes=0)
    assert claim.robust_accuracy > true.robust_accuracy + 0.3
    said = {f.check: f.verdict for f in claim.findings}
    assert said["incomplete optimisation"] == "warn"
    control = nets.natural()
    found = sp.audit(control.model, (control.x, control.y), threat, knowing, probes=32)
    assert {f.verdict for f in found.findings} <= {"ok", "inconclusive"}
