"""Models that work on contiguous memory only are searched and trained as well as others."""

from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest
import torch
from torch import Tensor, nn

from saddlepoint import PGD, Linf, TrainPlan, search, train
from saddlepoint.core.door import Door, Precision
from saddlepoint.core.layout import channels_last, laid_out, stands


class Views(nn.Module):
    """Flattens as tutorials do, which torch refuses of images in channels-last memory."""

    def __init__(self, reshape: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(4)
            self.kernel, self.last = nn.Conv2d(1, 3, 3), nn.Linear(108, 4)
        self.reshape = reshape

    def forward(self, x: Tensor) -> Tensor:
        z = self.kernel(x).relu()
        out: Tensor = self.last(z.flatten(1) if self.reshape else z.view(len(z), -1))
        return out


class Solid(nn.Module):
    """Kernels of five axes, which have no such layout."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.last = nn.Conv3d(1, 2, 3), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.kernel(x).flatten(1))
        return out


def samples(*shape: int) -> tuple[Tensor, Tensor]:
    return torch.rand(40, *shape, generator=torch.Generator().manual_seed(2)), torch.arange(40) % 4


def plan(*shape: int) -> TrainPlan:
    return TrainPlan(
        arch="own",
        shape=shape,
        classes=4,
        threat=Linf(eps=0.05),
        attack=PGD(steps=2),
        check=PGD(steps=2),
        epochs=1,
        batch_size=10,
        held_out=10,
        precision="bfloat16",
    )


def test_a_model_that_views_is_left_contiguous() -> None:
    x, _ = samples(1, 8, 8)
    views, reshapes = Views(), Views(reshape=True)
    assert not laid_out(views, x[:2])
    assert laid_out(reshapes, x[:2])
    assert views.kernel.weight.is_contiguous()
    assert views.training
    assert not stands(lambda x: x.view(len(x), -1), x.repeat(1, 2, 1, 1))
    assert channels_last(x).equal(x)


def test_it_is_searched_in_bfloat16() -> None:
    x, y = samples(1, 8, 8)
    found = [
        search(PGD(steps=5), model, x, y, Linf(eps=0.1), precision="bfloat16")
        for model in (Views(), Views(reshape=True), Views().forward)
    ]
    assert found[0].broken.any()
    for other in found:
        assert other.error is None
        assert [s.value for s in other.status] == [s.value for s in found[0].status]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_is_trained(precision: Precision, tmp_path: Path) -> None:
    x, y = samples(1, 8, 8)
    same = replace(plan(1, 8, 8), precision=precision)
    trained = [
        train(same, model, x, y, tmp_path / str(k), progress=False).model
        for k, model in enumerate((Views(), Views(reshape=True)))
    ]
    for one, other in zip(*(m.parameters() for m in trained), strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-2)


def test_kernels_of_five_axes_are_trained_and_searched(tmp_path: Path) -> None:
    x, y = samples(1, 4, 4, 4)
    trained = train(plan(1, 4, 4, 4), Solid(), x, y, tmp_path, progress=False)
    found = search(PGD(steps=2), trained.model, x, y, Linf(eps=0.05), precision="bfloat16")
    assert found.error is None


def test_a_door_that_is_interrupted_while_it_opens_is_closed() -> None:
    class Held(nn.Linear):
        def requires_grad_(self, requires_grad: bool = True) -> Self:
            raise KeyboardInterrupt

    net, state = Held(2, 2), torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt), Door(net):
        pass
    assert torch.get_rng_state().equal(state)
    assert net.training


def test_a_full_gpu_says_nothing_about_the_layout() -> None:
    def full(x: Tensor) -> Tensor:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.cuda.OutOfMemoryError):
        stands(full, torch.zeros(1, 3, 4, 4))
