"""The verification of an audit: intervals that hold, verdicts that resume, and what stops it."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.audit import proving
from saddlepoint.audit.certificates import Certificates
from saddlepoint.audit.proving import Verification
from saddlepoint.audit.proving.certificates import Keeper
from saddlepoint.audit.proving.prover import Prover
from saddlepoint.audit.recheck import recheck
from saddlepoint.audit.replay import Witnesses
from saddlepoint.audit.samples import Pair
from saddlepoint.core.errors import Invalid, Unsound
from saddlepoint.verify import crown, ibp, ladder
from saddlepoint.verify.interval import Interval
from tests.audit.nets import natural

SCHEMA = Path(proving.__file__).parents[1] / "audit.schema.json"
BY_COUNT = Verification(seconds=None, subproblems=8)


def run(eps: float = 0.06, verify: Any = BY_COUNT, **more: Any) -> sp.Audit:  # noqa: ANN401
    s, threat = natural(), more.pop("threat", sp.Linf(eps))
    options = {"figures": 0, "probes": 0, "verify": verify, **more}
    model = options.pop("model", s.model)
    attacks = options.pop("attacks", (sp.FGSM(),))
    return sp.audit(model, (s.x, s.y), threat, attacks, **options)


def found(result: sp.Audit) -> dict[str, Any]:
    said: dict[str, Any] = result.document["verification"]
    return said


def test_the_interval_is_consistent(tmp_path: Path) -> None:
    result = run(out=tmp_path)
    said, counts, n = found(result), found(result)["counts"], 48
    jsonschema.validate(result.document, json.loads(SCHEMA.read_text()))
    assert sum(counts.values()) == n
    assert result.certified_accuracy == counts["certified"] / n <= result.robust_accuracy
    assert round(result.robust_accuracy * n) == n - counts["broken"] - counts["wrong"]
    assert sum(said["certified_by"].values()) == counts["certified"] > 0
    assert len(said["undecided"]) == counts["undecided"]
    low, high = result.bracket
    assert low < result.certified_accuracy <= result.robust_accuracy < high
    assert said["certified_interval"][0] == low
    assert result.interval[1] == high
    table = result.table()
    assert (table["bound"][table["proof"] == "certified"] <= 0).all()
    assert set(table["rung"][table["proof"] != "certified"]) == {""}
    with np.load(tmp_path / "evidence.npz") as stored:
        assert (stored["proof"] == 3).sum() == counts["certified"]
    index = load_file(tmp_path / "certificates.safetensors")["index"]
    assert index.tolist() == table["index"][table["proof"] == "certified"].tolist()


def test_proofs_hold_at_random_members() -> None:
    result, s, eps = run(), natural(), 0.06
    rows = torch.from_numpy(np.flatnonzero(result.table()["proof"] == "certified"))
    x, y = s.x[rows], s.y[rows]
    generator = torch.Generator().manual_seed(3)
    for _ in range(50):
        u = (torch.rand(x.shape, generator=generator) * 2 - 1).sign() * eps
        assert (s.model((x + u).clamp(0, 1)).argmax(1) == y).all()


def test_search_breaks_what_an_attack_has_left(tmp_path: Path) -> None:
    more = {"eps": 0.1, "verify": Verification(seconds=None, subproblems=300), "out": tmp_path}
    result = run(**more)
    said = found(result)
    assert said["broken_by_search"] > 0
    assert said["counts"]["undecided"] == 0
    last = result.document["attacks"][-1]
    assert (last["arm"], last["stage"]) == ("branch-and-bound", "branch")
    by = result.table()["broken_by"]
    mine = np.flatnonzero([name.startswith("branch-and-bound") for name in by])
    assert len(mine) == said["broken_by_search"]
    witnesses = load_file(tmp_path / "witnesses.safetensors")
    place = np.isin(witnesses["index"].numpy(), mine)
    x, s = witnesses["x_adv"][torch.from_numpy(place)], natural()
    assert (s.model(x).argmax(1) != s.y[torch.from_numpy(mine)]).all()
    assert ((x - s.x[torch.from_numpy(mine)]).abs() <= 0.1 + 1e-6).all()


def test_refined_intervals_have_certificates(tmp_path: Path) -> None:
    s = natural()
    torch.manual_seed(1)
    sizes = ((64, 40), (40, 40), (40, 40))
    layers = [m for a, b in sizes for m in (nn.Linear(a, b), nn.ReLU())]
    model = nn.Sequential(nn.Flatten(), *layers, nn.Linear(40, 10))
    data = s.x, model(s.x).argmax(1)
    how = Verification(seconds=None, subproblems=300)
    more: dict[str, Any] = {"figures": 0, "probes": 0, "force": True, "out": tmp_path}
    result = sp.audit(model, data, sp.Linf(0.06), (sp.FGSM(),), verify=how, **more)
    said = found(result)
    assert said["certified_by"]["BRANCH"] > 0
    assert said["refused"] == 0
    claims = Certificates.load(tmp_path)
    assert claims is not None
    assert any(bool((c.claim >= 0).any()) for c in claims.certificates)
    checked = recheck(Witnesses.load(tmp_path), claims, model, Pair(*data), sp.Linf(0.06))
    assert checked.holds
    assert checked.checked == said["counts"]["certified"]


def test_what_the_checker_refuses_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Keeper, "certify", lambda *_: (b"", "a gap"))
    result = run(eps=0.03)
    said = found(result)
    assert result.certified_accuracy == 0 == said["counts"]["certified"]
    assert said["refused"] == said["counts"]["undecided"] == round(result.robust_accuracy * 48)


def test_seconds_of_an_earlier_call_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each record is said to take a second; the limit is reached by those of both calls."""
    honest = Prover.record

    def slow(*args: Any) -> dict[str, Any]:  # noqa: ANN401
        return {**honest(*args), "seconds": np.asarray(1.0)}

    monkeypatch.setattr(Prover, "record", slow)
    how = Verification(seconds=6.5)  # three of the sandwich, one of bounds, three searches
    for stop in (stop_after(3, "verify: branch"), None):
        with pytest.raises(KeyboardInterrupt) if stop else contextlib.nullcontext():
            result = run(eps=0.1, out=tmp_path, verify=how, progress=stop)
    assert found(result)["seconds"] == {"IBP": 1.0, "CROWN": 2.0, "BOUNDS": 1.0, "BRANCH": 3.0}
    assert not found(result)["finished"]


