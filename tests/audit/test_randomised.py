"""Models that draw noise: averaged gradients, verdicts by majority, and the same run again."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.audit import rounds
from saddlepoint.audit.probing import rivals
from saddlepoint.audit.replay import Witnesses, replay
from saddlepoint.audit.samples import Pair
from saddlepoint.core.door import Door
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.expect import majority
from saddlepoint.core.oracle import Oracle
from saddlepoint.core.search import attack_rows
from saddlepoint.models.known_bad import Noisy
from tests.audit import nets
from tests.audit.conftest import Subject
from tests.audit.test_resume import stop_after
from tests.laws.models import mlp
from tests.table import ATTACKS, AttackRow

SCHEMA = Path(sp.__file__).parent / "audit/audit.schema.json"
PLAN = (sp.FGSM(), sp.PGD(steps=4))


def run(model: nn.Module, s: Subject, **more: Any) -> sp.Audit:  # noqa: ANN401
    options: dict[str, Any] = {"eot": 4, "votes": 5, "probes": 0, "figures": 0, **more}
    attacks = options.pop("attacks", PLAN)
    return sp.audit(model, (s.x, s.y), sp.Linf(0.05), attacks, **options)


@pytest.fixture(scope="module")
def noisy(subject: Subject) -> Subject:
    return Subject(Noisy(subject.model), subject.x, subject.y)


class Coin(nn.Module):
    """Answers with the next class in a share of the draws, whatever the input."""

    def __init__(self, inner: nn.Module, share: float) -> None:
        super().__init__()
        self.inner, self.share = inner, share

    def forward(self, x: Tensor) -> Tensor:
        out = self.inner(x)
        wrong = torch.rand(len(x), 1, device=x.device) < self.share
        return torch.where(wrong, out.roll(1, 1), out)


def test_luck_is_no_break(subject: Subject) -> None:
    still = sp.Linf(0.0)
    data, attacks = (subject.x, subject.y), (sp.PGD(steps=10),)
    model, options = Coin(subject.model, 0.2), {"probes": 0, "figures": 0}
    truth = sp.audit(subject.model, data, still, attacks, **options).clean_accuracy
    single = sp.audit(model, data, still, attacks, **options)
    voted = sp.audit(model, data, still, attacks, votes=31, **options)
    assert single.evidence.clean_accuracy < truth - 0.05
    assert single.evidence.count(sp.Status.SURVIVED) < 0.5 * 60
    assert voted.clean_accuracy == truth
    assert voted.evidence.count(sp.Status.SURVIVED) >= 0.9 * 60
    assert voted.evidence.count(sp.Status.ERROR) == 0


def test_most_draws_wrong_is_a_break(subject: Subject) -> None:
    data = (subject.x, subject.y)
    result = sp.audit(
        Coin(subject.model, 0.8), data, sp.Linf(0.0), PLAN, votes=31, probes=0, force=True
    )
    assert result.clean_accuracy <= 0.1


class Slope(nn.Module):
    """Errs more often the further the input is pushed: half of the time at 0.57."""

    def forward(self, x: Tensor) -> Tensor:
        push = 50 * (x - 0.57) + torch.randn_like(x)
        return torch.cat([torch.zeros_like(push), push], 1)


def test_a_lucky_vote_on_the_way_does_not_end_the_search() -> None:
    x, y = torch.full((60, 1), 0.5), torch.zeros(60, dtype=torch.int64)
    slow = sp.PGD(steps=20, step_size=0.05, start="clean")
    options: dict[str, Any] = {"eot": 4, "votes": 5, "probes": 0}
    result = sp.audit(Slope(), (x, y), sp.Linf(0.1), (slow,), **options)
    assert result.clean_accuracy == 1.0
    assert result.robust_accuracy <= 0.05


def test_half_of_the_draws_is_no_majority() -> None:
    draws = [torch.tensor([1.0, -1.0, 1.0]), torch.tensor([-1.0, 1.0, 1.0])]
    assert (majority(draws) > 0).tolist() == [False, False, True]
    assert not majority([torch.tensor([float("nan")]), torch.ones(1), torch.ones(1)]) > 0


def test_a_model_that_draws_nothing_gets_the_same_verdicts(subject: Subject) -> None:
    usual = run(subject.model, subject, eot=1, votes=1)
    drawn = run(subject.model, subject)
    assert (usual.evidence.verdict() == drawn.evidence.verdict()).all()
    assert not drawn.document["randomness"]["randomised"]
    assert drawn.document["randomness"]["success"] == 1.0


def test_cost_is_counted_for_each_pass(subject: Subject) -> None:
    clean, fgsm, pgd = run(subject.model, subject).evidence.rounds
    assert set(clean.forward) == {5}
    assert fgsm.forward.max() == 2 * 4
    assert pgd.forward.max() == 5 * 4
    assert pgd.backward.max() == 4 * 4
    assert pgd.rows_backward == 4 * 4 * len(pgd.rows)


@pytest.mark.parametrize("row", ATTACKS, ids=lambda r: r.name)
def test_every_attack_takes_means(row: AttackRow) -> None:
    net = mlp(dtype=torch.float32).eval()
    x = torch.rand(6, 1, 3, 4)
    with Door(net, eot=3, votes=3) as door:
        y = door.scores(x).argmax(1)
        for budget in (None, sp.Budget(forward=10, backward=5)):
            oracle = Oracle(door, x, sp.Untargeted(y), sp.Linf(0.2), budget=budget)
            assert attack_rows(row.small, oracle, Draw.of(0, torch.arange(6))) is None
            assert (oracle.ledger.forward % 3 == 0).all()
            assert bool(oracle.ledger.tried.any())
            if budget is not None:
                assert oracle.ledger.forward.max() <= 10
                assert oracle.ledger.backward.max() <= 5


def test_means_lead_further_than_single_draws() -> None:
    s = nets.natural()
    model, attacks = Noisy(s.model), (sp.PGD(steps=20),)
    options: dict[str, Any] = {"votes": 15, "attacks": attacks}
    alone, mean = (run(model, s, eot=k, **options).robust_accuracy for k in (1, 16))
    assert mean < alone


def test_the_result_says_so(noisy: Subject, tmp_path: Path) -> None:
    single = run(noisy.model, noisy, eot=1, votes=1)
    finding = next(f for f in single.findings if f.check == "repeatability")
    assert finding.verdict == "warn"
    assert finding.next_step.endswith("--eot 20 --votes 21")
    voted = run(noisy.model, noisy, out=tmp_path)
    jsonschema.validate(voted.document, json.loads(SCHEMA.read_text()))
    said = voted.document["randomness"]
    assert said["randomised"]
    assert said["interval"][0] <= said["success"] <= said["interval"][1]
    assert "neither over samples" in said["covers"]
    finding = next(f for f in voted.findings if f.check == "repeatability")
    assert finding.verdict == "ok"
    assert f"{said['success']:.1%} of fresh draws" in finding.measured
    hits = np.load(tmp_path / "evidence.npz")["hits"]
    assert (hits >= 0).sum() == said["witnesses"] > 0
    assert hits.max() <= 5
    for r in voted.evidence.rounds:
        assert ((r.status == 2) == (r.margin > 0)).all()


class Always(nn.Module):
    """Knows one class."""

    def __init__(self, label: int) -> None:
        super().__init__()
        self.label = label

    def forward(self, x: Tensor) -> Tensor:
        return torch.eye(10)[self.label].expand(len(x), 10)


def test_witnesses_hold_at_fresh_draws(noisy: Subject, tmp_path: Path) -> None:
    run(noisy.model, noisy, votes=21, out=tmp_path)
    found = Witnesses.load(tmp_path)
    data = Pair(noisy.x, noisy.y)
    assert replay(found, noisy.model, data, sp.Linf(0.05)).holds
    right = Always(int(noisy.y[found.index[0]]))
    failed = replay(found, right, data, sp.Linf(0.05)).failed
    assert failed[int(found.index[0])] == "the model is right about it in 21 of 21 draws"


FILES = ("evidence.npz", "witnesses.safetensors", "probes.json")


@pytest.mark.parametrize("calls", [3, 12])
def test_interrupted_ends_the_same(
    noisy: Subject, tmp_path: Path, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rivals, "QUERIES", 20)
    options: dict[str, Any] = {"batch_size": 16, "probes": 4}
    straight = run(noisy.model, noisy, out=tmp_path / "straight", **options)
    with pytest.raises(KeyboardInterrupt):
        run(noisy.model, noisy, out=tmp_path / "stopped", progress=stop_after(calls), **options)
    again = run(noisy.model, noisy, out=tmp_path / "stopped", **options)
    for name in FILES:
        there, here = tmp_path / "straight" / name, tmp_path / "stopped" / name
        assert there.read_bytes() == here.read_bytes(), name
    assert again.findings == straight.findings


def test_the_order_of_chunks_does_not_matter(
    noisy: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = run(noisy.model, noisy, batch_size=16)
    record, waiting = rounds.Rounds._record_of, []

    def backwards(self: rounds.Rounds, *chunk: Any) -> Any:  # noqa: ANN401
        """Ask about the last chunk of a round first; what is asked for then is in the journal."""
        number, name, attack, _ = chunk
        if number not in waiting:
            waiting.append(number)
            for other in reversed(list(self._chunks(self.evidence.rounds[number]))):
                record(self, number, name, attack, other)
        return record(self, *chunk)

    monkeypatch.setattr(rounds.Rounds, "_record_of", backwards)
    back = run(noisy.model, noisy, batch_size=16)
    assert (usual.evidence.verdict() == back.evidence.verdict()).all()
    assert usual.evidence.hits == back.evidence.hits


def test_another_count_is_another_run(noisy: Subject, tmp_path: Path) -> None:
    run(noisy.model, noisy, out=tmp_path)
    with pytest.raises(Invalid, match="votes 5 there, 7 here"):
        run(noisy.model, noisy, out=tmp_path, votes=7)


@pytest.mark.parametrize("change", [{"eot": 0}, {"votes": 0}, {"eot": True}, {"votes": 1.5}])
def test_bad_counts(subject: Subject, change: dict[str, object]) -> None:
    with pytest.raises(Invalid, match=next(iter(change))):
        run(subject.model, subject, **change)


def test_low_precision_is_confirmed_by_votes(noisy: Subject) -> None:
    result = run(noisy.model, noisy, precision="bfloat16")
    assert result.evidence.count(sp.Status.ERROR) == 0
    assert result.evidence.count(sp.Status.BROKEN) > 5
