"""The recorded network answers as the model does, for every layer and every way to write it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saddlepoint.models import (
    Normalize,
    ThresholdStem,
    conv_small,
    madry_mnist,
    mlp,
    preact_resnet18,
    resnet9,
)
from saddlepoint.verify.tracing import trace

IMAGE = (4, 6, 6)


LAYERS: dict[str, tuple[Callable[[], Callable[[Tensor], Tensor]], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(6, 3), IMAGE),
    "linear-no-bias": (lambda: nn.Linear(6, 3, bias=False), (6,)),
    "conv1d": (lambda: nn.Conv1d(4, 3, 3, stride=2, padding=1), (4, 9)),
    "conv2d": (lambda: nn.Conv2d(4, 6, 3, stride=(2, 1), padding=(1, 0), groups=2), IMAGE),
    "conv2d-dilated": (lambda: nn.Conv2d(4, 2, 2, dilation=(2, 3)), IMAGE),
    "conv2d-same": (lambda: nn.Conv2d(4, 3, (4, 3), padding="same", dilation=2), (4, 9, 8)),
    "conv2d-valid": (lambda: nn.Conv2d(4, 3, 3, padding="valid"), IMAGE),
    "conv2d-circular": (lambda: nn.Conv2d(4, 3, 3, padding=1, padding_mode="circular"), IMAGE),
    "conv2d-reflect": (lambda: nn.Conv2d(4, 3, 3, padding=1, padding_mode="reflect"), IMAGE),
    "conv3d": (lambda: nn.Conv3d(2, 3, (1, 2, 3), padding=1), (2, 3, 4, 5)),
    "deconv1d": (lambda: nn.ConvTranspose1d(4, 3, 3, stride=2, output_padding=1), (4, 5)),
    "deconv2d": (lambda: nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2, dilation=2), IMAGE),
    "deconv3d": (lambda: nn.ConvTranspose3d(2, 3, 2), (2, 3, 4, 5)),
    "batch-norm-1d": (lambda: nn.BatchNorm1d(6), (6,)),
    "batch-norm-2d": (lambda: nn.BatchNorm2d(4), IMAGE),
    "batch-norm-plain": (lambda: nn.BatchNorm2d(4, affine=False), IMAGE),
    "batch-norm-3d": (lambda: nn.BatchNorm3d(2), (2, 3, 4, 5)),
    "average": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), IMAGE),
    "average-1d": (lambda: nn.AvgPool1d(2), (4, 9)),
    "average-3d": (lambda: nn.AvgPool3d(2), (2, 3, 4, 5)),
    "average-adaptive": (lambda: nn.AdaptiveAvgPool2d((4, 1)), IMAGE),
    "max": (lambda: nn.MaxPool2d(2), IMAGE),
    "max-overlapping": (lambda: nn.MaxPool2d(3, 2, 1), IMAGE),
    "max-ceil": (lambda: nn.MaxPool2d((3, 2), 2, (1, 1), ceil_mode=True), (2, 7, 6)),
    "max-ceil-more": (lambda: nn.MaxPool2d(2, 3, 1, ceil_mode=True), (2, 8, 9)),
    "max-dilated": (lambda: nn.MaxPool2d(2, 1, dilation=2), IMAGE),
    "max-dilated-padded": (lambda: nn.MaxPool2d(3, 2, 1, dilation=2), (2, 8, 7)),
    "max-1d": (lambda: nn.MaxPool1d(3), (4, 9)),
    "max-3d": (lambda: nn.MaxPool3d(2), (2, 3, 4, 5)),
    "max-adaptive": (lambda: nn.AdaptiveMaxPool2d((4, 3)), (2, 7, 6)),
    "max-adaptive-half": (lambda: nn.AdaptiveMaxPool2d((None, 2)), IMAGE),
    "flatten": (nn.Flatten, IMAGE),
    "flatten-some": (lambda: nn.Flatten(2), IMAGE),
    "unflatten": (lambda: nn.Unflatten(1, (2, 3)), (6,)),
    "identity": (nn.Identity, (6,)),
    "zero-pad": (lambda: nn.ZeroPad2d((1, 0, 2, 1)), IMAGE),
    "constant-pad": (lambda: nn.ConstantPad2d((1, 0, 2, 1), 0.7), IMAGE),
    "upsample": (lambda: nn.Upsample(scale_factor=2), IMAGE),
    "upsample-bilinear": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE),
    "pixel-shuffle": (lambda: nn.PixelShuffle(2), IMAGE),
    "pixel-unshuffle": (lambda: nn.PixelUnshuffle(2), IMAGE),
    "channel-shuffle": (lambda: nn.ChannelShuffle(2), IMAGE),
    "unfold": (lambda: nn.Unfold(2), IMAGE),
    "dropout": (lambda: nn.Dropout(0.5), (6,)),
    "dropout-2d": (lambda: nn.Dropout2d(0.5), IMAGE),
    "alpha-dropout": (lambda: nn.AlphaDropout(0.5), IMAGE),
    "relu": (nn.ReLU, IMAGE),
    "relu-in-place": (lambda: nn.ReLU(inplace=True), IMAGE),
    "relu6": (nn.ReLU6, (6,)),
    "leaky": (lambda: nn.LeakyReLU(0.2), (6,)),
    "leaky-in-place": (lambda: nn.LeakyReLU(0.2, True), (6,)),
    "leaky-steep": (lambda: nn.LeakyReLU(2.5), (6,)),
    "leaky-negative": (lambda: nn.LeakyReLU(-0.5), (6,)),
    "leaky-one": (lambda: nn.LeakyReLU(1.0), (6,)),
    "rrelu": (nn.RReLU, (6,)),
    "prelu": (nn.PReLU, IMAGE),
    "prelu-channels": (lambda: nn.PReLU(4, init=0.7), IMAGE),
    "prelu-negative": (lambda: nn.PReLU(6, init=-0.7), (6,)),
    "elu": (nn.ELU, (6,)),
    "elu-alpha": (lambda: nn.ELU(0.4), (6,)),
    "celu": (lambda: nn.CELU(0.4), (6,)),
    "selu": (nn.SELU, (6,)),
    "sigmoid": (nn.Sigmoid, (6,)),
    "log-sigmoid": (nn.LogSigmoid, (6,)),
    "tanh": (nn.Tanh, (6,)),
    "gelu": (nn.GELU, (6,)),
    "gelu-tanh": (lambda: nn.GELU("tanh"), (6,)),
    "silu": (nn.SiLU, (6,)),
    "mish": (nn.Mish, (6,)),
    "softplus": (nn.Softplus, (6,)),
    "softplus-beta": (lambda: nn.Softplus(3.0), (6,)),
    "softsign": (nn.Softsign, (6,)),
    "hardtanh": (lambda: nn.Hardtanh(-0.5, 0.3), (6,)),
    "hardsigmoid": (nn.Hardsigmoid, (6,)),
    "hardswish": (nn.Hardswish, (6,)),
    "weight-norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 3)), (6,)),
    "spectral-norm": (
        lambda: nn.utils.parametrizations.spectral_norm(nn.Conv2d(4, 3, 3)),
        IMAGE,
    ),
    "threshold": (lambda: nn.Threshold(0.4, 0.4), (6,)),
    "normalize": (lambda: Normalize((0.4,) * 4, (0.2, 0.3, 0.4, 0.5)), IMAGE),
    "stem": (lambda: ThresholdStem(0.3), IMAGE),
}

FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...]]] = {
    "flatten": (lambda x: torch.flatten(x, 1), IMAGE),
    "view": (lambda x: x.view(x.size(0), -1), IMAGE),
    "reshape-shape": (lambda x: x.reshape(x.shape[0], 2, -1), IMAGE),
    "reshape-minus": (lambda x: x.reshape(-1, 144), IMAGE),
    "shape-control": (lambda x: x.relu() if x.shape[-1] > 4 else x, IMAGE),
    "mean": (lambda x: x.mean((2, 3)), IMAGE),
    "mean-keep": (lambda x: x.mean(dim=(-1, -2), keepdim=True), IMAGE),
    "mean-axis": (lambda x: torch.mean(x, 2), IMAGE),
    "sum": (lambda x: x.sum([2, 3]), IMAGE),
    "amax": (lambda x: x.amax((2, 3)), IMAGE),
    "amin": (lambda x: torch.amin(x, 1, keepdim=True), IMAGE),
    "max-values": (lambda x: x.max(1).values, IMAGE),
    "max-pair": (lambda x: torch.max(x, 2, keepdim=True)[0], IMAGE),
    "min-values": (lambda x: x.min(-1)[0], IMAGE),
    "max-two": (lambda x: torch.max(x, 1 - x), (6,)),
    "max-constant": (lambda x: torch.maximum(x, torch.tensor(0.4)), (6,)),
    "min-two": (lambda x: torch.minimum(x[:, :3], x[:, 3:]), (6,)),
    "permute": (lambda x: x.permute(0, 2, 3, 1), IMAGE),
    "transpose": (lambda x: x.transpose(1, 2).contiguous(), IMAGE),
    "matrix-transpose": (lambda x: x.mT, IMAGE),
    "movedim": (lambda x: x.movedim(1, -1), IMAGE),
    "flip": (lambda x: x.flip(1), IMAGE),
    "roll": (lambda x: x.roll(1, 2), IMAGE),
    "repeat": (lambda x: x.repeat(1, 2, 1, 1), IMAGE),
    "squeeze": (lambda x: x.unsqueeze(1).squeeze(1), IMAGE),
    "index": (lambda x: x[:, ::2, 1:, -1], IMAGE),
    "index-list": (lambda x: x[:, [0, 2, 2]], IMAGE),
    "index-mask": (lambda x: x[:, torch.tensor([True, False, True, True])], IMAGE),
    "index-none": (lambda x: x[:, None, :, 2], IMAGE),
    "select": (lambda x: x.select(1, 2), IMAGE),
    "split": (lambda x: torch.cat(x.split((1, 3), 1)[::-1], 1), IMAGE),
    "chunk": (lambda x: x.chunk(2, 1)[0] - x.chunk(2, 1)[1], IMAGE),
    "unbind": (lambda x: x.unbind(1)[2], IMAGE),
    "stack": (lambda x: torch.stack([x, 2 * x], 2), (6,)),
    "cat-constant": (lambda x: torch.cat([x, torch.zeros_like(x), x.new_ones(len(x), 1)], 1), (6,)),
    "expand": (lambda x: x[:, :, None].expand(-1, -1, 3), (6,)),
    "broadcast": (lambda x: x[:, :, None] + x[:, None, :], (4,)),
    "arithmetic": (lambda x: (2 * x - 1) / 0.5 + (1 - x) - 3, (6,)),
    "alpha": (lambda x: torch.add(x, x.relu(), alpha=2) - torch.sub(1, x, alpha=3), (6,)),
    "negative": (lambda x: -x + torch.neg(x), (6,)),
    "matmul": (lambda x: x @ torch.arange(12.0).reshape(6, 2), (6,)),
    "matmul-vector": (lambda x: x @ torch.arange(6.0), IMAGE),
    "matmul-left": (lambda x: torch.arange(12.0).reshape(2, 6) @ x, IMAGE),
    "einsum": (lambda x: torch.einsum("bchw,kc->bhwk", x, torch.ones(2, 4)), IMAGE),
    "einsum-left": (lambda x: torch.einsum("ij,bj->bi", [torch.ones(2, 6), x]), (6,)),
    "addmm": (
        lambda x: torch.addmm(torch.ones(2), x, torch.ones(6, 2), beta=0.5, alpha=2.0),
        (6,),
    ),
    "clamp": (lambda x: x.clamp(0.2, 0.6), (6,)),
    "clamp-crossed": (lambda x: x.clamp(0.8, 0.6), (6,)),
    "clamp-below": (lambda x: torch.clamp(x, min=0.4), (6,)),
    "clamp-above": (lambda x: x.clamp(max=torch.tensor(0.4)), (6,)),
    "clamp-min": (lambda x: x.clamp_min(0.4).clamp_max(0.6), (6,)),
    "abs": (lambda x: (x - 0.5).abs(), (6,)),
    "square": (lambda x: (x - 0.5) ** 2 + torch.square(x), (6,)),
    "product-with-itself": (lambda x: x * x, (6,)),
    "erf": (torch.erf, (6,)),
    "conv-keywords": (
        lambda x: F.conv2d(x, weight=torch.ones(2, 4, 2, 2), bias=None, padding=1),
        IMAGE,
    ),
    "dropout-off": (lambda x: F.dropout(x, 0.5, training=False), (6,)),
    "same-type": (lambda x: x.to(torch.float32).float().type_as(x), (6,)),
}


def agree(model: Callable[[Tensor], Tensor], shape: tuple[int, ...], tolerance: float) -> None:
    network = trace(model, shape)
    x = 4 * torch.rand(7, *shape, generator=torch.Generator().manual_seed(1)) - 2
    with torch.no_grad():
        kind = next((p.dtype for p in getattr(model, "parameters", list)()), x.dtype)
        ours, theirs = network.forward(x.to(kind)), model(x.to(kind))
    assert ours.dtype == theirs.dtype
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)
    for node, value in zip(network.nodes, network.values(x.to(kind)), strict=True):
        assert value.shape[1:] == node.shape


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    model = make()
    if isinstance(model, nn.Module):
        for norm in model.modules():
            if isinstance(norm, nn.modules.batchnorm._BatchNorm):
                norm.running_mean.normal_()
                norm.running_var.uniform_(0.5, 2)
        model.eval()
    agree(model, shape, 1e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    agree(*FUNCTIONS[name], 1e-5)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (conv_small, (1, 28, 28)),
        (lambda: nn.Sequential(ThresholdStem(0.3), conv_small()), (1, 28, 28)),
        (lambda: nn.Sequential(Normalize((0.1,), (0.3,)), madry_mnist()), (1, 28, 28)),
        (mlp, (1, 28, 28)),
        (resnet9, (3, 32, 32)),
        (preact_resnet18, (3, 32, 32)),
    ],
    ids=["conv_small", "stem", "madry", "mlp", "resnet9", "preact_resnet18"],
)
def test_zoo(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    agree(make().eval(), shape, 1e-4)


class Residual(nn.Module):
    """What people write: a loop over a list, buffers, a residual, in-place ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(4, 4, 3, padding=1) for _ in range(3)])
        self.register_buffer("shift", torch.randn(4, 1, 1))
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            out = self.act(layer(x + self.shift))
            out += x
            x = self.act(out)
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_a_residual_model_in_either_type(kind: torch.dtype) -> None:
    torch.manual_seed(0)
    agree(Residual().to(kind).eval(), IMAGE, 1e-5)


