"""Certificates with planes that lean: sound ones pass, mutated ones are refused."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from saddlepoint.core.goal import Untargeted
from saddlepoint.threats import Linf
from saddlepoint.verify.certificate import Certificate
from saddlepoint.verify.certify import certify_tree
from saddlepoint.verify.checker import Checker
from saddlepoint.verify.ladder import Ladder, Rung
from saddlepoint.verify.packing import pack, unpack
from saddlepoint.verify.proof.inputs import Inputs, inputs
from saddlepoint.verify.region import region
from saddlepoint.verify.spec import Spec, margins
from saddlepoint.verify.tracing import trace
from tests.verify.certified import CLASSES, net

SEED, EPS = 70, 0.16
Proved = tuple[Certificate, Checker, Inputs, Spec]


@pytest.fixture(scope="module")
def proved() -> Proved:
    """A net whose few subproblems are not enough without planes."""
    model, threat = net(SEED), Linf(eps=EPS)
    x = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(SEED))
    spec = margins(Untargeted(model(x).argmax(1)), CLASSES, x)
    search = Ladder(seconds=60, subproblems=24, rungs=(Rung.BRANCH,))
    with pytest.MonkeyPatch.context() as patch:  # so few subproblems get no planes otherwise
        patch.setattr("saddlepoint.verify.ladder._FEW", 0)
        (verdict,) = search(trace(model, (1, 4, 4)), region(threat, x), spec)
    assert verdict.proof is not None
    assert verdict.proof.problem is not None
    assert verdict.proof.tree is not None
    checker, where = Checker.of(model, (1, 4, 4)), inputs(threat, x[0])
    certificate = certify_tree(verdict.proof.problem, verdict.proof.tree, where, checker)
    assert certificate is not None
    return certificate, checker, where, spec


def test_few_subproblems_are_not_spent_on_a_second_start() -> None:
    model, threat = net(SEED), Linf(eps=EPS)
    x = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(SEED))
    spec = margins(Untargeted(model(x).argmax(1)), CLASSES, x)
    task = trace(model, (1, 4, 4)), region(threat, x), spec
    plain = Ladder(seconds=60, subproblems=24, rungs=(Rung.BRANCH,))
    chords = replace(plain, refine=replace(plain.refine, lean=False))
    ((one,), (other,)) = plain(*task), chords(*task)
    assert (one.bound, one.spent) == (other.bound, other.spent)


def test_a_certificate_with_planes_passes(proved: Proved) -> None:
    certificate, checker, where, spec = proved
    assert int((certificate.lean >= 0).sum()) > 0
    assert int(certificate.crest.min()) >= 0
    assert checker(certificate, where, spec) == ""
    (back,) = unpack(pack([certificate]))
    assert torch.equal(back.roof, certificate.roof)
    assert checker(back, where, spec) == ""


def test_any_s_is_sound(proved: Proved) -> None:
    """Other planes above the leaves may leave some open; they never close a larger set."""
    certificate, checker, _, spec = proved
    where = proved[2]
    wide = inputs(Linf(eps=0.5), where.x.float() if where.x is not None else where.low.float())
    for seed in range(3):
        draw = torch.Generator().manual_seed(seed)
        roof = torch.randint(0, 256, certificate.roof.shape, generator=draw).to(torch.uint8)
        assert checker(replace(certificate, roof=roof), wide, spec) != ""


MUTATIONS: dict[str, tuple[Callable[[Certificate], Certificate], str]] = {
    "other planes": (
        lambda c: replace(c, roof=255 - c.roof),
        "a tighter interval than can be shown",
    ),
    "no planes for intervals": (
        lambda c: replace(c, lean=c.lean.clamp(max=-1)),
        "a tighter interval than can be shown",
    ),
    "an interval by planes that are not there": (
        lambda c: replace(c, lean=c.lean + len(c.roof)),
        "planes that are missing",
    ),
    "a group by planes that are not there": (
        lambda c: replace(c, crest=c.crest + len(c.roof)),
        "planes that are missing",
    ),
    "a group by planes below any": (
        lambda c: replace(c, crest=c.crest * 0 - 2),
        "planes that are missing",
    ),
    "planes of fewer inputs": (
        lambda c: replace(c, roof=c.roof[:, :-1]),
        "planes above other elements",
    ),
    "planes of more inputs": (
        lambda c: replace(c, roof=c.roof.repeat(1, 2)),
        "planes above other elements",
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutated_certificate_is_refused(name: str, proved: Proved) -> None:
    certificate, checker, where, spec = proved
    mutate, reason = MUTATIONS[name]
    assert reason in checker(mutate(certificate), where, spec)


@pytest.mark.parametrize("column", range(19))
@pytest.mark.parametrize("step", [-1, 1])
def test_packed_sizes_that_lie(column: int, step: int, proved: Proved) -> None:
    from saddlepoint.core.errors import BadData

    certificate, checker, where, spec = proved
    packed = pack([certificate])
    packed["sizes"][0, column] += step
    try:
        (back,) = unpack(packed)
    except BadData:
        return
    assert checker(back, where, spec) != ""
