"""Square moves as published: blocks at both ends of each axis, signs per channel, a schedule."""

import torch

from saddlepoint import Linf, Square, search
from saddlepoint.attacks.square import _block, _chances, _insides
from saddlepoint.core.draw import Draw


def blocks(u: torch.Tensor, share: float) -> torch.Tensor:
    place, sign = _chances(u, 3, Draw.of(0, torch.arange(len(u))))
    insides = _insides(u, [0.5, share, 0.3], place)  # shares differ by query
    inside = [side[:, 1] for side in insides]
    return _block(u, inside, sign[:, 1])


def test_blocks_reach_every_corner_and_have_the_right_area() -> None:
    u = torch.zeros(4000, 3, 5, 7)
    hit = blocks(u, 0.1).abs()
    assert set(hit.flatten(1).sum(1).tolist()) == {3.0 * 2 * 2}  # side round(sqrt(3.5)) = 2
    often = hit.mean(0)[0]
    for corner in (often[0, 0], often[0, -1], often[-1, 0], often[-1, -1]):
        assert abs(float(corner) - 1 / 24) < 0.01  # one of 4 x 6 places
    assert set(hit.unique().tolist()) == {0.0, 1.0}


def test_signs_are_drawn_per_channel_and_sample() -> None:
    g = blocks(torch.zeros(1000, 2, 4, 4), 1.0)
    assert (g == g[:, :, :1, :1]).all()
    same = float((g[:, 0, 0, 0] == g[:, 1, 0, 0]).float().mean())
    assert 0.44 < same < 0.56


def test_the_schedule_is_stretched_to_the_number_of_queries() -> None:
    published = Square(n_queries=10_000)
    assert [published.share(k) for k in (10, 11, 50, 51, 8001)] == [0.8, 0.4, 0.4, 0.2, 0.8 / 512]
    assert Square(n_queries=100).share(81) == 0.8 / 512


def test_in_the_linf_ball_every_point_is_a_vertex_on_blocks() -> None:
    asked = []

    def model(x: torch.Tensor) -> torch.Tensor:
        asked.append(x.clone())
        return torch.stack([x.flatten(1).sum(1) * 0 + 1, x.flatten(1).sum(1) * 0], 1)

    x = torch.full((2, 1, 6, 6), 0.5)
    search(Square(n_queries=30), model, x, torch.zeros(2).long(), Linf(eps=0.25), access="scores")
    moved = torch.cat(asked[1:]) - 0.5
    assert set(moved.abs().unique().tolist()) == {0.25}
    stripes = asked[1] - 0.5
    assert (stripes == stripes[:, :, :1]).all()


def test_a_block_wins_where_pixels_alone_do_not() -> None:
    """The mean over a patch decides: independent noise averages out, a block does not."""

    def model(x: torch.Tensor) -> torch.Tensor:
        means = torch.nn.functional.avg_pool2d(x, 4, stride=1).flatten(1).amax(1)
        return torch.stack([torch.full_like(means, 0.7), means], 1)

    x = torch.full((8, 1, 12, 12), 0.5)
    found = search(
        Square(n_queries=200), model, x, torch.zeros(8).long(), Linf(eps=0.25), access="scores"
    )
    assert found.broken.all()
