"""What an audit keeps for the report: telling samples, answers to witnesses, a look inside."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.audit.inspection import first_filters, inspection, one_of_each
from saddlepoint.audit.notable import KINDS, choose, passes_to_break
from saddlepoint.audit.samples import Pair
from saddlepoint.core.door import Door
from tests.audit.conftest import Subject

THREAT = sp.Linf(eps=0.05)
ATTACKS = (sp.FGSM(), sp.PGD(steps=5))


@pytest.fixture(scope="module")
def run(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> tuple[sp.Audit, Path]:
    out = tmp_path_factory.mktemp("notable") / "run"
    data = (subject.x, subject.y)
    return sp.audit(subject.model, data, THREAT, ATTACKS, out=out, figures=0), out


def test_the_samples_are_those_of_the_evidence(
    run: tuple[sp.Audit, Path], subject: Subject
) -> None:
    e, found = run[0].evidence, np.load(run[1] / "samples.npz")
    easy, narrow, safe = ((found["kind"] == kind).nonzero()[0] for kind in KINDS)
    assert len(easy) == len(narrow) == len(safe) == 8
    assert len(set(found["index"].tolist())) == 24
    assert (np.diff(found["passes"][easy]) >= 0).all()
    assert (found["margin"][easy] > 0).all()
    worst, survived = e.margin(), e.verdict() == 1
    assert found["margin"][narrow].max() == worst[survived].max()
    assert found["margin"][safe].min() == worst[survived].min()
    assert (found["pred"][easy] != found["label"][easy]).all()
    assert (found["pred"][safe] == found["label"][safe]).all()
    assert (found["attack"] == "").tolist() == [False] * 8 + [True] * 16
    assert np.allclose(found["x"], subject.x[found["index"]].numpy())


def test_passes_count_until_the_break(run: tuple[sp.Audit, Path]) -> None:
    e = run[0].evidence
    clean, fgsm, pgd = e.rounds
    spent = passes_to_break(e)
    assert spent.sum() == sum(r.passes for r in e.rounds)  # none is attacked after its break
    by_fgsm = fgsm.rows[fgsm.status == 2]
    first = (fgsm.forward + fgsm.backward)[fgsm.status == 2]
    assert spent[by_fgsm].tolist() == (clean.forward[by_fgsm] + first).tolist()
    assert set(pgd.rows) == {
        *np.flatnonzero(e.broken_by() == 2),
        *np.flatnonzero(e.broken_by() < 0),
    }


def test_answers_are_those_to_the_stored_witnesses(
    run: tuple[sp.Audit, Path], subject: Subject
) -> None:
    found, stored = np.load(run[1] / "samples.npz"), load_file(run[1] / "witnesses.safetensors")
    assert found["witness_index"].tolist() == stored["index"].tolist()
    said = subject.model(torch.from_numpy(stored["x_adv"])).argmax(1).tolist()
    assert found["witness_pred"].tolist() == said
    assert (found["witness_pred"] != subject.y[found["witness_index"]].numpy()).all()


def test_where_nothing_breaks_nothing_is_easy(subject: Subject) -> None:
    y = subject.model(subject.x).argmax(1)
    e = sp.audit(subject.model, (subject.x, y), sp.Linf(eps=0.0), (sp.FGSM(),)).evidence
    assert {kind for kind, _ in choose(e)} == {"narrow", "safe"}


def test_gradients_are_those_of_the_loss(run: tuple[sp.Audit, Path], subject: Subject) -> None:
    seen = np.load(run[1] / "inspection.npz")
    rows = seen["index"].tolist()
    x = subject.x[rows].double().requires_grad_()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()
    model.load_state_dict(subject.model.state_dict())
    loss = nn.functional.cross_entropy(model(x), subject.y[rows], reduction="sum")
    (g,) = torch.autograd.grad(loss, x)
    assert np.allclose(seen["gradient"], g.numpy(), rtol=1e-3, atol=1e-6 * float(g.abs().max()))
    assert "filters" not in seen
    assert len(set(seen["label"].tolist())) == 8


class Blocked(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.detach())


class Raises(Blocked):
    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            raise RuntimeError("no graph today")
        return self.inner(x)


@pytest.mark.parametrize(("wrap", "note"), [(Blocked, "no gradient"), (Raises, "no graph today")])
def test_a_missing_gradient_is_a_note(
    wrap: type[Blocked], note: str, subject: Subject, run: tuple[sp.Audit, Path]
) -> None:
    with Door(wrap(subject.model)) as door:
        seen = inspection(run[0].evidence, Pair(subject.x, subject.y), door)
    assert note in str(seen["note"])
    assert "gradient" not in seen


def test_scores_alone_show_no_insides(subject: Subject, tmp_path: Path) -> None:
    attacks, data = (sp.RandomSearch(n_queries=5),), (subject.x, subject.y)
    sp.audit(subject.model, data, THREAT, attacks, out=tmp_path / "run", access="scores")
    assert (tmp_path / "run/samples.npz").exists()
    assert not (tmp_path / "run/inspection.npz").exists()


def test_only_filters_that_are_pictures_are_kept() -> None:
    wide = nn.Sequential(nn.BatchNorm2d(3, affine=False), nn.Conv2d(3, 100, 3))
    found = first_filters(wide)
    assert found is not None
    assert found.shape == (64, 3, 3, 3)
    assert first_filters(nn.Conv2d(1, 4, 1)) is None
    assert first_filters(nn.Conv2d(8, 4, 3)) is None
    assert first_filters(lambda x: x) is None


def test_the_same_labels_choose_the_same_samples() -> None:
    label = np.array([1, 1, 1, 0, 2, 0])
    assert one_of_each(label, 3).tolist() == [0, 3, 4]
    assert one_of_each(label, 9).tolist() == [0, 1, 2, 3, 4, 5]


def test_a_model_that_is_always_wrong_leaves_only_answers(subject: Subject, tmp_path: Path) -> None:
    y = (subject.model(subject.x).argmax(1) + 1) % 10
    out = tmp_path / "run"
    sp.audit(subject.model, (subject.x, y), THREAT, (sp.FGSM(),), out=out, figures=0, force=True)
    found = np.load(out / "samples.npz")
    assert found["kind"].shape == (0,)
    assert found["x"].shape == (0, 1, 8, 8)
    assert len(found["witness_pred"]) == 60
    assert "Hardest and easiest" not in (out / "report.html").read_text()