def test_stronger_attacks_cannot_break_what_is_certified() -> None:
    certified = run().table()["proof"] == "certified"
    strong = run(verify=None, attacks=(sp.PGD(steps=40), sp.APGD(steps=40)))
    assert not (certified & (strong.table()["status"] == "broken")).any()


def stop_after(calls: int, begin: str) -> Callable[..., None]:
    left = [calls]

    def progress(name: str, done: int, todo: int, count: int) -> None:
        left[0] -= name.startswith(begin)
        if left[0] == 0:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize(
    ("calls", "begin"),
    [(2, "sandwich"), (2, "verify: bounds"), (3, "verify: branch"), (1, "branch-and-bound")],
)
def test_a_killed_verification_ends_the_same(tmp_path: Path, calls: int, begin: str) -> None:
    how = Verification(seconds=None, subproblems=100)
    more: dict[str, Any] = {"eps": 0.1, "verify": how, "batch_size": 16}
    run(out=tmp_path / "straight", **more)
    with pytest.raises(KeyboardInterrupt):
        run(out=tmp_path / "stopped", progress=stop_after(calls, begin), **more)
    assert not (tmp_path / "stopped/audit.json").exists()
    run(out=tmp_path / "stopped", **more)
    for name in ("evidence.npz", "witnesses.safetensors", "certificates.safetensors"):
        there, here = tmp_path / "straight" / name, tmp_path / "stopped" / name
        assert there.read_bytes() == here.read_bytes(), name


def test_other_settings_are_another_run(tmp_path: Path) -> None:
    run(out=tmp_path)
    with pytest.raises(Invalid, match="subproblems 8 there, 9 here"):
        run(out=tmp_path, verify=Verification(seconds=None, subproblems=9))
    with pytest.raises(Invalid, match=r"verify .* there, None here"):
        run(out=tmp_path, verify=None)


class Branching(nn.Module):
    """Looks at what it computes."""

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = natural().model(x)
        return out * 2 if bool((out > 0).any()) else out


