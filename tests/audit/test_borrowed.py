"""Audits that borrow: surrogates and earlier runs, at every access, and what is said of them."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from torch import nn

import saddlepoint as sp
from saddlepoint.audit.borrowing import points_of, surrogate_of, to_train
from saddlepoint.audit.probing import rivals
from saddlepoint.audit.replay import Witnesses, replay
from saddlepoint.audit.samples import Pair
from saddlepoint.core.errors import BadData, Invalid, Unsupported
from saddlepoint.data import load_data
from tests.audit import nets
from tests.audit.conftest import Subject
from tests.audit.test_audit import SCHEMA

THREAT = sp.Linf(eps=0.05)
QUICK: dict[str, Any] = {"probes": 0, "figures": 0}
GIVEN = {"max_passes": 30.0, "survivors": 0}


def nearly(model: nn.Module, size: float = 0.02) -> nn.Module:
    """The same net with other weights."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        twin = nn.Sequential(nn.Flatten(), nn.Linear(model[1].in_features, model[1].out_features))  # type: ignore[index]
        with torch.no_grad():
            for own, other in zip(twin.parameters(), model.parameters(), strict=True):
                own.copy_(other + size * torch.randn_like(other))
    return twin


def opened(subject: Subject, **options: Any) -> sp.Audit:  # noqa: ANN401
    data = (subject.x, subject.y)
    return sp.audit(subject.model, data, THREAT, **{**QUICK, **GIVEN, **options})


@pytest.mark.parametrize("access", ["none", "labels", "scores", "gradients"])
def test_surrogates_open_the_cascade_at_every_access(subject: Subject, access: Any) -> None:  # noqa: ANN401
    own = sp.Surrogate(nearly(subject.model), "twin")
    result = opened(subject, access=access, surrogates=(own,))
    rounds = result.evidence.rounds
    assert [r.arm.startswith("Transfer(") for r in rounds[1:4]] == [True, True, False]
    assert all(set(r.forward) == {1} and not r.backward.any() for r in rounds[1:3])
    said = result.document["borrowed"]
    assert said["transfer"]["newly_broken"] == said["transfer"]["broken"] > 5
    (one,) = said["surrogates"]
    assert one["name"] == "twin"
    assert 0.5 < one["agreement"] <= 1
    with torch.no_grad():
        right = (own.model(subject.x).argmax(1) == subject.y).float().mean()
    assert one["clean_accuracy"] == pytest.approx(float(right))
    asked = any(r.arm.startswith("PriorGuided(") for r in rounds)
    assert asked == (access == "scores")
    jsonschema.validate(result.document, json.loads(SCHEMA.read_text()))


def test_plans_differ_by_the_surrogate(subject: Subject, tmp_path: Path) -> None:
    a, b = (sp.Surrogate(nearly(subject.model, s), "twin") for s in (0.02, 0.03))
    out, attacks = tmp_path / "run", (sp.Transfer(),)
    first = sp.audit(
        *(subject.model, (subject.x, subject.y), THREAT, attacks),
        **QUICK,
        surrogates=(a,),
        out=out,
    )
    again = sp.audit(
        *(subject.model, (subject.x, subject.y), THREAT, attacks),
        **QUICK,
        surrogates=(a,),
        out=out,
    )
    assert again.document["attacks"] == first.document["attacks"]
    with pytest.raises(Invalid, match="it holds another run"):
        sp.audit(
            *(subject.model, (subject.x, subject.y), THREAT, attacks),
            **QUICK,
            surrogates=(b,),
            out=out,
        )
    assert "Points made on surrogates alone broke" in (out / "report.html").read_text()
    held = replay(Witnesses.load(out), subject.model, Pair(subject.x, subject.y), THREAT)
    assert held.holds
    assert held.checked == first.document["counts"]["broken"]


@pytest.fixture
def earlier(subject: Subject, tmp_path: Path) -> Path:
    """A run on the same samples, of the same net."""
    out = tmp_path / "earlier"
    data = (subject.x, subject.y)
    sp.audit(subject.model, data, THREAT, (sp.PGD(steps=5),), out=out, **QUICK)
    return out


@pytest.mark.parametrize("access", ["none", "scores"])
def test_a_warm_start_repeats_what_is_known(
    subject: Subject,
    earlier: Path,
    access: Any,  # noqa: ANN401
) -> None:
    known = Witnesses.load(earlier)
    result = opened(subject, access=access, warm=(earlier,))
    first = result.evidence.rounds[1]
    assert first.arm == f"Earlier(points={points_of(earlier).points!r})"
    broken = (
        result.evidence.rounds[0].where(sp.Status.BROKEN).tolist()
        + first.rows[first.status == 2].tolist()
    )
    assert sorted(broken) == sorted(known.index.tolist())
    assert int(first.forward.sum()) == int((first.status == 2).sum())
    said = result.document["borrowed"]
    assert said["earlier"]["broken"] == int((first.status == 2).sum())
    assert said["runs"][0]["witnesses"] == len(known.index)


