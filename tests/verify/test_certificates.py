"""Certificates: a sound one passes, and every mutation of it is refused."""

import copy
from collections.abc import Callable
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import BadData, Unsupported
from saddlepoint.core.goal import Targeted, Untargeted
from saddlepoint.models import ThresholdStem
from saddlepoint.threats import L1, L2, Linf, Quantize
from saddlepoint.verify.alpha import Ascent
from saddlepoint.verify.branch import Branch
from saddlepoint.verify.certificate import Certificate
from saddlepoint.verify.certify import certify_ibp, certify_tree
from saddlepoint.verify.checker import Checker
from saddlepoint.verify.grounding import grounded
from saddlepoint.verify.ladder import Ladder, Rung
from saddlepoint.verify.operators.piecewise import Bend, Clip
from saddlepoint.verify.operators.rearrange import Sift
from saddlepoint.verify.operators.smooth import GELU, SIGMOID, SILU, SOFTPLUS, TANH, elu
from saddlepoint.verify.packing import pack, unpack
from saddlepoint.verify.proof.inputs import inputs
from saddlepoint.verify.proof.lines import image, lines
from saddlepoint.verify.refine import Refine
from saddlepoint.verify.region import region
from saddlepoint.verify.spec import margins
from saddlepoint.verify.tracing import trace
from tests.verify.certified import CLASSES, Case, case, hard_case, net

SOUND = Linf(eps=0.096)
SEED = 18


@pytest.fixture(scope="module")
def proved() -> tuple[Case, Certificate]:
    """A leaky ReLU net whose search needed splits."""
    found = case(SEED, SOUND)
    certificate = found.certificate()
    assert found.verdict.certified
    assert certificate is not None
    return found, certificate


def test_a_sound_certificate_passes(proved: tuple[Case, Certificate]) -> None:
    found, certificate = proved
    assert len(certificate.split) >= 3
    assert len(certificate.beta) > 0
    assert int((certificate.claim >= 0).sum()) > 0
    assert found.checker(certificate, found.where, found.spec) == ""


def test_a_leaf_may_bound_a_sum_of_rows() -> None:
    """No single row of the goal bounds every leaf: other weights leave one open."""
    found = case(108, Linf(eps=0.1))
    certificate = found.certificate()
    assert certificate is not None
    assert certificate.weights.shape == (len(certificate.leaf), 2)
    assert found.checker(certificate, found.where, found.spec) == ""
    for weights in (certificate.weights.flip(1), torch.ones_like(certificate.weights)):
        other = replace(certificate, weights=weights)
        assert "open by" in found.checker(other, found.where, found.spec)
    doubled = replace(certificate, weights=2 * certificate.weights)
    assert found.checker(doubled, found.where, found.spec) == ""


@pytest.mark.parametrize("seed", [1, 12, 27])
def test_leaves_closed_by_a_linear_program(seed: int) -> None:
    """Without ascent the search splits until nothing is bent, or nothing bends what it bounds."""
    torch.manual_seed(seed)
    layers = nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)
    model = nn.Sequential(*layers).requires_grad_(False)
    for parameter in model.parameters():
        parameter *= 4
    x = torch.rand(1, 3)
    y = model(x).argmax(1)
    goal = Untargeted(y) if seed % 3 else Targeted((y + 1) % 3)
    spec, checker = margins(goal, 3, x), Checker.of(model, (3,))
    still = Ascent(steps=0)
    search = Ladder(
        60, 2000, (Rung.BRANCH,), alpha=still, refine=Refine(still), branch=Branch(steps=0)
    )
    held = 0
    for eps in (0.2, 0.25, 0.2656, 0.375, 0.4688, 0.5):
        threat = Linf(eps=eps)
        (verdict,) = search(trace(model, (3,)), region(threat, x), spec)
        if verdict.proof is None:
            continue
        assert verdict.proof.problem is not None
        assert verdict.proof.tree is not None
        where = inputs(threat, x[0])
        certificate = certify_tree(verdict.proof.problem, verdict.proof.tree, where, checker)
        assert certificate is not None
        assert checker(certificate, where, spec) == ""
        held += 1
    assert held >= 2


