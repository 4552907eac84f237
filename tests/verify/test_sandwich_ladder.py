"""Verdicts of the whole ladder: nothing breaks what is certified, what is found is a break."""

import random

import pytest
import torch
from nets import random_model
from test_sandwich import ROUNDING, attacked, members, threat_for

from saddlepoint.core.goal import Goal, Targeted, Untargeted
from saddlepoint.threats import L2, Linf
from saddlepoint.verify.ladder import Ladder, Rung, Verdict
from saddlepoint.verify.planes import lower_rows
from saddlepoint.verify.region import region
from saddlepoint.verify.spec import margins
from saddlepoint.verify.tracing import trace


def verdicts(seed: int) -> list[Verdict]:
    """Bound and attack a random model; assert that both sides fit together."""
    model, shape = random_model(seed)
    net = trace(model.requires_grad_(False), shape)
    x = torch.rand(2, *shape, generator=torch.Generator().manual_seed(seed))
    threat, label = threat_for(seed), model(x).argmax(1)
    r = random.Random(seed)  # noqa: S311 - no secret
    goal: Goal = Untargeted(label) if r.random() < 0.7 else Targeted((label + 1) % 3)
    where, spec = region(threat, x), margins(goal, 3, x)
    found = Ladder(seconds=1e9, subproblems=40)(net, where, spec)
    xs = members(threat, x, where, seed)
    rows = attacked(net, where, xs, lower_rows(net, spec.weight))
    for i, verdict in enumerate(found):
        one = torch.tensor([i])
        worst = max(float(spec[one].margin(net.forward(z[one]))) for z in xs)
        if len(spec.group.unique()) == len(spec.group):  # every row by itself breaks the sample
            worst = max(worst, float(-rows[i].amin()))
        room = ROUNDING * (1 + float(rows[i].abs().amax()))
        if verdict.found is None:
            assert worst <= verdict.bound + room, f"seed {seed}, {threat}, sample {i}"
        assert not verdict.certified or verdict.bound <= 0
        assert verdict.certified == (verdict.proof is not None)
        if verdict.found is not None:
            assert not verdict.certified
            assert spec[one].margin(model(verdict.found)) > 0
            assert threat[one].contains(x[one], verdict.found - x[one], 1e-6).all()
    return found


@pytest.mark.parametrize("seed", range(12))
def test_verdicts_hold(seed: int) -> None:
    assert len(verdicts(seed)) == 2


def test_the_bound_of_a_broken_sample_is_a_bound_too() -> None:
    broken = [v for v in verdicts(5021) if v.found is not None]
    assert broken
    assert all(v.bound > 0 for v in broken)


def test_a_model_may_bend_its_very_input() -> None:
    model = torch.nn.Sequential(torch.nn.Hardtanh(0.3, 0.6), torch.nn.Linear(5, 3))
    torch.manual_seed(0)
    net, x = trace(model.requires_grad_(False), (5,)), torch.rand(4, 5)
    spec = margins(Untargeted(model(x).argmax(1)), 3, x)
    for threat in (Linf(eps=0.2), Linf(eps=0.4), L2(eps=0.4)):
        found = Ladder(seconds=1e9, subproblems=40)(net, region(threat, x), spec)
        if isinstance(threat, Linf):  # functions of the input alone keep a box a box
            assert all(v.certified or v.found is not None for v in found)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(4))
def test_verdicts_hold_for_many_models_and_come_from_every_rung(part: int) -> None:
    rungs: set[Rung] = set()
    broken = 0
    for seed in range(5000 + 100 * part, 5100 + 100 * part):
        for verdict in verdicts(seed):
            rungs |= {verdict.rung} if verdict.certified else set()
            broken += verdict.found is not None
    # Slopes alone decide so few that not every part has one.
    assert rungs >= {Rung.IBP, Rung.CROWN, Rung.BRANCH}
    assert broken > 5
