"""The audit from end to end on a linear model."""

import copy
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.core.errors import Invalid, Unsupported
from tests.audit.conftest import Subject

SCHEMA = Path(sp.__file__).parent / "audit/audit.schema.json"
ATTACKS = (sp.FGSM(), sp.PGD(steps=5))
THREAT = sp.Linf(eps=0.05)


def test_files_and_schema(subject: Subject, tmp_path: Path) -> None:
    out = tmp_path / "run"
    data = (subject.x, subject.y)
    result = sp.audit(subject.model, data, THREAT, ATTACKS, out=out, figures=8)
    document = json.loads((out / "audit.json").read_text())
    jsonschema.validate(document, json.loads(SCHEMA.read_text()))
    assert document == result.document
    assert {p.name for p in out.iterdir()} >= {"evidence.npz", "report.html", "figures.json"}
    witnesses = load_file(out / "witnesses.safetensors")
    evidence = np.load(out / "evidence.npz", allow_pickle=False)
    broken = np.unique(evidence["sample"][evidence["status"] == 2])
    assert witnesses["index"].tolist() == broken.tolist()
    assert document["counts"]["broken"] == len(broken) > 5
    assert document["robust_accuracy"]["upper"] == pytest.approx(1 - len(broken) / 60)
    assert "<html" in (out / "report.html").read_text()


def test_accounting_adds_up(subject: Subject) -> None:
    e = sp.audit(subject.model, (subject.x, subject.y), THREAT, ATTACKS, probes=0).evidence
    clean, fgsm, pgd = e.rounds
    assert len(clean.rows) == 60
    assert set(clean.status) <= {1, 2}
    assert fgsm.rows.tolist() == clean.rows[clean.status == 1].tolist()
    assert pgd.rows.tolist() == fgsm.rows[fgsm.status == 1].tolist()
    assert (clean.forward == 1).all()
    assert (clean.backward == 0).all()
    assert set(fgsm.forward) <= {1, 2}
    assert pgd.forward.max() == 6
    assert pgd.backward.max() == 5
    assert (fgsm.margin[fgsm.status == 2] > 0).all()
    assert (pgd.margin[pgd.status == 1] <= 0).all()
    assert e.total("forward").sum() == sum(r.forward.sum() for r in e.rounds)


def test_robust_accuracy_is_exact_on_a_linear_model(subject: Subject) -> None:
    layer = subject.model[1]
    x, y = subject.x.flatten(1).double(), subject.y
    w, b = layer.weight.double(), layer.bias.double()
    broken = torch.zeros(len(x), dtype=torch.bool)
    for j in range(10):
        g = w[j] - w[y]
        best = THREAT.maximise(x, g)
        margin = (g * (x + best)).sum(1) + b[j] - b[y]
        broken |= (margin > 0) & (y != j)
    attacks = (sp.PGD(), sp.Targets(sp.PGD(loss="margin"), n=9))
    result = sp.audit(subject.model, (subject.x, subject.y), THREAT, attacks, probes=0)
    assert (torch.from_numpy(result.evidence.verdict() == 2) == broken).all()


class Halves(nn.Module):
    """Raises on large batches of attacked inputs."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad and len(x) > 10:
            raise RuntimeError("out of memory")
        return self.inner(x)


def test_a_failing_attack_is_never_robustness(subject: Subject) -> None:
    model = Halves(subject.model)
    result = sp.audit(model, (subject.x, subject.y), THREAT, ATTACKS, figures=0, probes=0)
    counts = result.document["counts"]
    assert counts["survived"] == 0
    assert counts["error"] == 60 - counts["clean_wrong"]
    assert result.interval[0] == 0.0
    assert result.robust_accuracy == result.clean_accuracy
    finding = next(f for f in result.findings if f.check == "attack errors")
    assert finding.verdict == "fail"
    assert "out of memory" in finding.measured
    assert "out of memory" in result.document["attacks"][1]["message"]


def test_a_radius_for_each_sample(subject: Subject, tmp_path: Path) -> None:
    eps = torch.linspace(0.0, 0.1, 60)
    data, out = (subject.x, subject.y), tmp_path / "run"
    result = sp.audit(
        subject.model, data, sp.Linf(eps=eps), ATTACKS, out=out, batch_size=7, probes=0
    )
    alone = sp.search(ATTACKS[1], subject.model, *data, sp.Linf(eps=eps))
    broken = torch.from_numpy(result.evidence.verdict() == 2)
    assert (broken | ~alone.broken).all()
    found = load_file(out / "witnesses.safetensors")
    moved = np.abs(found["x_adv"] - subject.x[found["index"]].numpy()).reshape(
        len(broken[broken]), -1
    )
    assert (moved.max(1) <= eps[found["index"]].numpy() + 1e-6).all()


class Blocked(nn.Module):
    """Has no path for gradients."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.detach())


