"""Windows of a network give what the whole network gives."""

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.models import Normalize, ThresholdStem
from saddlepoint.threats import Linf
from saddlepoint.verify import crown as module
from saddlepoint.verify.crop import crop
from saddlepoint.verify.crown import crown
from saddlepoint.verify.network import Network
from saddlepoint.verify.refine import Refine
from saddlepoint.verify.region import Region, region
from saddlepoint.verify.tracing import trace

CONV = nn.Conv2d


def nets() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    made = {
        "padded": nn.Sequential(CONV(2, 4, 3, 1, 1), nn.ReLU(), CONV(4, 5, 3, 2, 1), nn.ReLU()),
        "dilated": nn.Sequential(
            CONV(2, 4, 3, 1, 2, 2), nn.ReLU(), CONV(4, 5, 2, 1, 0, 2), nn.ReLU()
        ),
        "uneven": nn.Sequential(
            CONV(2, 4, (3, 2), (2, 1), (1, 0)), nn.ReLU(), CONV(4, 5, 3, 2, 1), nn.ReLU()
        ),
        "normed": nn.Sequential(
            CONV(2, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.ReLU(), CONV(4, 5, 3, 2, 1), nn.ReLU()
        ),
        "stem": nn.Sequential(
            ThresholdStem(0.2), Normalize([0.1, 0.2], [0.5, 2.0]), CONV(2, 4, 3, 1, 1), nn.ReLU6(),
            CONV(4, 5, 3, 2, 1), nn.ReLU(),
        ),
        "three": nn.Sequential(
            CONV(2, 3, 3, 1, 1), nn.ReLU(), CONV(3, 4, 3, 1, 1), nn.ReLU(), CONV(4, 5, 3, 1, 1),
            nn.ReLU(),
        ),
    }  # fmt: skip
    ended = {
        name: nn.Sequential(*net, nn.Flatten(), nn.LazyLinear(3)) for name, net in made.items()
    }
    for net in ended.values():
        for name, buffer in net.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
        net(torch.zeros(1, 2, 11, 11))
        net.eval().requires_grad_(False)
    return ended


def around(net: nn.Module) -> tuple[Network, Region, Tensor]:
    x = torch.rand(2, 2, 11, 11, generator=torch.Generator().manual_seed(1))
    return trace(net, (2, 11, 11)), region(Linf(eps=0.1), x), x


@pytest.mark.parametrize("name", list(nets()))
def test_windows_bound_as_the_whole_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network, where, _ = around(nets()[name])
    node = max(n for n in network.readers if len(network.nodes[n].shape) == 3)
    assert crop(network, node) is not None
    cropped = crown(network, where)
    monkeypatch.setattr(module, "cropped", lambda *_: None)
    whole = crown(network, where)
    for n, x in whole.items():
        torch.testing.assert_close(cropped[n].low, x.low, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(cropped[n].high, x.high, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("act", [nn.LeakyReLU(0.1), nn.Tanh(), nn.Sigmoid(), nn.Hardtanh()])
def test_functions_that_are_not_flat_at_zero_are_not_cropped(act: nn.Module) -> None:
    net = nn.Sequential(CONV(2, 4, 3, 1, 1), act, CONV(4, 5, 3, 1, 1), nn.ReLU(), nn.Flatten())
    network = trace(net.eval().requires_grad_(False), (2, 11, 11))
    assert crop(network, 3) is None


@pytest.mark.parametrize("name", ["padded", "stem", "three"])
def test_refined_intervals_hold_and_are_tighter(name: str) -> None:
    network, where, x = around(nets()[name])
    one = where[torch.tensor([0])]
    before = crown(network, one)
    after, raised = Refine()(network, one, before)
    generator = torch.Generator().manual_seed(2)
    box = one.hull()
    some = box.low + torch.rand(200, *x.shape[1:], generator=generator) * box.width
    corners = torch.where(torch.rand(200, *x.shape[1:], generator=generator) > 0.5, *box)
    values = network.values(torch.cat([some, corners]))
    gained = 0.0
    for n, interval in after.items():
        assert bool((values[n] >= interval.low - 1e-5).all())
        assert bool((values[n] <= interval.high + 1e-5).all())
        assert bool((interval.low >= before[n].low - 1e-6).all())
        gained += float((before[n].width - interval.width).sum())
    assert gained > 0
    assert all(set(r.index.tolist()) for r in raised.values())


class Two(nn.Module):
    """Two scalings of one input, of which the later one is read."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = CONV(2, 3, 3, 1, 1), CONV(3, 4, 3, 1, 1)
        self.skip = CONV(2, 4, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        first, second = -3.0 * x, 2.0 * x
        return (self.two(self.one(second).relu()).relu() + self.skip(first)).flatten(1)


class Placed(nn.Module):
    """A constant that differs by place, between two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = CONV(2, 3, 3), CONV(3, 4, 1)
        self.place = nn.Parameter(torch.randn(3, 9, 9))

    def forward(self, x: Tensor) -> Tensor:
        return self.two((self.one(x) + self.place).relu()).relu().flatten(1)


class Beside(nn.Module):
    """Branches that know nothing of each other."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(242, 4), nn.Linear(242, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        return torch.cat([self.a(x).relu(), self.c(self.b(x).relu()).relu()], 1)


@pytest.mark.parametrize("kind", [Two, Placed, Beside])
def test_intervals_hold_in_nets_that_are_no_chain(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network, where, _ = around(kind().eval().requires_grad_(False))
    one = where[torch.tensor([0])]
    before = crown(network, one)
    after, _ = Refine()(network, one, before)
    generator, box = torch.Generator().manual_seed(3), one.hull()
    shape = (300, *box.low.shape[1:])
    some = box.low + torch.rand(shape, generator=generator) * box.width
    corners = torch.where(torch.rand(shape, generator=generator) > 0.5, box.low, box.high)
    values = network.values(torch.cat([some, corners]))
    for bounds in (before, after):
        for n, interval in bounds.items():
            assert bool((values[n] >= interval.low - 1e-4).all())
            assert bool((values[n] <= interval.high + 1e-4).all())