def test_operators_follow_the_live_parameters() -> None:
    torch.manual_seed(0)
    parts = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.PReLU(4), nn.Flatten(), nn.Linear(64, 3)
    model = nn.Sequential(*parts).eval()
    network, x = trace(model, IMAGE), torch.rand(2, *IMAGE)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.rand_like(p))
        torch.testing.assert_close(network.forward(x), model(x))
    for _ in range(2):
        network.forward(x).sum().backward()
    ours = [p.grad for p in model.parameters()]
    model.zero_grad()
    (2 * model(x).sum()).backward()
    torch.testing.assert_close(ours, [p.grad for p in model.parameters()])


def test_a_product_follows_its_live_matrix() -> None:
    w = nn.Parameter(torch.rand(6, 2))
    network, x = trace(lambda x: x @ w, (6,)), torch.rand(2, 6)
    with torch.no_grad():
        w.mul_(2)
    network.forward(x).sum().backward()
    assert torch.equal(network.forward(x), x @ w)
    assert w.grad is not None
    torch.testing.assert_close(w.grad, x.sum(0)[:, None].expand(-1, 2))


def test_a_network_of_another_type_computes_the_same() -> None:
    torch.manual_seed(0)
    model = Residual().eval()
    x = torch.rand(2, *IMAGE, dtype=torch.float64)
    with torch.no_grad():
        found = trace(model, IMAGE).to(torch.float64).forward(x)
        torch.testing.assert_close(found, model.double()(x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_a_last_softmax_is_left_out_where_only_the_order_matters(name: str) -> None:
    body = nn.Linear(6, 4)
    model = nn.Sequential(body, nn.Softmax(1) if name == "softmax" else nn.LogSoftmax(-1))
    network = trace(model, (6,), order_only=True)
    x = torch.rand(5, 6)
    torch.testing.assert_close(network.forward(x), body(x))
    assert network.left_out == "softmax"
    assert network.to(torch.float64).left_out == "softmax"
    assert trace(body, (6,), order_only=True).left_out == ""
