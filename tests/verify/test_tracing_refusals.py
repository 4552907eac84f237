"""What cannot be recorded is refused in words, and writes in place are right or refused."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from saddlepoint.core.errors import Unsupported
from saddlepoint.verify.tracing import trace

SHAPE = (4, 6)


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401
        return torch.from_numpy(x.numpy() * 2)


def write_into_constant(x: Tensor) -> Tensor:
    total = torch.zeros(3, *SHAPE)
    total += x
    return total


def assign(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, 0] = 0
    return y


REFUSED: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "branch on a value": (lambda x: x if x.amax((1, 2)).item() > 0 else -x, "looks at the numbers"),
    "branch on a sum": (lambda x: x if bool(x.sum((1, 2))) else -x, "looks at the numbers"),
    "float": (lambda x: x * float(x.amax((1, 2))), "looks at the numbers"),
    "numpy": (lambda x: torch.tensor(x.numpy()), "looks at the numbers"),
    "custom function": (Doubled.apply, "looks at the numbers"),
    "comparison": (
        lambda x: torch.where(x > 0, x, -x),
        r"looks at the numbers it computes \(Tensor\.\w*gt",
    ),
    "unknown": (lambda x: x.cumsum(1), "no bounds for the operator Tensor.cumsum"),
    "wrong shape": (nn.Linear(5, 2), "fails on inputs"),
    "unknown by name": (torch.sin, "sin.*To add it: one class"),
    "layer norm": (lambda x: F.layer_norm(x, (6,)), "layer_norm"),
    "group norm": (nn.GroupNorm(2, 4), "group_norm"),
    "attention": (lambda x: x @ x.mT, "both depend on the input"),
    "einsum of two": (lambda x: torch.einsum("bij,bkj->bik", x, x), "einsum"),
    "einsum over samples": (
        lambda x: torch.einsum("bij,cb->cij", x, torch.ones(3, 3)),
        "fails on inputs",
    ),
    "weights from the input": (lambda x: F.conv1d(x, x[:, :, :3]), "conv1d as it is called here"),
    "product": (lambda x: x * (1 - x), "both depend on the input"),
    "quotient": (lambda x: x / (1 + x), "division"),
    "cube": (lambda x: x**3, "square"),
    "sum of samples": (lambda x: x.sum(0), "samples"),
    "sum of everything": (lambda x: x.sum(), "samples"),
    "maximum of everything": (lambda x: x + x.max(), "samples|batch"),
    "samples swapped": (lambda x: x.flip(0), "samples apart"),
    "samples picked": (lambda x: x[:3], "samples apart"),
    "samples joined": (lambda x: torch.cat([x, x]), "axis of the samples"),
    "samples in columns": (lambda x: x.transpose(0, 1), "samples apart"),
    "samples looped over": (lambda x: torch.stack([t.relu() for t in x]), "loop over samples"),
    "size of the batch": (lambda x: x / x.shape[0], "on the batch"),
    "no axis left": (lambda x: x.sum((1, 2)), "keep the axis"),
    "one batch size": (lambda x: x.reshape(3, -1), "on the batch"),
    "chance": (lambda x: x + torch.rand(6), "on chance"),
    "noise like x": (lambda x: x + torch.rand_like(x), "rand_like"),
    "several results": (lambda x: (x, x), "returns tuple"),
    "a constant": (lambda x: torch.zeros(3, 2), "returns Tensor"),
    "half": (lambda x: x.half(), "conversion"),
    "whole numbers": (lambda x: x.to(torch.int64), "conversion"),
    "batch norm that learns": (nn.BatchNorm1d(4), "model.eval"),
    "batch norm without statistics": (nn.BatchNorm1d(4, track_running_stats=False).eval(), "batch"),
    "dropout that drops": (nn.Dropout(), "model.eval"),
    "randomised ReLU": (nn.RReLU(), "model.eval"),
    "bicubic": (lambda x: F.interpolate(x[:, None], size=(2, 2), mode="bicubic"), "bicubic"),
    "a jump": (nn.Threshold(0.5, 0.0), "jump"),
    "limits by element": (lambda x: x.clamp(torch.zeros(6), torch.ones(6)), "by element"),
    "indices": (nn.MaxPool1d(2, return_indices=True), "indices"),
    "padding alone": (lambda x: F.max_pool1d(x[:, :, :1], 2, 2, 1, dilation=2), "padding"),
    "a mask": (lambda x: x[torch.ones(3, 4, dtype=torch.bool)], "samples apart|fails"),
    "an option": (lambda x: torch.sigmoid(x, out=torch.zeros(3, *SHAPE)), "as it is called here"),
    "softmax within": (lambda x: x.flatten(1).softmax(1) * 2, "very end"),
    "softmax of features": (lambda x: x.softmax(-1), "scores of the classes"),
    "softmax": (lambda x: x.flatten(1).softmax(1), "order_only=True"),
    "write into a constant": (write_into_constant, "into a constant"),
    "assignment": (assign, "setitem"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_words(name: str) -> None:
    model, words = REFUSED[name]
    with pytest.raises(Unsupported, match=words):
        trace(model, SHAPE)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.jit, but files of it exist
def test_scripted_models_are_refused_in_words() -> None:
    scripted = torch.jit.trace(nn.Linear(6, 2), torch.rand(1, 6), check_trace=False)
    with pytest.raises(Unsupported, match="TorchScript"):
        trace(nn.Sequential(nn.Flatten(0, 1), scripted), SHAPE)


@pytest.mark.slow  # it imports a compiler
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_dynamo_models_are_refused_in_words() -> None:
    with pytest.raises(Unsupported, match="_orig_mod"):
        trace(torch.compile(nn.Linear(6, 2)), SHAPE)


def test_a_negative_pixel_is_a_number_the_model_may_not_look_at() -> None:
    with pytest.raises(Unsupported, match="looks at the numbers"):
        trace(lambda x: x if all(x.flatten(1)[:, 0] < 2) else -x, SHAPE)


def add_late(x: Tensor) -> Tensor:
    y = x + 0
    kept = y
    y += x.relu()
    return kept * 2  # the same tensor: sees the sum


def relu_after_clone(x: Tensor) -> Tensor:
    y = x - 0.5
    kept = y.clone()
    y.relu_()
    return kept + y


def relu_of_a_view_alone(x: Tensor) -> Tensor:
    y = (x - 0.5).view(len(x), -1)
    y = F.relu(y, inplace=True)
    return y - 1


def chain(x: Tensor) -> Tensor:
    y = x - 0.5
    y.mul_(2).add_(1).neg_().sub_(0.2).div_(3).clamp_(-0.3, 0.1).abs_()
    z = y
    z.sigmoid_().tanh_()
    return y


RIGHT: list[Callable[[Tensor], Tensor]] = [add_late, relu_after_clone, relu_of_a_view_alone, chain]


@pytest.mark.parametrize("model", RIGHT)
def test_writing_in_place_is_seen_by_every_name(model: Callable[[Tensor], Tensor]) -> None:
    x = torch.rand(7, *SHAPE) * 4 - 2
    torch.testing.assert_close(trace(model, SHAPE).forward(x), model(x))


def view_then_write(x: Tensor) -> Tensor:
    y = x - 0.5
    flat = y.view(len(x), -1)
    y.relu_()
    return flat


def write_to_a_view(x: Tensor) -> Tensor:
    y = x - 0.5
    y[:, 0].relu_()
    return y


def write_to_a_part(x: Tensor) -> Tensor:
    y = x - 0.5
    first, _ = y.chunk(2, 1)
    first += 1
    return y


def write_past_detach(x: Tensor) -> Tensor:
    y = x - 0.5
    y.detach().relu_()
    return y


def write_to_a_view_of_a_view(x: Tensor) -> Tensor:
    y = x - 0.5
    y.transpose(1, 2).flatten(1).unsqueeze(1)
    z = y.view(len(y), -1)[:, 2:]
    z.contiguous().mul_(2)
    return y


WRONG = [view_then_write, write_to_a_view, write_to_a_part, write_past_detach]


@pytest.mark.parametrize("model", [*WRONG, write_to_a_view_of_a_view])
def test_another_view_of_what_was_written_to_may_not_be_used(
    model: Callable[[Tensor], Tensor],
) -> None:
    with pytest.raises(Unsupported, match="written to in place"):
        trace(model, SHAPE)
