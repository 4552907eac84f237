"""The cascade in a world of its own: samples of known strength, attacks of known reach."""

from collections.abc import Callable

import numpy as np
import pytest

import saddlepoint as sp
from saddlepoint.audit.cascade import Cascade
from saddlepoint.audit.climb import Climb, Ranking
from saddlepoint.audit.evidence import Evidence, Round
from saddlepoint.audit.incompleteness import incompleteness
from saddlepoint.audit.ladder import Ladder
from saddlepoint.audit.plan import Move, Plan
from saddlepoint.core.errors import Invalid
from saddlepoint.core.ledger import Status
from tests.audit.conftest import Subject

N = 1200
OPENING = sp.PGD(steps=20)
STRONG, WEAK = (sp.Square(100), sp.Square(200), sp.Square(400)), (sp.FGSM(), sp.APGD())
LADDERS = (Ladder(STRONG, (100, 200, 400)), Ladder(WEAK, (100, 200)))
SUITE = (sp.PGD(steps=500),)
PASSES = {
    repr(a): p
    for a, p in zip(
        (OPENING, *STRONG, *WEAK, *SUITE), (20, 100, 200, 400, 100, 200, 5000), strict=True
    )
}
Reach = Callable[[str, np.ndarray], np.ndarray]


def reach(arm: str, hardness: np.ndarray) -> np.ndarray:
    """The opening breaks a tenth, longer strong rungs more and more, the weak ladder nothing."""
    most = {repr(OPENING): 0.1} | {
        repr(a): b for a, b in zip(STRONG, (0.13, 0.15, 0.16), strict=True)
    }
    return hardness < most.get(arm, 0.0)


