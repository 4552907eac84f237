"""Batch norm as an affine map: the same answers and the same gradient for inputs."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from saddlepoint import PGD, Linf
from saddlepoint.models import build
from saddlepoint.train import Inner, norms
from saddlepoint.train.norms import Affine, affine_norms

ONES = torch.ones(3), torch.zeros(3), torch.zeros(3), torch.ones(3)
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def seen(channels: int = 5, **options: bool) -> nn.BatchNorm2d:
    """A batch norm that has seen data, in eval mode."""
    torch.manual_seed(0)
    layer = nn.BatchNorm2d(channels, **options).double()
    for p in layer.parameters():
        nn.init.uniform_(p, -2.0, 2.0)
    layer(torch.randn(64, channels, 3, 3).double() * 3 + 1)
    return layer.eval()


def slope(layer: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    leaf = x.detach().requires_grad_()
    out = layer(leaf)
    (g,) = torch.autograd.grad((out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum(), leaf)
    return out.detach(), g


@pytest.mark.parametrize("options", [{}, {"affine": False}], ids=["affine", "plain"])
def test_it_is_the_layer_and_its_gradient(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, bool]
) -> None:
    layer, x = seen(**options), torch.randn(6, 5, 4, 4).double()
    other = seen(3)  # all layers of a net are worked out together
    plain = slope(layer, x)
    monkeypatch.setattr(norms, "_served", lambda mean: True)
    with affine_norms(nn.Sequential(other, layer)):
        assert "forward" in vars(layer)
        moved = slope(layer, x)
        few = slope(other, x[:, :3])
    assert "forward" not in vars(layer)
    torch.testing.assert_close(moved, plain)
    torch.testing.assert_close(few, slope(other, x[:, :3]))


def test_layers_are_put_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = seen()
    monkeypatch.setattr(norms, "_served", lambda mean: True)
    with pytest.raises(KeyError), affine_norms(layer):
        raise KeyError
    assert "forward" not in vars(layer)


def test_layers_are_put_back_after_an_interrupt_on_the_way_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, asked = nn.Sequential(seen(), seen()), []

    def interrupted(*parts: Any) -> Any:  # noqa: ANN401
        asked.append(parts)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return partial(*parts)

    monkeypatch.setattr(norms, "_served", lambda mean: True)
    monkeypatch.setattr(norms, "partial", interrupted)
    with pytest.raises(KeyboardInterrupt), affine_norms(net):
        pass
    assert len(asked) == 2
    assert all("forward" not in vars(m) for m in net)


def test_a_layer_on_the_cpu_is_left_alone() -> None:
    layer = seen()
    with affine_norms(layer):
        assert "forward" not in vars(layer)


def test_a_layer_whose_weights_are_sharded_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Part(nn.Parameter):
        pass

    layer = seen()
    layer.weight = Part(layer.weight.detach())
    monkeypatch.setattr(norms, "_served", lambda mean: True)
    with affine_norms(layer):
        assert "forward" not in vars(layer)


class Activated(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


class Named(nn.BatchNorm2d):
    pass


@pytest.mark.parametrize(
    ("layer", "taken"),
    [
        (nn.BatchNorm2d(5).eval(), True),
        (Named(5).eval(), True),
        (Activated(5).eval(), False),
        (nn.BatchNorm2d(5).train(), False),
        (nn.BatchNorm2d(5, track_running_stats=False).eval(), False),
        (nn.DataParallel(nn.Sequential(nn.BatchNorm2d(5).eval())), False),
    ],
    ids=["plain", "named", "activated", "training", "no statistics", "replicated"],
)
def test_only_plain_layers_with_fixed_statistics_are_taken(
    monkeypatch: pytest.MonkeyPatch, layer: nn.Module, taken: bool
) -> None:
    monkeypatch.setattr(norms, "_served", lambda mean: True)
    (norm,) = (m for m in layer.modules() if isinstance(m, nn.BatchNorm2d))
    with affine_norms(layer):
        assert ("forward" in vars(norm)) is taken
    assert "forward" not in vars(norm)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format], ids=str)
def test_the_gradient_has_the_layout_of_the_input(layout: torch.memory_format) -> None:
    x = torch.rand(2, 3, 4, 5).contiguous(memory_format=layout)
    _, g = slope(lambda x: Affine.apply(x, *ONES), x)
    assert g.is_contiguous(memory_format=layout)


def test_the_inner_attack_asks_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 2))
    net(torch.rand(8, 3, 4, 4))
    monkeypatch.setattr(norms, "_served", lambda mean: True)
    asked: list[bool] = []
    net[0].register_forward_pre_hook(lambda m, args: asked.append("forward" in vars(m)))
    worst = Inner(Linf(eps=0.1), PGD(steps=2))
    x_adv = worst(net, torch.rand(4, 3, 4, 4), torch.zeros(4).long())
    assert x_adv.isfinite().all()
    assert asked
    assert all(asked)
    assert net.training


def test_half_precision_stays_half() -> None:
    x = torch.randn(2, 3, 4, 4).bfloat16().requires_grad_()
    out = Affine.apply(x, *ONES)
    (g,) = torch.autograd.grad(out.sum(), x)
    assert out.dtype == g.dtype == torch.bfloat16


@CUDA
def test_on_a_gpu_a_net_has_the_same_gradient_and_keeps_its_layout() -> None:
    torch.manual_seed(0)
    net = build("resnet9", (3, 32, 32), 10, {"width": 8}).cuda().eval()
    net = net.to(memory_format=torch.channels_last)
    x = torch.rand(8, 3, 32, 32, device="cuda").contiguous(memory_format=torch.channels_last)
    y = torch.arange(8, device="cuda")

    def g() -> Tensor:
        leaf = x.detach().requires_grad_()
        return torch.autograd.grad(functional.cross_entropy(net(leaf), y), leaf)[0]

    with torch.backends.cudnn.flags(allow_tf32=False):
        plain = g()
        with affine_norms(net):
            moved = g()
    torch.testing.assert_close(moved, plain, atol=1e-6, rtol=1e-4)
    assert moved.is_contiguous(memory_format=torch.channels_last)