def test_no_figure_costs_the_result(subject: Subject, tmp_path: Path) -> None:
    attacks, out = (sp.RandomSearch(n_queries=20),), tmp_path / "run"
    data = (subject.x, subject.y)
    sp.audit(Blocked(subject.model), data, THREAT, attacks, out=out, figures=4, probes=0)
    assert (out / "audit.json").exists()
    assert not (out / "figures.json").exists()
    with pytest.raises(Unsupported, match="RandomSearch"):
        sp.audit(Blocked(subject.model), data, THREAT, ATTACKS, probes=0)


class Squeezed(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x).squeeze()


def test_quantised_witnesses_are_images(subject: Subject, tmp_path: Path) -> None:
    threat = sp.Quantize(sp.Linf(eps=16 / 255))
    out = tmp_path / "run"
    sp.audit(subject.model, (subject.x, subject.y), threat, ATTACKS, out=out, figures=0, probes=0)
    found = load_file(out / "witnesses.safetensors")
    assert found["x_adv"].dtype == np.uint8
    x = (subject.x[found["index"]] * 255).round().numpy()
    assert np.abs(found["x_adv"] - x).max() <= 16


def test_identical_with_other_batches_and_precision_confirms(subject: Subject) -> None:
    data = (subject.x, subject.y)
    whole = sp.audit(subject.model, data, THREAT, ATTACKS, probes=0)
    pieces = sp.audit(subject.model, data, THREAT, ATTACKS, batch_size=7, probes=0)
    assert (whole.evidence.verdict() == pieces.evidence.verdict()).all()
    margins = [r.evidence.margin() for r in (whole, pieces)]
    assert np.allclose(*margins, atol=1e-4, equal_nan=True)
    quick = sp.audit(subject.model, data, THREAT, ATTACKS, precision="bfloat16", probes=0)
    assert not [f for f in quick.findings if f.verdict == "fail"]


class Softmax(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x).softmax(1)


class Shaped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


class Nan(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :10] * float("nan")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda s: Softmax(s.model), "logits, not probabilities"),
        (lambda s: Shaped(), "logits of shape"),
        (lambda s: Squeezed(s.model), "keep the batch axis"),
        (lambda s: Softmax(copy.deepcopy(s.model)).bfloat16(), "logits, not probabilities"),
        (lambda s: Nan(), "not finite for 32 of 32"),
        (lambda s: nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), "class indices in 0 … 2"),
        (lambda s: nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), "better than guessing"),
    ],
)
def test_models_that_cannot_be_audited(subject: Subject, model: object, message: str) -> None:
    torch.manual_seed(0)
    with pytest.raises(Invalid, match=message):
        sp.audit(model(subject), (subject.x, subject.y), THREAT, ATTACKS, probes=0)  # type: ignore[operator]


def test_model_of_another_shape(subject: Subject) -> None:
    with pytest.raises(Unsupported, match="does it belong to this data set"):
        sp.audit(nn.Linear(3, 10), (subject.x, subject.y), THREAT, ATTACKS, probes=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "n = 0"),
        ({"n": 61}, "at most 60"),
        ({"confidence": 1.0}, "confidence"),
        ({"attacks": ()}, "at least one attack"),
        ({"precision": "int8"}, "precision"),
        ({"access": "oracle"}, "access"),
        ({"batch_size": 0}, "batch_size"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_arguments(subject: Subject, change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"attacks": ATTACKS, **change}
    with pytest.raises(Invalid, match=message):
        sp.audit(subject.model, (subject.x, subject.y), THREAT, **arguments, probes=0)  # type: ignore[arg-type]


def test_inputs_out_of_range(subject: Subject) -> None:
    with pytest.raises(Invalid, match="values from 0 to 255"):
        sp.audit(subject.model, (subject.x * 255, subject.y), THREAT, ATTACKS, probes=0)


def test_gradients_without_access(subject: Subject) -> None:
    with pytest.raises(Unsupported, match="FGSM needs access to gradients"):
        sp.audit(subject.model, (subject.x, subject.y), THREAT, ATTACKS, access="scores", probes=0)