def changed(tensor: Tensor, place: tuple[int, ...], value: float) -> Tensor:
    tensor = tensor.clone()
    tensor[place] = value
    return tensor


def leaf_dropped(c: Certificate) -> Certificate:
    return replace(c, leaf=c.leaf[:-1], weights=c.weights[:-1])


def leaf_twice(c: Certificate) -> Certificate:
    below = int(c.split[0, 2])
    return replace(c, split=changed(c.split, (0, 3), below))


def loop(c: Certificate) -> Certificate:
    return replace(c, split=changed(c.split, (0, 2), 0))


def other_element(c: Certificate) -> Certificate:
    moved = (c.split[:, 1] + 3) % 8
    return replace(c, split=torch.cat([c.split[:, :1], moved[:, None], c.split[:, 2:]], 1))


def sides_swapped(c: Certificate) -> Certificate:
    return replace(c, split=c.split[:, [0, 1, 3, 2]])


def tightened(c: Certificate) -> Certificate:
    return replace(c, low=c.low + 0.02 * (c.high - c.low))


def tightened_above(c: Certificate) -> Certificate:
    k = len(c.high) - 1
    return replace(c, high=changed(c.high, (k,), float(c.high[k] - 1e-4)))


def named(c: Certificate) -> Tensor:
    """Which rows of t show intervals."""
    rows = torch.zeros(len(c.t), dtype=torch.bool)
    return rows.index_fill(0, c.claim[c.claim >= 0].long(), True)


