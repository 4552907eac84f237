"""Where rays meet a sphere, a cylinder and a cube, in closed form.

Solids stand at the origin and reach about one unit from it; x is to the right, y down, z away from
the viewer. A texture coordinate is in [0, 1], right and down, with the middle of the texture
towards the viewer.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["SOLIDS", "Hit", "cube", "cylinder", "sphere"]

HALF_CUBE = 0.75  # half an edge
HALF_HEIGHT = 0.8  # of the cylinder, whose radius is RADIUS
RADIUS = 0.75
_FAR = 1e6


@dataclass(frozen=True)
class Hit:
    """Per ray: whether it meets the solid, the outer normal there, and what it sees.

    seen: (B, N) bool. normal: (B, N, 3). u, v: (B, N) texture coordinates, u going around by 1.
    bare: (B, N) bool, where the surface carries no texture.
    """

    seen: Tensor
    normal: Tensor
    u: Tensor
    v: Tensor
    bare: Tensor


def _nearest_root(a: Tensor, half_b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Least root of a t² + 2 half_b t + c, and whether there is one."""
    inside = half_b * half_b - a * c
    seen = inside > 0
    return (-half_b - inside.clamp_min(0).sqrt()) / a.clamp_min(1e-12), seen


def _around(x: Tensor, z: Tensor) -> Tensor:
    """Turn about the vertical axis as a share of a whole turn, 1/2 towards the viewer."""
    return torch.atan2(x, -z) / (2 * math.pi) + 0.5


def sphere(start: Tensor, way: Tensor) -> Hit:
    """Meet the unit sphere; longitude and latitude are the texture's axes."""
    t, seen = _nearest_root((way * way).sum(2), (start * way).sum(2), (start * start).sum(2) - 1)
    p = start + t[..., None] * way
    x, y, z = p.unbind(2)
    v = y.clamp(-1, 1).asin() / math.pi + 0.5
    return Hit(seen, p, _around(x, z), v, torch.zeros_like(seen))


def cylinder(start: Tensor, way: Tensor) -> Hit:
    """Meet an upright cylinder; its side carries the texture, its lids are bare."""
    (ox, oy, oz), (dx, dy, dz) = start.unbind(2), way.unbind(2)
    t, hit = _nearest_root(
        dx * dx + dz * dz, ox * dx + oz * dz, ox * ox + oz * oz - RADIUS * RADIUS
    )
    side = hit & ((oy + t * dy).abs() <= HALF_HEIGHT)
    # A ray meets the lid on the side it comes from, if any.
    lid = -HALF_HEIGHT * dy.sign()
    t_lid = (lid - oy) / torch.where(dy.abs() > 1e-9, dy, 1e-9)
    on_lid = (ox + t_lid * dx) ** 2 + (oz + t_lid * dz) ** 2 <= RADIUS * RADIUS
    top = on_lid & ~(side & (t <= t_lid))
    p = start + torch.where(top, t_lid, t)[..., None] * way
    x, y, z = p.unbind(2)
    zero = torch.zeros_like(x)
    upright = torch.stack([zero, lid.sign(), zero], 2)
    round_ = torch.stack([x, zero, z], 2) / RADIUS
    normal = torch.where(top[..., None], upright, round_)
    return Hit(side | top, normal, _around(x, z), y / (2 * HALF_HEIGHT) + 0.5, top)


def cube(start: Tensor, way: Tensor) -> Hit:
    """Meet a cube; each face carries the whole texture, upright on the four sides."""
    slope = torch.where(way.abs() > 1e-9, way, 1e-9)
    ends = torch.stack([(-HALF_CUBE - start) / slope, (HALF_CUBE - start) / slope])
    near, far = ends.amin(0), ends.amax(0)
    enter, axis = near.max(2)
    seen = enter < far.amin(2)
    p = (start + enter.clamp(-_FAR, _FAR)[..., None] * way) / HALF_CUBE
    x, y, z = p.unbind(2)
    facing = -way.gather(2, axis[..., None])[..., 0].sign()
    normal = torch.zeros_like(p).scatter_(2, axis[..., None], facing[..., None])
    across = torch.where(axis == 0, facing * z, torch.where(axis == 2, -facing * x, x))
    down = torch.where(axis == 1, -facing * z, y)
    return Hit(seen, normal, across / 2 + 0.5, down / 2 + 0.5, torch.zeros_like(seen))


SOLIDS: dict[str, Callable[[Tensor, Tensor], Hit]] = {
    "sphere": sphere,
    "cylinder": cylinder,
    "cube": cube,
}
