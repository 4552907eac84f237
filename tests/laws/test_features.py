"""What sets of features promise beyond the laws of every set."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from saddlepoint import L2, PGD, Features, Lagrangian, Quantize, nearest, search
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import BadData, Invalid, Unsupported
from saddlepoint.core.shapes import dot, norm
from saddlepoint.core.threat import Convex, Graded
from saddlepoint.models import conv_small
from saddlepoint.models.perceptual import Perceptual
from saddlepoint.presets import parse_threat
from saddlepoint.threats.feature_metric import direction, jacobian
from tests.table import seeing

B = 4


def inputs(n: int = B, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(n, 1, 6, 6, generator=torch.Generator().manual_seed(2)).to(dtype)


def noise(seed: int = 0, size: float = 1.0) -> Tensor:
    return Draw.of(seed, torch.arange(B)).normal(1, 6, 6).double() * size


def test_it_is_graded_and_not_convex() -> None:
    threat = Features(seeing(), eps=0.3)
    assert isinstance(threat, Graded)
    assert not isinstance(threat, Convex)
    with pytest.raises(Invalid, match="convex"):
        Quantize(threat)  # type: ignore[arg-type]


def test_jacobian_of_a_known_map() -> None:
    a = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], dtype=torch.float64)
    push, pull = jacobian(lambda x: x.square() @ a.T, torch.tensor([[1.0, -1.0]]).double())
    j = a * torch.tensor([2.0, -2.0])
    v, s = torch.tensor([[0.3, 0.7]]).double(), torch.tensor([[1.0, -2.0, 0.5]]).double()
    torch.testing.assert_close(push(v), v @ j.T)
    torch.testing.assert_close(pull(s), s @ j)


def test_conjugate_gradients_solve_the_damped_system() -> None:
    """Against a dense solve: as many iterations as unknowns reach it."""
    seen, x, g = Perceptual(seeing()), inputs(1), noise()[:1]
    dense = torch.autograd.functional.jacobian(lambda t: seen.features(t)[0], x).reshape(-1, 36)
    v, length = direction(seen, x, g, torch.ones_like(g, dtype=torch.bool), 200)
    b = (g / norm(g, 2)).reshape(-1)
    q = dense.T @ (dense @ b)
    d = 1e-2 * (dense @ q).square().sum() / q.square().sum()
    want = torch.linalg.solve(dense.T @ dense + d * torch.eye(36), b)
    torch.testing.assert_close(v.reshape(-1), want, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(length[0], (dense @ want).norm())


def test_more_iterations_climb_further_within_the_same_distance() -> None:
    x, g, gain = inputs(), noise(), []
    seen = seeing()
    seen[1] = nn.Tanh()  # a silent ReLU would hide whole directions until it wakes
    for cg in (0, 2, 8):
        threat = Features(seen, eps=1e-4, cg=cg)
        step = threat.steepest(x, 0 * x, g)
        moved = threat.size(x, step)
        torch.testing.assert_close(moved, torch.full_like(moved, 1e-4), rtol=0.05, atol=0)
        gain.append(dot(g, step))
    assert bool((gain[1] > 1.05 * gain[0]).all())
    assert bool((gain[2] >= gain[1]).all())


def test_blocked_values_stay() -> None:
    x, g = inputs().round(), noise()  # every value at a bound
    step = Features(seeing(), eps=0.2).steepest(x, 0 * x, g)
    outwards = torch.where(g > 0, x == 1, x == 0)
    assert bool(outwards.any())
    assert torch.equal(step[outwards], torch.zeros_like(step[outwards]))
    assert float(step.abs().max()) <= 1 + 1e-12


def test_where_no_feature_looks_the_step_is_as_long_as_the_box() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    with torch.no_grad():
        net[0].weight.zero_()
    step = Features(net, eps=0.1).steepest(inputs(), 0 * inputs(), noise())
    torch.testing.assert_close(step.flatten(1).abs().amax(1), torch.ones(B).double())


@pytest.mark.parametrize("eps", [0.05, 0.3, 0.5])
def test_projection_ends_near_the_boundary_and_near_u(eps: float) -> None:
    threat, x, u = Features(seeing(), eps=eps), inputs(), noise(size=0.5)
    p = threat.project(x, u)
    cut = threat.clip(x, u)
    outside = threat.size(x, cut) > eps
    assert bool(outside.any())
    assert torch.equal(p[~outside], cut[~outside])
    for i in outside.nonzero().squeeze(1).tolist():  # no further than the way straight back to x
        slack = 0.03 * float(cut[i].norm())
        assert float((p - cut)[i].norm()) <= float(_straight(threat, x, cut, i)) + slack


def _straight(threat: Features, x: Tensor, u: Tensor, i: int) -> Tensor:
    t = torch.linspace(0, 1, 2001, dtype=torch.float64).view(-1, 1, 1, 1)
    ok = threat.size(x[i : i + 1].expand(2001, -1, -1, -1), t * u[i]) <= threat.eps
    return (1 - t[ok].max()) * u[i].norm()


def test_the_whole_box_is_the_largest_set() -> None:
    threat, x = Features(seeing(), eps=0.1), inputs()
    u = noise(size=9.0)
    torch.testing.assert_close(threat.at(1e12).project(x, u), threat.clip(x, u))
    assert torch.equal(threat.at(0.0).project(x, u), torch.zeros_like(u))
    sizes = threat.at(torch.tensor([0.0, 0.1, 0.2, 9.0])).project(x, u)
    assert bool((threat.size(x, sizes) <= torch.tensor([1e-6, 0.1, 0.2, 9.0]) + 1e-6).all())


def test_membership_is_of_the_input_as_it_is_stored() -> None:
    """Float32 inputs are judged as float32 holds them, by the network in float64."""
    threat, x = Features(seeing(), eps=0.2), inputs(dtype=torch.float32)
    u = threat.project(x, noise().float())
    moved = threat.apply(x, u)
    far = threat.perceptual.distance(x.double(), moved.double())
    assert bool((far <= 0.2 * (1 + 1e-6) + 1e-6).all())
    assert bool(threat.contains(x, u, 1e-6).all())
    assert not bool(threat.at(0.5 * far.min().item()).contains(x, u, 1e-6).any())


def test_no_gradient_is_lost_on_the_way() -> None:
    threat, x = Features(seeing(), eps=0.2), inputs()
    u = (0.1 * noise()).requires_grad_()
    (g,) = torch.autograd.grad(threat.size(x, u).sum(), u)
    h = 1e-6 * noise(1)
    with torch.no_grad():
        slope = threat.size(x, u + h) - threat.size(x, u - h)
    torch.testing.assert_close(slope, 2 * dot(g, h), rtol=1e-4, atol=1e-12)


def problem() -> tuple[nn.Module, Tensor, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        net = nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, 3)).double()
        x = torch.rand(12, 1, 6, 6).double()
    return net, x, net(x).argmax(1)


def test_attacks_break_more_than_chance_and_within_the_set() -> None:
    net, x, y = problem()
    threat = Features(seeing(), eps=0.3)
    drawn = search(PGD(steps=1, step_size=1e-9), net, x, y, threat)
    for attack in (PGD(steps=6), Lagrangian(steps=8)):
        found = search(attack, net, x, y, threat)
        assert int(found.broken.sum()) > int(drawn.broken.sum()) + 2
        assert bool((threat.size(x, found.u) <= 0.3 * (1 + 1e-6) + 1e-6).all())


def test_nearest_breaks_in_features() -> None:
    net, x, y = problem()
    found = nearest(PGD(steps=6), net, x, y, Features(seeing(), eps=0.5))
    assert bool((found.size[found.size.isfinite()] <= 0.5 + 1e-5).all())
    assert int(found.size.isfinite().sum()) >= 3


def test_the_lagrangian_leaves_the_set_and_comes_back() -> None:
    net, x, y = problem()
    threat, far = L2(eps=0.3), []

    def spied(moved: Tensor) -> Tensor:
        far.append(float(norm(moved - x, 2).max().detach()))
        out: Tensor = net(moved)
        return out

    found = search(Lagrangian(steps=10), spied, x, y, threat, early_stop=False)
    assert max(far) > 0.45
    assert bool(threat.contains(x, found.u, 1e-6).all())
    assert found.cost.backward.tolist() == [10] * 12


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "net").mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(conv_small((1, 6, 6)).state_dict(), tmp_path / "net/model.safetensors")
    card = '{"arch": "conv-small", "shape": [1, 6, 6], "classes": 10}'
    (tmp_path / "net/model.json").write_text(card)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "net"


def test_text_names_the_weights_and_refuses_others(folder: Path) -> None:
    threat = parse_threat("Features('net', 0.2, layers=('1',))")
    said = repr(threat)
    assert said.startswith("Features(network='net', eps=0.2, layers=('1',), sha256='")
    assert repr(parse_threat(said)) == said
    assert threat.perceptual.layers == ("1",)  # type: ignore[attr-defined]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        save_file(conv_small((1, 6, 6)).state_dict(), folder / "model.safetensors")
    with pytest.raises(BadData, match="not the feature network that the threat model was made"):
        parse_threat(said)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Features(seeing(), eps=0.0), Invalid, "above 0"),
        (lambda: Features(seeing(), eps=-1.0), Invalid, "above 0"),
        (lambda: Features(seeing(), eps=math.nan), Invalid, "above 0"),
        (lambda: Features(seeing(), eps=9.0), Invalid, "at most 2.828"),
        (lambda: Features(seeing(), eps=True), Invalid, "eps"),
        (lambda: Features(seeing(), eps=torch.ones(2, 2)), Invalid, "tensor"),
        (lambda: Features(seeing(), eps=-torch.ones(2)), Invalid, ">= 0"),
        (lambda: Features(seeing(), 0.1, box=(1.0, 0.0)), Invalid, "low < high"),
        (lambda: Features(seeing(), 0.1, box=(0.0, math.inf)), Invalid, "finite"),
        (lambda: Features(seeing(), 0.1, cg=-1), Invalid, "iterations"),
        (lambda: Features(seeing(), 0.1, layers=("9",)), Invalid, "known: 0, 1, 2, 3"),
        (lambda: Features(seeing(), 0.1, arch="vgg16"), Invalid, "beside a module"),
        (lambda: Features(3, 0.1), Invalid, "network"),  # type: ignore[arg-type]
        (lambda: Features("", 0.1), Invalid, "network"),
        (lambda: Features(nn.Identity(), 0.1), Unsupported, "no layers"),
        (lambda: parse_threat("Features('nowhere', 0.1)"), BadData, "no such file"),
        (lambda: parse_threat("Features('os:getcwd', 0.1)"), Invalid, "never code"),
    ],
)
def test_bad_sets(make: Any, error: type[Exception], match: str) -> None:  # noqa: ANN401
    with pytest.raises(error, match=match):
        make()


def test_inputs_of_another_size_are_refused_before_any_search(folder: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    x, y = torch.rand(2, 1, 8, 8), torch.zeros(2).long()
    with pytest.raises(Invalid, match=r"\(1, 8, 8\).*\(1, 6, 6\), the input of the feature"):
        search(PGD(), net, x, y, Features("net", eps=0.1))


def test_an_attack_bound_is_checked() -> None:
    for bad in (0, -1.0, math.inf, True):
        with pytest.raises(Invalid, match="first"):
            Lagrangian(first=bad)
    with pytest.raises(Invalid, match="steps"):
        Lagrangian(steps=0)