def test_attacks_in_order_are_given_what_they_lack(subject: Subject, earlier: Path) -> None:
    data, twin = (subject.x, subject.y), sp.Surrogate(nearly(subject.model), "twin")
    attacks = (sp.Restarts(sp.Transfer(sp.PGD(steps=3)), n=2), sp.Earlier(), sp.FGSM())
    result = sp.audit(
        *(subject.model, data, THREAT, attacks), **QUICK, surrogates=(twin,), warm=(earlier,)
    )
    arms = [r.arm for r in result.evidence.attacks]
    assert f"surrogates=({twin!r},)" in arms[0]
    assert arms[1] == f"Earlier(points={points_of(earlier).points!r})"
    assert arms[2] == "FGSM()"
    guided = (sp.PriorGuided(9, starts=(sp.Transfer(), sp.Earlier())),)
    result = sp.audit(
        *(subject.model, data, THREAT, guided), **QUICK, surrogates=(twin,), warm=(earlier, earlier)
    )
    assert result.evidence.attacks[0].arm.count("Earlier(points=run@") == 2
    for given in ({"surrogates": (twin,)}, {"warm": (earlier,)}):
        with pytest.raises(Invalid, match="no use for them"):
            sp.audit(subject.model, data, THREAT, (sp.FGSM(),), **QUICK, **given)  # type: ignore[arg-type]
    with pytest.raises(Unsupported, match="--surrogate"):
        sp.audit(subject.model, data, THREAT, (sp.PriorGuided(9),), **QUICK)


def test_runs_on_other_samples_are_refused(subject: Subject, earlier: Path, tmp_path: Path) -> None:
    other = Subject(subject.model, subject.x.flip(0), subject.y.flip(0))
    for wrong in (other, Subject(subject.model, subject.x[:30], subject.y[:30])):
        with pytest.raises(BadData, match="is about other samples"):
            opened(wrong, warm=(earlier,))
    fewer = opened(subject, warm=(earlier,), n=30)  # the first of the same samples
    assert fewer.document["borrowed"]["runs"][0]["witnesses"] < 60
    with pytest.raises(BadData, match="is no finished run"):
        opened(subject, warm=(tmp_path,))
    (earlier / "witnesses.safetensors").write_bytes(b"no tensors")
    with pytest.raises(BadData, match="no readable run"):
        opened(subject, warm=(earlier,))


def test_a_run_in_another_kind_of_set(subject: Subject, earlier: Path) -> None:
    with pytest.raises(Unsupported, match="give a run with the same kind of set"):
        sp.audit(
            *(subject.model, (subject.x, subject.y), sp.RotateTranslate(20, 1)),
            **QUICK,
            warm=(earlier,),
        )


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(9, 10)), "a model for inputs of shape"),
        (nn.Sequential(nn.Flatten(), nn.LazyLinear(7)), "7 classes>: must be a model with the"),
        (nn.Flatten(0), "scores of shape"),
    ],
)
def test_surrogates_that_do_not_fit_are_refused_first(
    subject: Subject, tmp_path: Path, net: nn.Module, message: str
) -> None:
    with torch.random.fork_rng(), torch.no_grad():
        if isinstance(net, nn.Sequential) and isinstance(net[1], nn.LazyLinear):
            net(subject.x[:1])
    out = tmp_path / "run"
    with pytest.raises(Invalid, match=message):
        opened(subject, surrogates=(net,), out=out)
    assert not out.exists()


@pytest.mark.slow
def test_a_masked_model_is_flagged_when_transfer_beats_its_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one query the check's own score search finds nothing: what flags is the transfer."""
    monkeypatch.setattr(rivals, "QUERIES", 1)
    s, other = nets.clipped(), nets.natural()
    given = ((s.x, s.y), sp.Linf(nets.EPS))
    with_it = sp.audit(
        s.model, *given, (sp.Transfer(), sp.FGSM()), surrogates=(other.model,), figures=0
    )
    without = sp.audit(s.model, *given, (sp.FGSM(),), figures=0)
    check = "black box against gradients"
    flagged, quiet = ({f.check: f.verdict for f in r.findings}[check] for r in (with_it, without))
    assert with_it.document["borrowed"]["transfer"]["broken"] > 3
    assert flagged in ("warn", "fail")
    assert quiet == "ok"


def test_surrogates_by_a_word(tmp_path: Path) -> None:
    data, threat = load_data("digits"), sp.Linf(0.1)
    assert to_train("mlp")
    assert not to_train("mine:mlp")
    for spec, arch, message in (
        ("conv-smal", None, "did you mean conv-small"),
        ("mlp", "mlp", "left out beside mlp"),
        ("torch.nn:Nothing", None, "has no Nothing"),
    ):
        with pytest.raises(Invalid, match=message):
            surrogate_of(spec, arch, data, threat, tmp_path)


@pytest.mark.slow
def test_an_architecture_is_trained_once(tmp_path: Path) -> None:
    data, threat = load_data("digits"), sp.Linf(0.1)
    for spec in ("mlp", "robust:mlp"):
        first = surrogate_of(spec, None, data, threat, tmp_path)
        again = surrogate_of(spec, None, data, threat, tmp_path)
        assert repr(first) == repr(again)
        x, y = data.split("test").batch(torch.arange(200))
        assert float((first.model(x).argmax(1) == y).float().mean()) > 0.8
        loaded = surrogate_of(str(tmp_path / first.name), None, data, threat, tmp_path)
        assert loaded.sha256 == first.sha256
