"""Any strides, any memory format, any rank: pain 26."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from tests.laws.cases import B
from tests.table import THREATS, ThreatRow


def strided(t: Tensor) -> Tensor:
    wide = t.new_zeros(*t.shape[:-1], 2 * t.shape[-1])
    wide[..., ::2] = t
    return wide[..., ::2]


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "nhwc": lambda t: t.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2),
    "channels-last": lambda t: t.contiguous(memory_format=torch.channels_last),
    "batch-last": lambda t: t.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2),
    "strided": strided,
    "transposed": lambda t: t.transpose(2, 3).contiguous().transpose(2, 3),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("row", THREATS, ids=lambda r: r.name)
def test_strides_change_nothing(row: ThreatRow, layout: str) -> None:
    lay = LAYOUTS[layout]
    threat, x = row.make(B), row.inputs(B, (3, 4, 5), 2, torch.float32)
    draw = Draw.of(1, torch.arange(B))
    g, far = draw.tag("g").normal(3, 4, 5), 2 * max(row.eps, 0.1) * draw.tag("u").normal(3, 4, 5)
    u = threat.project(x, far)
    assert not lay(x).is_contiguous()
    pairs = (
        (threat.start(x), threat.start(lay(x))),
        (threat.sample(x, draw), threat.sample(lay(x), draw)),
        (u, threat.project(lay(x), lay(far))),
        (threat.steepest(x, u, g), threat.steepest(lay(x), lay(u), lay(g))),
        (threat.maximise(x, g), threat.maximise(lay(x), lay(g))),
        (threat.apply(x, u), threat.apply(lay(x), lay(u))),
    )
    for plain, odd in pairs:
        torch.testing.assert_close(odd, plain, rtol=1e-5, atol=1e-6)
    assert bool(threat.contains(lay(x), lay(u), 1e-6).all())


@pytest.mark.parametrize("shape", [(12,), (3, 4), (3, 2, 2), (1, 3, 2, 2)], ids=str)
@pytest.mark.parametrize("row", THREATS, ids=lambda r: r.name)
def test_rank_changes_nothing(row: ThreatRow, shape: tuple[int, ...]) -> None:
    threat, x = row.make(B), row.inputs(B, (12,), 2, torch.float32)
    g, draw = Draw.of(1, torch.arange(B)).normal(12), Draw.of(2, torch.arange(B))
    for verb, args in (("maximise", (g,)), ("project", (3 * g,)), ("steepest", (0.1 * g, g))):
        plain = getattr(threat, verb)(x, *args)
        shaped = getattr(threat, verb)(x.view(B, *shape), *[a.view(B, *shape) for a in args])
        assert shaped.shape == (B, *shape)
        torch.testing.assert_close(shaped.reshape(B, 12), plain, rtol=1e-5, atol=1e-6)
    sample = threat.sample(x.view(B, *shape), draw)
    torch.testing.assert_close(sample.reshape(B, 12), threat.sample(x, draw))
    assert bool(threat.contains(x.view(B, *shape), sample, 1e-6).all())