MUTATIONS: dict[str, tuple[Callable[[Certificate], Certificate], str]] = {
    "a low end raised": (tightened, "a tighter interval than can be shown"),
    "a high end lowered": (tightened_above, "a tighter interval than can be shown"),
    "an interval upside down": (lambda c: replace(c, low=c.high + 1), "an interval that is none"),
    "an interval of NaN": (lambda c: replace(c, low=c.low * torch.nan), "an interval that is none"),
    "an endless interval": (
        lambda c: replace(c, low=c.low - torch.inf),
        "an interval that is none",
    ),
    "t above 1": (lambda c: replace(c, t=c.t.double() / 255 + 0.1), "a slope outside [0, 1]"),
    "t below 0": (lambda c: replace(c, t=c.t.double() / 255 - 0.1), "a slope outside [0, 1]"),
    "t is NaN": (lambda c: replace(c, t=c.t.double() * torch.nan), "a slope outside [0, 1]"),
    "t of fewer elements": (lambda c: replace(c, t=c.t[:, :-1]), "slopes for other elements"),
    "a leaf without t": (lambda c: replace(c, t=c.t[:0]), "a leaf whose slopes are missing"),
    "beta below 0": (lambda c: replace(c, beta=c.beta - 0.1), "multipliers"),
    "beta is NaN": (lambda c: replace(c, beta=c.beta * torch.nan), "multipliers"),
    "beta without end": (lambda c: replace(c, beta=c.beta + torch.inf), "multipliers"),
    "a beta missing": (lambda c: replace(c, beta=c.beta[1:]), "multipliers"),
    "a leaf dropped": (leaf_dropped, "a tree"),
    "a leaf in two places": (leaf_twice, "two places"),
    "a split below itself": (loop, "two places"),
    "a tree dropped": (
        lambda c: replace(c, root=c.root[1:], crest=c.crest[1:]),
        "groups of rows",
    ),
    "a part too many": (
        lambda c: replace(
            c, leaf=torch.cat([c.leaf, c.leaf[:1]]), weights=torch.cat([c.weights, c.weights[:1]])
        ),
        "no root leads to",
    ),
    "another element split": (other_element, "open by"),
    "an element that is not there": (
        lambda c: replace(c, split=changed(c.split, (0, 1), 999)),
        "does not have",
    ),
    "sides swapped": (sides_swapped, "open by"),
    "cut elsewhere": (lambda c: replace(c, at=c.at + 0.5), "open by"),
    "weights of other rows": (lambda c: replace(c, weights=c.weights.repeat(1, 2)), "weights"),
    "weights below 0": (lambda c: replace(c, weights=-c.weights), "weights"),
    "weights all 0": (lambda c: replace(c, weights=c.weights * 0), "weights"),
    "weights of NaN": (lambda c: replace(c, weights=c.weights * torch.nan), "weights"),
    "weights without end": (lambda c: replace(c, weights=c.weights + torch.inf), "weights"),
    "an interval by t that is not there": (
        lambda c: replace(c, claim=changed(c.claim, (0, 0), len(c.t))),
        "an interval whose slopes are missing",
    ),
    "an interval by t below any": (
        lambda c: replace(c, claim=changed(c.claim, (0, 0), -2)),
        "an interval whose slopes are missing",
    ),
    "an interval by another t": (
        lambda c: replace(c, t=torch.where(named(c)[:, None], 255 - c.t, c.t)),
        "a tighter interval than can be shown",
    ),
    "an interval by the rule alone": (
        lambda c: replace(c, claim=c.claim.clamp(max=-1)),
        "a tighter interval than can be shown",
    ),
    "stored elements missing": (
        lambda c: replace(c, stored=torch.cat([c.stored, c.stored[:1] & False])),
        "intervals for",
    ),
    "claimed by intervals": (lambda c: Certificate(), "intervals leave group"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutated_certificate_is_refused(name: str, proved: tuple[Case, Certificate]) -> None:
    found, certificate = proved
    mutate, reason = MUTATIONS[name]
    said = found.checker(mutate(certificate), found.where, found.spec)
    assert reason in said


@pytest.mark.parametrize("what", ["x", "eps", "range", "label"])
def test_a_certificate_is_about_one_question(what: str, proved: tuple[Case, Certificate]) -> None:
    found, certificate = proved
    where, spec = found.where, found.spec
    if what == "x":
        where = inputs(SOUND, 1 - found.x[0])
    elif what == "eps":
        where = inputs(Linf(eps=0.11), found.x[0])
    elif what == "range":
        where = inputs(Linf(eps=0.096, box=(-1.0, 2.0)), found.x[0])
    else:
        y = (found.goal.label + 1) % CLASSES
        spec = margins(Untargeted(y), CLASSES, found.x)
    assert found.checker(certificate, where, spec) != ""


def test_a_certificate_is_about_one_model(proved: tuple[Case, Certificate]) -> None:
    found, certificate = proved
    other = copy.deepcopy(found.model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter *= 1.01
    assert Checker.of(other, (1, 4, 4))(certificate, found.where, found.spec) != ""


def test_no_certificate_for_what_an_attack_breaks() -> None:
    """The tree of a smaller set, claimed for one with a break in it."""
    found = case(SEED, SOUND)
    certificate, wide = found.certificate(), Linf(eps=0.5)
    assert certificate is not None
    many = found.x.expand(2000, -1, -1, -1)
    u = wide.sample(many, Draw.of(0, torch.arange(2000)))
    assert bool((found.model(many + u).argmax(1) != found.goal.label).any())
    where = inputs(wide, found.x[0])
    assert found.checker(certificate, where, found.spec) != ""
    assert found.checker(Certificate(), where, found.spec) != ""


def test_an_open_search_gives_no_certificate() -> None:
    found = case(SEED, Linf(eps=0.5))
    assert not found.verdict.certified
    assert found.certificate() is None


def test_a_tree_with_something_open_gives_no_certificate(proved: tuple[Case, Certificate]) -> None:
    found, _ = proved
    proof = found.verdict.proof
    assert proof is not None
    assert proof.problem is not None
    assert proof.tree is not None
    leaves, roots = dict(proof.tree.leaves), dict(proof.tree.roots)
    leaves.popitem()
    roots.popitem()
    for tree in (replace(proof.tree, leaves=leaves), replace(proof.tree, roots=roots)):
        assert certify_tree(proof.problem, tree, found.where, found.checker) is None


def test_intervals_alone_prove_a_small_set() -> None:
    found = case(SEED, Linf(eps=0.001))
    certificate = certify_ibp(found.checker, found.where, found.spec)
    assert certificate is not None
    assert certificate.nbytes == 0
    assert certify_ibp(found.checker, inputs(SOUND, found.x[0]), found.spec) is None


def test_packing_keeps_every_part(proved: tuple[Case, Certificate]) -> None:
    _, certificate = proved
    back = unpack(pack([certificate, Certificate(), certificate]))
    assert [c.method for c in back] == ["planes", "ibp", "planes"]
    for one in (back[0], back[2]):
        for name in (f.name for f in fields(certificate) if f.name != "method"):
            assert torch.equal(getattr(one, name), getattr(certificate, name))


@pytest.mark.parametrize(
    "name", ["stored", "low", "claim", "root", "split", "weights", "beta", "t"]
)
def test_packed_parts_that_do_not_fit(name: str, proved: tuple[Case, Certificate]) -> None:
    packed = pack([proved[1]])
    for wrong in (packed[name][:-1], torch.cat([packed[name], packed[name][:1]])):
        with pytest.raises(BadData):
            unpack({**packed, name: wrong})
    with pytest.raises(BadData):
        unpack({**packed, name: packed[name].to(torch.float16)})
    with pytest.raises(BadData):
        unpack({k: v for k, v in packed.items() if k != name})


def test_another_format_is_refused(proved: tuple[Case, Certificate]) -> None:
    packed = pack([proved[1]])
    for other in (torch.tensor([2]), torch.tensor([3, 3]), torch.tensor(0)):
        with pytest.raises(BadData, match="format"):
            unpack({**packed, "version": other})
    with pytest.raises(BadData, match="format"):
        unpack({k: v for k, v in packed.items() if k != "version"})


@pytest.mark.parametrize("column", range(19))
@pytest.mark.parametrize("step", [-1, 1, 1 << 40])
def test_packed_sizes_that_lie(column: int, step: int, proved: tuple[Case, Certificate]) -> None:
    packed = pack([proved[1]])
    packed["sizes"][0, column] += step
    found, _ = proved
    try:
        (certificate,) = unpack(packed)
    except BadData:
        return
    assert found.checker(certificate, found.where, found.spec) != ""


def test_floating_slopes_are_not_stored(proved: tuple[Case, Certificate]) -> None:
    with pytest.raises(BadData, match="255ths"):
        pack([replace(proved[1], t=proved[1].t.double())])


@pytest.mark.parametrize("kind", [Linf, L2, L1])
def test_least_is_below_every_member_and_reached(kind: type[Linf | L2 | L1]) -> None:
    generator = torch.Generator().manual_seed(0)
    for k, eps in enumerate((0.0, 0.1, 0.3, 0.8)):
        x = torch.rand(6, generator=generator, dtype=torch.float64)
        a = torch.randn(40, 6, generator=generator, dtype=torch.float64)
        a[::5, :3] = 0
        threat = kind(eps=eps)
        least = inputs(threat, x).least(a)
        u = threat.maximise(x.expand(40, 6).contiguous(), -a)
        reached = (a * (x + u)).sum(1)
        assert bool((least <= reached + 1e-9).all()), k
        torch.testing.assert_close(least, reached, atol=1e-6, rtol=0)


def test_inputs_know_norms_by_name() -> None:
    x = torch.full((4,), 0.5)
    assert inputs(Quantize(Linf(eps=0.1)), x).order == torch.inf
    assert inputs(L2(eps=torch.tensor([0.1, 0.3])), x, row=1).eps == pytest.approx(0.3)
    with pytest.raises(Unsupported, match="knows Other"):
        inputs(type("Other", (), {})(), x)
    with pytest.raises(BadData, match="leaves the input range"):
        inputs(Linf(eps=0.1), x + 1)


OPS = [
    Bend(),
    Bend(0.1, 1.0),
    Bend(-1.0, 1.0),
    Clip(0.0, 6.0),
    Clip(-1.0, 1.0),
    Clip(-torch.inf, 1.0),
    Clip(0.5, torch.inf),
    SIGMOID,
    TANH,
    SOFTPLUS,
    SILU,
    GELU,
    elu(1.0),
]


@pytest.mark.parametrize("op", OPS, ids=lambda op: getattr(op, "name", str(op)))
def test_lines_hold_whatever_t(op: object) -> None:
    generator = torch.Generator().manual_seed(0)
    low = torch.randn(1, 300, generator=generator, dtype=torch.float64) * 3
    high = low + torch.rand(1, 300, generator=generator, dtype=torch.float64) ** 3 * 12
    high[0, :5] = low[0, :5]
    share = torch.linspace(0, 1, 501, dtype=torch.float64)[:, None]
    z = low + share * (high - low)
    f = op.forward(z)  # type: ignore[attr-defined]
    least, most = image(op, low, high)
    assert bool(((f >= least - 1e-12) & (f <= most + 1e-12)).all())
    for t, s in ((None, None), (0.0, 0.0), (0.3, 0.8), (1.0, 1.0)):
        given = [None if v is None else torch.full_like(low, v) for v in (t, s)]
        found = lines(op, low, high, *given)
        assert bool((found.low_slope * z + found.low_offset <= f + 1e-12).all())
        assert bool((found.high_slope * z + found.high_offset >= f - 1e-12).all())


def test_a_function_without_own_lines_is_refused() -> None:
    x = torch.zeros(1, 1, dtype=torch.float64)
    with pytest.raises(Unsupported, match="no independent checker"):
        lines(Bend(2.0, 1.0), x, x)
    with pytest.raises(Unsupported, match="no independent checker"):
        lines(Clip(1.0, 0.0), x, x)
    with pytest.raises(Unsupported, match="no independent checker"):
        lines(nn.ReLU(), x, x)


def test_an_operator_that_lies_is_found() -> None:
    network = trace(nn.Sequential(nn.Flatten(), nn.AvgPool1d(2)), (1, 2, 2))
    Checker(network)
    for function in (lambda t: t - t.flip(1), lambda t: t.abs()):
        nodes = tuple(
            replace(node, op=Sift(function)) if isinstance(node.op, Sift) else node
            for node in network.nodes
        )
        with pytest.raises(Unsupported):
            Checker(replace(network, nodes=nodes))
    other = trace(nn.Sequential(nn.Flatten(), nn.Tanh()), (1, 2, 2))
    for wrong in (replace(TANH, curvature=0.5), replace(TANH, function=torch.relu)):
        nodes = tuple(replace(node, op=wrong) if node.op is TANH else node for node in other.nodes)
        with pytest.raises(Unsupported, match="bends more"):
            Checker(replace(other, nodes=nodes))


def test_nothing_to_prove_is_not_proved() -> None:
    checker, x = Checker.of(nn.Linear(2, 1), (2,)), torch.zeros(2)
    spec = margins(Untargeted(torch.tensor([0])), 1, x)
    assert checker(Certificate(), inputs(Linf(eps=0.1), x), spec) == "there is nothing to prove"


def test_the_checker_compares_network_and_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model = net(SEED)
    real = trace(model, (1, 4, 4))
    other = copy.deepcopy(model)
    with torch.no_grad():
        next(other.parameters()).mul_(1 + 1e-6)
    monkeypatch.setattr("saddlepoint.verify.checker.trace", lambda *_: real)
    with pytest.raises(Unsupported, match="differ by"):
        Checker.of(other, (1, 4, 4))


class Valley(nn.Module):
    """Scores (relu(x) - x / 2 + 0.1, 0): the margin is |x| / 2 + 0.1."""

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor([0.5]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.relu() - self.share * x + 0.1, 0 * x], 1)


@pytest.mark.parametrize(("beta", "open_by"), [(0.0, 0.4), (0.39, 0.01), (0.41, 0), (0.5, 0)])
def test_multipliers_count_for_what_they_are_worth(beta: float, open_by: float) -> None:
    """Split at 0, both sides of the valley fall to 0.1 - (1/2 - beta) over [-1, 1]."""
    checker, x = Checker.of(Valley(), (1,)), torch.zeros(1)
    source = checker.network.nodes[checker.network.relaxed[0]].inputs[0]
    certificate = Certificate(
        "planes",
        stored=torch.tensor([True]),
        low=torch.tensor([-1.0]),
        high=torch.tensor([1.0]),
        root=torch.tensor([0], dtype=torch.int32),
        split=torch.tensor([[source, 0, -1, -2]], dtype=torch.int32),
        at=torch.tensor([0.0]),
        claim=torch.tensor([[-1, -1]], dtype=torch.int32),
        lean=torch.tensor([[-1, -1]], dtype=torch.int32),
        crest=torch.tensor([-1], dtype=torch.int32),
        leaf=torch.tensor([0, 0], dtype=torch.int32),
        weights=torch.ones(2, 1),
        beta=torch.tensor([beta, beta], dtype=torch.float64),
        t=torch.zeros(1, 1, dtype=torch.uint8),
    )
    spec = margins(Untargeted(torch.tensor([0])), 2, x)
    said = checker(certificate, inputs(Linf(eps=1.0, box=(-1.0, 1.0)), x), spec)
    assert (f"open by {open_by:g}" in said) if open_by else said == ""


@pytest.mark.parametrize("t", [0.0, 0.39, 0.41, 0.5, 1.0])
def test_slopes_count_for_what_they_are_worth(t: float) -> None:
    """Without a split the lower line t x leaves 0.1 - |t - 1/2|."""
    checker, x = Checker.of(Valley(), (1,)), torch.zeros(1)
    certificate = Certificate(
        "planes",
        stored=torch.tensor([True]),
        low=torch.tensor([-1.0]),
        high=torch.tensor([1.0]),
        root=torch.tensor([-1], dtype=torch.int32),
        claim=torch.tensor([[-1, -1]], dtype=torch.int32),
        lean=torch.tensor([[-1, -1]], dtype=torch.int32),
        crest=torch.tensor([-1], dtype=torch.int32),
        leaf=torch.tensor([0], dtype=torch.int32),
        weights=torch.ones(1, 1),
        t=torch.tensor([[t]], dtype=torch.float64),
    )
    spec = margins(Untargeted(torch.tensor([0])), 2, x)
    said = checker(certificate, inputs(Linf(eps=1.0, box=(-1.0, 1.0)), x), spec)
    assert (said == "") == (abs(t - 0.5) < 0.1)


@pytest.mark.parametrize("seed", [1, 2, 18])
def test_what_a_search_closes_the_checker_confirms(seed: int) -> None:
    confirmed(seed)


@pytest.mark.parametrize("seed", [0, 5])
def test_functions_of_single_pixels_take_nothing_from_the_intervals(seed: int) -> None:
    torch.manual_seed(seed)
    model = nn.Sequential(
        ThresholdStem(0.2),
        nn.Conv2d(1, 4, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(400, 3),
    ).eval()
    x, threat = torch.rand(1, 1, 12, 12), Linf(eps=0.05)
    spec = margins(Untargeted(model(x).argmax(1)), 3, x)
    search = Ladder(seconds=60, subproblems=2, rungs=(Rung.BRANCH,))
    (verdict,) = search(trace(model, (1, 12, 12)), region(threat, x), spec)
    assert verdict.proof is not None
    problem = verdict.proof.problem
    assert problem is not None
    _, ground = grounded(Checker.of(model, (1, 12, 12)), problem, inputs(threat, x[0]))
    for n, here in problem.bounds.items():
        low, high = ground.found[n]
        assert float((here.low.double() - low).max()) < 1e-5
        assert float((high - here.high.double()).max()) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 200))
def test_what_any_search_closes_the_checker_confirms(seed: int) -> None:
    confirmed(seed)


def close(found: Case) -> bool:
    """Whether the checker may refuse: it draws its own lines below and above smooth functions, so
    that a leaf which closes by very little may stay open there."""
    smooth = (nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU, nn.Softplus)
    proof = found.verdict.proof
    assert proof is not None
    assert proof.tree is not None
    least = min(leaf.bound for leaf in proof.tree.leaves.values())
    return any(isinstance(m, smooth) for m in found.model.modules()) and least < 2e-3


def confirmed(seed: int) -> None:
    found = hard_case(seed)
    certificate = found.certificate()
    if certificate is None:
        assert close(found)
    else:
        assert found.checker(certificate, found.where, found.spec) == ""
    members = found.x.expand(500, -1, -1, -1)
    u = found.threat.sample(members, Draw.of(seed, torch.arange(500)))
    spec = found.spec[torch.zeros(500, dtype=torch.int64)]
    assert float(spec.margin(found.model(members + u)).max()) < 0
