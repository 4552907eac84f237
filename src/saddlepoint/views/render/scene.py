"""The picture that a pinhole camera takes of a textured solid in a random pose."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid, closest
from saddlepoint.core.spec import compact
from saddlepoint.core.whole import require_whole
from saddlepoint.views.chain import product, then
from saddlepoint.views.render.solids import SOLIDS
from saddlepoint.views.render.texture import lookup
from saddlepoint.views.spans import Span, check_image, check_span, uniform
from saddlepoint.views.warp import matrices

__all__ = ["Render"]

Solid = Literal["sphere", "cylinder", "cube"]
_FIELD = math.tan(math.radians(25))  # half of what the camera sees: 50 degrees
_BARE = 0.5  # grey level of a surface without a texture


@dataclass(frozen=True, repr=False)
class Render:
    """Wrap each input as a texture around a solid, and photograph it in a random pose.

    picture = shade · texture(u, v) where a ray meets the solid, the background elsewhere; shade =
    1 - light · (1 - max(0, <n, l>)) for the outer normal n and the direction l of a lamp near the
    camera. Rays are met in closed form and the texture is looked up bilinearly, so a picture is a
    linear function of the texture, and its gradient is exact. The adversary controls the texture.

    solid: ``sphere`` (longitude and latitude), ``cylinder`` (its side) or ``cube`` (every face).
    size: pixels of the picture's side. repeat: how many times the texture goes around sphere and
    cylinder. yaw, pitch, roll: degrees about the vertical, the horizontal and the viewing axis.
    distance: of the camera, a pair, in units of the solid's size. light: share of the shade that
    depends on the angle, in [0, 1]; lamp: how far beside the camera the lamp may stand, as a share
    of its distance. background: a pair of grey levels. samples: rays a pixel has
    along each side. x: (B, C, H, W) textures; returns (B, C, size, size). Raises ``Invalid``.

    >>> texture, draw = torch.rand(2, 3, 16, 16), Draw.of(seed=0, ids=torch.arange(2))
    >>> Render("cube", size=32)(texture, draw).shape
    torch.Size([2, 3, 32, 32])
    """

    solid: Solid = "sphere"
    size: int = 64
    repeat: int = 2
    yaw: Span = 180.0
    pitch: Span = 30.0
    roll: Span = 15.0
    distance: tuple[float, float] = (2.6, 3.4)
    light: float = 0.5
    lamp: Span = 0.7
    background: tuple[float, float] = (0.0, 1.0)
    samples: int = 2

    def __post_init__(self) -> None:
        if self.solid not in SOLIDS:
            hint = closest(str(self.solid), SOLIDS)
            raise Invalid("solid", self.solid, "sphere, cylinder or cube", hint)
        for name in ("size", "repeat", "samples"):
            require_whole(name, getattr(self, name))
        for name in ("yaw", "pitch", "roll"):
            check_span(name, getattr(self, name), -360, 360)
        check_span("lamp", self.lamp, -10, 10)
        check_span("distance", self.distance, 1.5, 100, pair=True)
        check_span("background", self.background, 0, 1, pair=True)
        if not isinstance(self.light, int | float) or not 0 <= self.light <= 1:
            raise Invalid("light", self.light, "a share in [0, 1]")

    __repr__ = compact
    __rshift__ = then
    still = False  # a picture of a solid is never its texture

    def check(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the picture; refuse what is no texture."""
        return (*check_image("Render", shape)[:1], self.size, self.size)

    def __call__(self, x: Tensor, draw: Draw) -> Tensor:
        """(B, C, size, size) one picture of each texture."""
        turn = self._turn(x, draw)
        start, way = self._rays(turn, uniform(self.distance, draw.tag("distance"), x))
        hit = SOLIDS[self.solid](start, way)
        u = hit.u if self.solid == "cube" else (hit.u - 0.5) * self.repeat + 0.5
        seen = lookup(x, u if self.solid == "cube" else u % 1, hit.v, self.solid != "cube")
        seen = torch.where(hit.bare[:, None], _BARE, seen)
        # The lamp turns with the camera, the solid does not: bring it into the solid's frame.
        lamp = (self._lamp(x, draw)[:, :, None] * turn).sum(1)
        shade = 1 - self.light * (1 - (hit.normal * lamp[:, None]).sum(2).clamp(0, 1))
        behind = uniform(self.background, draw.tag("background"), x)[:, None, None]
        rays = torch.where(hit.seen[:, None], seen * shade[:, None], behind)
        side = self.size * self.samples
        return F.avg_pool2d(rays.view(*rays.shape[:2], side, side), self.samples)

    def _turn(self, x: Tensor, draw: Draw) -> Tensor:
        """(B, 3, 3) from the solid's frame to the camera's: yaw, then pitch, then roll."""
        names = ("yaw", "pitch", "roll")
        angles = [uniform(getattr(self, n), draw.tag(n), x) * (math.pi / 180) for n in names]
        (cy, cp, cr), (sy, sp, sr) = [a.cos() for a in angles], [a.sin() for a in angles]
        yaw = matrices(cy, 0.0, sy, 0.0, 1.0, 0.0, -sy, 0.0, cy)
        pitch = matrices(1.0, 0.0, 0.0, 0.0, cp, -sp, 0.0, sp, cp)
        roll = matrices(cr, -sr, 0.0, sr, cr, 0.0, 0.0, 0.0, 1.0)
        return product(roll, product(pitch, yaw))

    def _rays(self, turn: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 1, 3) where rays start and (B, N, 3) where they go, in the solid's frame."""
        n = self.size * self.samples
        at = ((torch.arange(n, device=turn.device, dtype=turn.dtype) + 0.5) * 2 / n - 1) * _FIELD
        down, right = torch.meshgrid(at, at, indexing="ij")
        way = torch.stack([right, down, torch.ones_like(right)], 2).view(1, -1, 3)
        start = torch.zeros_like(turn[:, :1])
        start[:, 0, 2] = -distance
        # The transpose of a turn takes back: row by row, the same in every batch.
        back = [(ray[..., None] * turn[:, None]).sum(2) for ray in (start, way)]
        return back[0], back[1]

    def _lamp(self, x: Tensor, draw: Draw) -> Tensor:
        """(B, 3) unit vectors to a lamp behind the viewer, in the camera's frame."""
        ways = (uniform(self.lamp, draw.tag("lamp", way), x) for way in ("right", "down"))
        lamp = torch.stack([*ways, -torch.ones(len(x), dtype=x.dtype, device=x.device)], 1)
        return lamp / (lamp * lamp).sum(1, keepdim=True).sqrt()
