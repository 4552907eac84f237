"""Audits by labels: which arms, and samples ranked by how far away the closest break is."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.audit.climb import Ranking
from saddlepoint.audit.evidence import Round
from saddlepoint.audit.suites import autoattack, cascade
from saddlepoint.audit.sweep import default_nearest
from saddlepoint.core.errors import Unsupported
from tests.audit.nets import natural

N = 40


def names(attacks: Any) -> set[str]:  # noqa: ANN401
    return {repr(a).split("(")[0] for a in attacks}


@pytest.mark.parametrize(
    ("threat", "opening", "arms"),
    [
        (sp.Linf(0.1), "RayS(n_queries=50)", {"RayS", "Sequence"}),
        (sp.L2(1.0), "RayS(n_queries=50)", {"Sequence"}),
        (sp.Patch(2, at=(1, 1)), "Guess(k=20)", {"Guess"}),
    ],
    ids=["box", "ball", "no sizes"],
)
def test_arms_suit_the_set(threat: Any, opening: str, arms: set[str]) -> None:  # noqa: ANN401
    plan = cascade("labels", threat=threat)
    assert repr(plan.opening) == opening
    assert names(rung for ladder in plan.ladders for rung in ladder.rungs) == arms
    plan.check(threat, "labels")
    whole = names(autoattack("labels", threat))
    assert whole == ({"Guess"} if arms == {"Guess"} else {"RayS", "HopSkipJump"})


def test_a_limit_for_each_sample_is_one_long_run() -> None:
    box, ball = (cascade("labels", threat=t, max_queries=400) for t in (sp.Linf(0.1), sp.L2(1.0)))
    assert repr(box.opening) == "Sequence((RayS(n_queries=399), HopSkipJump(n_queries=399)))"
    assert repr(ball.opening) == "Sequence((RayS(n_queries=100), HopSkipJump(n_queries=299)))"
    patch = cascade("labels", threat=sp.Patch(2, at=(1, 1)), max_queries=40)
    assert repr(patch.opening) == "Guess(k=39)"


def data() -> tuple[Tensor, Tensor]:
    return sp.load_data("digits").split("test").batch(torch.arange(N))


@pytest.fixture(scope="module")
def audited() -> sp.Audit:
    return sp.audit(
        natural().model, data(), sp.Linf(0.1), (sp.RayS(n_queries=100),), access="labels", probes=0
    )


def test_what_stands_is_ranked_by_the_break_beyond_the_set(audited: sp.Audit) -> None:
    r = audited.evidence.rounds[-1]
    stands = r.status == 1
    x, y = (t[torch.from_numpy(r.rows[stands])] for t in data())
    found = sp.nearest(sp.RayS(n_queries=100), natural().model, x, y, sp.Linf(1.0), access="labels")
    assert stands.any()
    assert (r.margin[stands] <= 0).all()
    assert (r.margin[stands] >= -1).all()
    # The same walk, but that one snaps its questions to another size: the order is about the same.
    share = 0.1 / found.size.numpy() - 1
    assert np.corrcoef(share, r.margin[stands])[0, 1] > 0.9
    assert (r.margin[r.status == 2] > 0).all()


def test_labels_break_what_guesses_do_not(audited: sp.Audit) -> None:
    guessed = sp.audit(
        natural().model, data(), sp.Linf(0.1), (sp.Guess(k=100),), access="labels", probes=0
    )
    assert audited.robust_accuracy < guessed.robust_accuracy - 0.1


def test_a_clean_margin_that_nobody_sees_ranks_nothing() -> None:
    ranking, r = Ranking(3), Round.empty("clean", "clean", "clean", np.arange(3))
    r.status[:], r.margin[:] = (1, 2, 1), (-0.5, 0.5, -0.1)
    ranking.observe(r, told=False)
    assert np.isneginf(ranking.margin).all()
    assert ranking.open.tolist() == [True, False, True]
    ranking.observe(r)
    assert ranking.rows(1).tolist() == [2]


def test_a_curve_from_labels() -> None:
    x, y = data()
    found = sp.curve(natural().model, (x, y), sp.Linf(1.0), sp.RayS(60), access="labels")
    by_hand = sp.nearest(sp.RayS(60), natural().model, x, y, sp.Linf(1.0), access="labels")
    assert found.distance == pytest.approx(by_hand.size.numpy(), abs=1e-5)
    assert found.document["plan"]["access"] == "labels"
    assert found.at(0.1).accuracy > found.at(0.3).accuracy
    with pytest.raises(Unsupported, match="needs access to gradients"):
        sp.curve(natural().model, (x, y), sp.Linf(1.0), sp.FMN(), access="labels")


def test_the_attack_of_a_curve_asks_no_more_than_it_may() -> None:
    assert repr(default_nearest(sp.Linf(0.3), "labels")).startswith("Sequence((RayS(")
    assert repr(default_nearest(sp.Linf(0.3))) == "DDN()"