def play(
    plan: Cascade, reach: Reach = reach, n: int = N, noise: float = 0.02, seed: int = 0
) -> tuple[Evidence, list[Move]]:
    rng = np.random.default_rng(3)
    hardness = rng.permutation(n) / n
    e = Evidence.empty(Plan(sp.Linf(eps=0.1), plan, n=n), 10)
    clean = Round.empty("clean", "clean", "clean", np.arange(n))
    clean.status[:], clean.margin[:], clean.forward[:] = 1, -1.0, 1
    e.rounds.append(clean)
    course, moves = plan.begin(n, seed), []
    while (move := course.next(e)) is not None:
        moves.append(move)
        arm = repr(move.attack)
        r = Round.empty(f"{arm} {len(moves)}", arm, move.stage, move.rows)
        hit = reach(arm, hardness[move.rows])
        r.status[:] = np.where(hit, 2, 1)
        r.margin[:] = np.where(hit, 0.1, -hardness[move.rows] - noise * rng.random(len(hit)))
        r.forward[:] = np.where(hit, PASSES[arm] // 2, PASSES[arm])
        e.rounds.append(r)
        assert len(moves) < 200
    return e, moves


def test_what_can_be_broken_within_the_budget_is_broken() -> None:
    e, moves = play(Cascade(OPENING, LADDERS, max_passes=150))
    assert e.passes() <= 150
    assert int(e.marked(Status.BROKEN).sum()) == round(0.16 * N)
    assert repr(moves[0].attack) == repr(OPENING)
    assert len(moves[0].rows) == N


def test_the_pilot_tries_first_rungs_on_the_same_vulnerable_samples() -> None:
    e, moves = play(Cascade(OPENING, LADDERS, max_passes=150))
    pilot = [m for m in moves if m.stage == "pilot"]
    assert [repr(m.attack) for m in pilot] == [repr(STRONG[0]), repr(WEAK[0])]
    assert pilot[0].rows.tolist() == pilot[1].rows.tolist()
    survivors = e.rounds[1].rows[e.rounds[1].status == 1]
    order = survivors[np.argsort(-e.rounds[1].margin[e.rounds[1].status == 1], kind="stable")]
    assert set(pilot[0].rows) == set(order[: len(survivors) // 12])


def test_the_budget_goes_where_breaks_are() -> None:
    e, _ = play(Cascade(OPENING, LADDERS, max_passes=150))
    spent = {name: 0 for name in ("strong", "weak")}
    for r in e.rounds:
        if r.stage == "attack" and r.arm != repr(OPENING):
            spent["strong" if "Square" in r.arm else "weak"] += r.passes
    assert spent["strong"] > 3 * spent["weak"] > 0


def spent_by_rung(e: Evidence) -> list[int]:
    rungs = [r for r in e.rounds if r.stage == "attack"]
    return [sum(r.passes for r in rungs if r.arm == repr(a)) for a in STRONG]


@pytest.mark.parametrize("pays", [0, 2])
def test_the_rung_that_breaks_gets_the_ladders_money(pays: int) -> None:
    """By chance, and so independent of the ranking: one rung breaks six in ten, others none."""

    def lucky(arm: str, hardness: np.ndarray) -> np.ndarray:
        return (hardness * 7919 % 1 < 0.6) if arm == repr(STRONG[pays]) else hardness < 0

    e, _ = play(Cascade(OPENING, LADDERS[:1], max_passes=(80, 0, 200)[pays]), lucky)
    spent = spent_by_rung(e)
    if pays == 0:
        assert spent[0] > 1.5 * (spent[1] + spent[2]) > 0
    else:  # nobody comes up there without the rungs below
        assert spent[2] > 0.4 * sum(spent)


def test_what_finds_nobody_on_high_rungs_goes_to_those_below() -> None:
    """Whatever meets the first rung breaks, so that nobody comes to the others' shares."""

    def everything(arm: str, hardness: np.ndarray) -> np.ndarray:
        return (hardness >= 0) if arm == repr(STRONG[0]) else hardness < 0

    e, moves = play(Cascade(OPENING, LADDERS[:1], max_passes=300), everything)
    assert int(e.marked(Status.BROKEN).sum()) == N
    assert max(len(m.rows) for m in moves[2:]) > 200  # its own share pays for 170


def test_the_first_cycle_spends_what_its_shares_were_learnt_from() -> None:
    e, moves = play(Cascade(OPENING, LADDERS, max_passes=300))
    spent = [r.passes for r in e.rounds[1:]]
    pilot = [i for i, m in enumerate(moves) if m.stage == "pilot"]
    order = [repr(a) for a in (*STRONG, *WEAK)]
    place = [order.index(repr(m.attack)) for m in moves[pilot[-1] + 1 :]]
    first = next(i for i in range(1, len(place)) if place[i] <= place[i - 1])
    assert 0 < sum(spent[pilot[-1] + 1 :][:first]) <= sum(spent[i] for i in pilot)


def test_rungs_that_nobody_is_left_below_get_nothing() -> None:
    climb, ranking = Climb(LADDERS[0], 4), Ranking(4)
    climb.meet(np.arange(4))
    climb.begin(ranking)
    assert climb.share[0] == 0
    assert climb.share.sum() == pytest.approx(1)


def test_a_rung_waits_until_it_can_be_paid_for_a_batch() -> None:
    e, moves = play(Cascade(OPENING, LADDERS[:1], max_passes=120))
    level = np.zeros(N, dtype=int)
    alive = np.ones(N, dtype=bool)
    for move, r in zip(moves, e.rounds[1:], strict=True):
        arm = repr(move.attack)
        if arm != repr(OPENING):
            rung = [repr(a) for a in STRONG].index(arm)
            waiting = int((alive & (level == rung)).sum())
            assert move.stage == "pilot" or len(move.rows) >= min(N // 64, waiting)
            level[move.rows] = rung + 1
        alive[r.where(Status.BROKEN)] = False


def test_a_rung_is_left_out_where_its_share_pays_for_no_sample() -> None:
    dear = Ladder((STRONG[0], STRONG[2]), (100, 2000))
    _, moves = play(Cascade(OPENING, (dear, LADDERS[1]), max_passes=150), n=60)
    assert repr(STRONG[0]) in [repr(m.attack) for m in moves]
    assert repr(STRONG[2]) not in [repr(m.attack) for m in moves]


@pytest.mark.parametrize("budget", [40, 77, 150, 1000])
def test_no_pass_beyond_the_budget(budget: int) -> None:
    e, _ = play(Cascade(OPENING, LADDERS, max_passes=budget))
    assert budget * 0.95 <= e.passes() <= budget


def test_ladders_that_cost_more_than_declared_are_held_to_the_budget() -> None:
    cheap = (Ladder(STRONG, (10, 20, 40)), Ladder(WEAK, (10, 20)))
    e, _ = play(Cascade(OPENING, cheap, max_passes=200))
    first = next(i for i, r in enumerate(e.rounds) if r.stage == "attack" and i > 1)
    known = sum(r.passes for r in e.rounds[: first + 5]) / N
    assert e.passes() <= max(200, known)


def test_no_sample_meets_a_rung_before_the_one_below_it() -> None:
    _, moves = play(Cascade(OPENING, LADDERS, max_passes=200))
    met: dict[int, int] = {}
    for move in moves:
        if repr(move.attack) in [repr(a) for a in STRONG]:
            rung = [repr(a) for a in STRONG].index(repr(move.attack))
            assert all(met.get(row, 0) >= rung for row in move.rows.tolist())
            met |= dict.fromkeys(move.rows.tolist(), rung + 1)


def test_survivors_meet_the_suite_at_random_and_bound_what_was_missed() -> None:
    plan = Cascade(OPENING, LADDERS, SUITE, max_passes=600, suite_passes=5000)
    e, moves = play(plan)
    suite = [m for m in moves if m.stage == "suite"]
    assert len(suite) == 1
    assert len(suite[0].rows) == int(0.2 * 600 * N / 5000) == 28
    assert e.passes() <= 600
    found = incompleteness(e)
    assert found is not None
    assert (found["audited"], found["broken"]) == (28, 0)
    assert found["share_at_most"] == pytest.approx(1 - 0.05 ** (1 / 28))
    assert found["low"] == pytest.approx(0.84 * 0.05 ** (1 / 28), abs=2e-3)


def test_the_seed_decides_which_survivors_are_audited() -> None:
    plan = Cascade(OPENING, LADDERS, SUITE, max_passes=600, suite_passes=5000)
    rows = [next(m for m in play(plan, seed=s)[1] if m.stage == "suite").rows for s in (0, 1)]
    assert rows[0].tolist() != rows[1].tolist()
    assert N / 4 < rows[0].mean() < 3 * N / 4


def test_a_break_by_the_suite_is_followed_up() -> None:
    def more(arm: str, hardness: np.ndarray) -> np.ndarray:
        return hardness < 0.5 if arm == repr(SUITE[0]) else reach(arm, hardness)

    plan = Cascade(OPENING, LADDERS, SUITE, max_passes=600, suite_passes=5000)
    e, moves = play(plan, more)
    last = moves.index(next(m for m in moves if m.stage == "suite"))
    assert any(repr(m.attack) == repr(SUITE[0]) for m in moves[last + 1 :])
    assert 600 < e.passes() <= 1200
    found = incompleteness(e)
    assert found is not None
    assert found["broken"] > 5
    assert found["low"] < 0.5
    firm, _ = play(Cascade(OPENING, LADDERS, SUITE, 600, suite_passes=5000, grow=False), more)
    assert firm.passes() <= 600


def test_survivors_on_request_come_on_top_of_the_budget() -> None:
    plan = Cascade(OPENING, LADDERS, SUITE, max_passes=100, suite_passes=5000, survivors=40)
    e, moves = play(plan)
    assert len(next(m for m in moves if m.stage == "suite").rows) == 40
    assert e.passes() <= 100 + 40 * 5000 / N + 1e-9


@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_few_samples(n: int) -> None:
    e, _ = play(Cascade(OPENING, LADDERS, SUITE, max_passes=3000, suite_passes=5000), n=n)
    assert int(e.marked(Status.BROKEN).sum()) == int(np.ceil(0.16 * n))


@pytest.mark.parametrize("n", [20, 48, 90])
def test_it_ends_where_few_wait_on_high_rungs(n: int) -> None:
    e, _ = play(Cascade(OPENING, LADDERS, max_passes=3000), lambda arm, h: h < 0.05, n=n)
    assert e.passes() <= 3000


def test_it_ends_when_everything_is_broken() -> None:
    e, moves = play(Cascade(OPENING, LADDERS, SUITE), lambda arm, h: h < 2)
    assert len(moves) == 1
    assert e.passes() < 20


def test_repeats_say_how_much_is_unseen() -> None:
    """One arm breaks the even pilot samples, the other all in four: Chao counts the gap."""

    def parity(arm: str, hardness: np.ndarray) -> np.ndarray:
        number = np.round(hardness * N).astype(int)
        return (number % {repr(STRONG[0]): 2, repr(WEAK[0]): 4}.get(arm, 10**9)) == 0

    e, _ = play(Cascade(OPENING, LADDERS, max_passes=60), parity)
    found = incompleteness(e)
    assert found is not None
    once, twice = found["residual"]["seen_once"], found["residual"]["seen_twice"]
    assert once > 5
    assert twice > 5
    assert found["residual"]["unseen"] == pytest.approx(once**2 / (2 * twice) / 2)


def check_set_and_access(subject: Subject, access: str, threat: object) -> None:
    data = (subject.x, subject.y)
    result = sp.audit(subject.model, data, threat, access=access, effort="quick", figures=0)
    assert result.document["plan"]["suite"] == "cascade"
    assert not [f for f in result.findings if f.verdict == "fail"]
    assert result.robust_accuracy <= result.clean_accuracy
    used = sum(int(r.backward.sum()) for r in result.evidence.rounds)
    assert (used > 0) == (access == "gradients")


SETS = [sp.Linf(0.05), sp.L2(0.5), sp.L1(3.0), sp.L0(3), sp.Quantize(sp.Linf(16 / 255))]


@pytest.mark.parametrize("access", ["gradients", "scores", "labels"])
def test_every_access(subject: Subject, access: str) -> None:
    check_set_and_access(subject, access, sp.Linf(0.05))


@pytest.mark.slow
@pytest.mark.parametrize("access", ["gradients", "scores", "labels"])
@pytest.mark.parametrize("threat", SETS, ids=repr)
def test_every_set_and_access(subject: Subject, access: str, threat: object) -> None:
    check_set_and_access(subject, access, threat)


@pytest.mark.slow
def test_it_is_as_strong_as_exhaustive_search_on_a_linear_model(subject: Subject) -> None:
    threat, data = sp.Linf(0.05), (subject.x, subject.y)
    exact = sp.audit(subject.model, data, threat, (sp.Targets(sp.PGD(loss="margin"), n=9),))
    found = sp.audit(subject.model, data, threat)
    assert (found.evidence.verdict() == 2).tolist() == (exact.evidence.verdict() == 2).tolist()


def test_bad_arguments(subject: Subject) -> None:
    data = (subject.x, subject.y)
    for options, message in (
        ({"effort": "much"}, "known: quick, standard, thorough"),
        ({"max_passes": 0}, "a positive number"),
        ({"survivors": -1}, "a whole number >= 0"),
        ({"attacks": "autoatack"}, "did you mean autoattack"),
        ({"attacks": (sp.FGSM(),), "max_passes": 10}, "left out beside attacks"),
    ):
        with pytest.raises(Invalid, match=message):
            sp.audit(subject.model, data, sp.Linf(0.05), **options)
