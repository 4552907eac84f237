"""Audits in which each sample may be asked about so many times, and models that are paid for."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.audit.cascade import Cascade
from saddlepoint.audit.evidence import Round
from saddlepoint.audit.ladder import Ladder
from saddlepoint.audit.plan import Plan
from saddlepoint.audit.replay import Witnesses, replay
from saddlepoint.audit.samples import Pair
from saddlepoint.audit.suites import cascade
from saddlepoint.audit.team import Team
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.views import Noise
from tests.audit.nets import natural

N = 40


def data() -> tuple[Tensor, Tensor]:
    split = sp.load_data("digits").split("test")
    return split.batch(torch.arange(N))


def asked_of(result: sp.Audit) -> Any:  # noqa: ANN401
    return result.evidence.total("forward")


@pytest.mark.parametrize(("counts", "least"), [({"votes": 9}, 10), ({"eot": 4}, 5)])
def test_a_limit_that_allows_no_question_is_refused(counts: Any, least: int) -> None:  # noqa: ANN401
    """Samples that nobody may ask about would pass for robust ones."""
    with pytest.raises(Invalid, match=f"max_queries = {least - 1}: must be .* at least {least}"):
        Plan(sp.Linf(0.1), cascade("scores"), n=4, max_queries=least - 1, **counts)
    assert Plan(sp.Linf(0.1), cascade("scores"), n=4, max_queries=least, **counts).n == 4


@pytest.mark.parametrize("access", ["none", "labels", "scores", "gradients"])
@pytest.mark.parametrize("most", [2, 30])
def test_no_sample_costs_more_than_it_may(access: Any, most: int) -> None:  # noqa: ANN401
    result = sp.audit(
        natural().model, data(), sp.Linf(0.1), access=access, max_queries=most, figures=0, probes=0
    )
    spent = asked_of(result)
    assert spent.max() == most
    survived = result.evidence.verdict() == 1
    assert (spent[survived] == most).all()  # nothing is left where something still stands
    assert result.document["plan"]["max_queries"] == most


def test_a_rationed_search_has_one_long_run() -> None:
    assert repr(cascade("scores", max_queries=500).opening) == "Square(n_queries=499)"
    box = cascade("scores", threat=sp.Linf(0.1), max_queries=5001)
    assert repr(box.opening) == "Sequence((SignHunter(n_queries=2500), Square(n_queries=2500)))"
    assert cascade("scores", max_queries=500).max_passes == 500
    # With a budget over all samples the pilot decides, as ever.
    assert repr(cascade("scores", max_passes=50, max_queries=500).opening) == "Square(n_queries=50)"
    assert cascade("gradients", max_queries=500).suite


@pytest.mark.parametrize("most", [0, 1, -3, 2.5, True])
def test_a_budget_without_a_question_is_refused(most: Any) -> None:  # noqa: ANN401
    with pytest.raises(Invalid, match="max_queries"):
        sp.audit(natural().model, data(), sp.Linf(0.1), max_queries=most)


class Idle:
    """Asks nothing."""

    def __call__(self, oracle: Any, draw: Any) -> None:  # noqa: ANN401
        return

    def __repr__(self) -> str:
        return "Idle()"


def test_attacks_that_ask_nothing_end() -> None:
    plan = Cascade(Idle(), (Ladder((Idle(),), (10,)),), max_passes=50)
    course = plan.begin(N, 0)
    result = sp.audit(natural().model, data(), sp.Linf(0.1), (sp.Guess(k=1),), figures=0, probes=0)
    evidence = result.evidence
    moves = 0
    while (move := course.next(evidence)) is not None and moves < 50:
        moves += 1
        evidence.rounds.append(Round.empty(f"{moves}", "Idle()", move.stage, move.rows))
    assert moves < 50
    assert Plan(sp.Linf(0.1), plan, n=4).max_queries is None


class Shop:
    """A model with a ledger, which counts how often it is attached and asked anew."""

    def __init__(self, gap: float = 0.0) -> None:
        self.net, self.gap, self.log = natural().model, gap, list[str]()

    def __call__(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.net(x)

    @contextlib.contextmanager
    def attached(self, folder: Path | None) -> Iterator[None]:
        self.log.append(f"open {folder.name if folder else None}")
        yield
        self.log.append("close")

    def drift(self, x: Tensor) -> float:
        self.log.append("drift")
        return self.gap

    def usage(self) -> dict[str, Any]:
        return {"paid": 7}

    def fresh(self) -> "Shop":
        other = Shop()
        other.log = self.log
        self.log.append("fresh")
        return other


def test_a_metered_model_keeps_its_ledger_with_the_run(tmp_path: Path) -> None:
    shop = Shop()
    result = sp.audit(
        shop, data(), sp.Linf(0.1), access="scores", max_queries=9, out=tmp_path / "run"
    )
    assert shop.log == ["open run", "drift", "close"]
    assert result.document["usage"] == {"paid": 7}
    run = Witnesses.load(tmp_path / "run")
    assert replay(run, shop, Pair(*data()), sp.Linf(0.1)).holds
    assert shop.log[-1] == "fresh"


def test_a_metered_model_that_changes_is_found_out() -> None:
    result = sp.audit(Shop(gap=0.3), data(), sp.Linf(0.1), access="scores", max_queries=9)
    said = {f.check: f.verdict for f in result.findings}
    assert said["repeatability"] == "warn"


def test_a_metered_model_under_views_goes_on(tmp_path: Path) -> None:
    """Its ledger repeats answers, and views repeat nothing: other answers are no other model."""
    for _ in range(2):
        result = sp.audit(
            Shop(),
            data(),
            sp.Linf(0.1),
            (sp.Guess(k=1),),
            access="scores",
            under=sp.Expectation(Noise(0.2), draws=1, trials=11),
            n=12,
            figures=0,
            probes=0,
            out=tmp_path / "run",
        )
    assert result.document["plan"]["under"]


def test_other_verbs_keep_the_ledger_with_their_run_as_well(tmp_path: Path) -> None:
    shop = Shop()
    shop.access = "labels"  # type: ignore[attr-defined]
    x, y = data()
    few = (x[:4], y[:4])
    how = sp.Smoothing(sigma=0.1, n=10, n0=2)
    sp.smooth(shop, few, how, out=tmp_path / "smoothed")
    attack = sp.Guess(k=1)
    sp.curve(shop, few, sp.Linf(0.1), attack, access="labels", out=tmp_path / "traced")
    assert [line for line in shop.log if line != "drift"] == [
        "open smoothed",
        "close",
        "open traced",
        "close",
    ]


def test_one_process_asks_a_metered_model(tmp_path: Path) -> None:
    team = Team(rank=0, size=2)
    with pytest.raises(Unsupported, match="one process"):
        sp.audit(Shop(), data(), sp.Linf(0.1), out=tmp_path, team=team, access="scores")


def test_labels_are_no_probabilities() -> None:
    model = natural().model

    def labels(x: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.nn.functional.one_hot(model(x).argmax(1), 10).float()

    result = sp.audit(labels, data(), sp.Linf(0.1), access="labels", max_queries=9, probes=0)
    same = sp.audit(model, data(), sp.Linf(0.1), access="labels", max_queries=9, probes=0)
    assert np.array_equal(result.evidence.verdict(), same.evidence.verdict())
    with pytest.raises(Invalid, match="probabilities"):
        sp.audit(labels, data(), sp.Linf(0.1), access="scores", max_queries=9, probes=0)