class Cosine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = natural().model(torch.special.i0(x) + x - 1)
        return out


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"model": Branching()}, "numbers it computes"),
        ({"model": Cosine()}, "no bounds for the operator"),
        ({"threat": sp.L0(3), "attacks": (sp.RandomSearch(n_queries=5),)}, "convex"),
        ({"access": "scores", "attacks": (sp.RandomSearch(n_queries=5),)}, "scores only"),
        ({"eot": 2}, "randomised"),
    ],
)
def test_what_cannot_be_verified_is_still_audited(
    more: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    result = run(out=tmp_path, **more)
    assert reason in found(result)["reason"]
    assert result.certified_accuracy == 0
    assert found(result)["counts"]["certified"] == 0
    assert "not verified" in (tmp_path / "report.html").read_text().lower()
    assert result.robust_accuracy > 0


def test_no_time_decides_nothing() -> None:
    result = run(verify=0)
    said = found(result)
    assert not said["finished"]
    assert said["counts"]["certified"] == 0
    assert said["counts"]["undecided"] == round(result.robust_accuracy * 48)


def test_no_subproblems_leave_the_bounds() -> None:
    said = found(run(verify=Verification(seconds=None, subproblems=0)))
    assert said["certified_by"]["CROWN"] > 0
    assert said["subproblems"] == 0


def test_a_radius_of_zero_certifies_what_is_right() -> None:
    result = run(eps=0.0)
    assert result.certified_accuracy == result.clean_accuracy == result.robust_accuracy


def test_batch_norm_in_training_mode() -> None:
    s = natural()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), s.model[-3:])
    model(s.x)
    model[1].momentum = 0.0
    assert model.training
    certified = found(run(eps=0.01, model=model, force=True))["counts"]["certified"]
    assert model.training
    assert certified == found(run(eps=0.01, model=model.eval(), force=True))["counts"]["certified"]
    assert certified > 0


@pytest.mark.parametrize("threat", [sp.L2(0.3), sp.L1(1.0), sp.Quantize(sp.Linf(8 / 255))])
def test_other_sets(threat: Any) -> None:  # noqa: ANN401
    result = run(threat=threat)
    assert 0 < result.certified_accuracy <= result.robust_accuracy


@pytest.mark.parametrize(
    "bad",
    [
        {"seconds": -1},
        {"seconds": float("nan")},
        {"subproblems": -1},
        {"subproblems": 1.5},
        {"each": "soon"},
        {"seconds": None},
    ],
)
def test_bad_settings(bad: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="verify"):
        Verification(**bad)


def test_bad_verify() -> None:
    with pytest.raises(Invalid, match="verify"):
        run(verify="yes")
    assert Verification.of(False) is None


def narrow(interval: Interval) -> Interval:
    """Claim a tenth of the width: no bound at all."""
    middle, radius = (interval.high + interval.low) / 2, (interval.high - interval.low) / 20
    return Interval(middle - radius, middle + radius)


def test_a_wrong_bound_stops_the_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = ibp.ibp

    def wrong(*args: Any, **more: Any) -> list[Interval]:  # noqa: ANN401
        return [narrow(i) for i in honest(*args, **more)]

    monkeypatch.setattr(ibp, "ibp", wrong)
    with pytest.raises(Unsound, match=r"sample \d+: IBP bounds its margin by -"):
        run(eps=0.1, out=tmp_path)
    said = json.loads((tmp_path / "unsound.json").read_text())
    tensors, s = load_file(tmp_path / "unsound.safetensors"), natural()
    row = said["sample"]
    assert said["bound"] < 0 < said["margin"]
    assert torch.equal(tensors["x"][0], s.x[row])
    assert int(s.model(tensors["x_adv"]).argmax()) != int(s.y[row])
    assert (tensors["x_adv"][0] - s.x[row]).abs().max() <= 0.1 + 1e-6
    assert not (tmp_path / "audit.json").exists()


def test_wrong_planes_stop_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = crown.least

    def wrong(*args: Any, **more: Any) -> Tensor:  # noqa: ANN401
        return honest(*args, **more) + 20

    monkeypatch.setattr(ladder, "least", wrong)
    with pytest.raises(Unsound, match=r"CROWN bounds its margin by -.*out=…"):
        run(eps=0.1)
