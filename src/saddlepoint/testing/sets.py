"""The laws of a threat model, for sets of your own: only the verbs are asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.shapes import dot, flat, norm
from saddlepoint.core.threat import MEMBER, Convex, Graded, parametric

__all__ = ["check_threat"]

_VERBS = ("start", "sample", "project", "steepest", "apply", "contains", "__getitem__")


def check_threat(threat: Any, x: Tensor | None = None, *, seed: int = 0) -> None:  # noqa: ANN401
    """Raise ``AssertionError``, in plain words, for the first law that a threat model breaks.

    The laws: it has the verbs and a repr that tells its settings; the start changes nothing;
    members are contained, keep type, shape and input range, and are their own projections; in
    convex sets ``project`` is nearest and ``maximise`` beats every member; ``contains`` refuses
    what is far out, beyond the rim or not finite, and never projects; rows do not depend on their
    neighbours; ``steepest`` ascends, and a gradient of zero leads nowhere; ``apply`` can be
    differentiated; sizes nest; the same draw gives the same member, and no verb writes into what it
    is given.

    x: (B, *F) inputs in the set's range, B >= 2; None takes 4 small images. A pass is no proof:
    points are random (seed), and a set may be wrong in ways that no verb shows. Raises ``Invalid``
    for inputs that no law could be tried on. What a verb itself raises is not caught.

    >>> from saddlepoint import L2
    >>> check_threat(L2(eps=0.5))
    """
    missing = [v for v in _VERBS if not hasattr(threat, v)]
    _demand(not missing, f"has no {', '.join(missing)}: a set needs the verbs {', '.join(_VERBS)}")
    _demand(" at 0x" not in repr(threat), "has a repr that does not tell its settings")
    x = _images(threat, seed) if x is None else x
    if x.dim() < 2 or len(x) < 2 or not x.is_floating_point():
        raise Invalid("x", f"<shape {tuple(x.shape)}>", "floats (B, *F) with B >= 2")
    for dtype in (torch.float64, torch.float32):
        scene = _Scene.of(threat, x.to(dtype), seed)
        for law in _LAWS:
            law(scene)


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(f"the set {what}")


def _images(threat: Any, seed: int) -> Tensor:  # noqa: ANN401
    """(4, 1, 6, 6) images within the box, some of their values on it."""
    low, high = getattr(threat, "box", (0.0, 1.0))
    low, high = max(low, -2.0), min(high, max(low, -2.0) + 4.0)
    v = Draw.of(seed, torch.arange(4)).tag("images").uniform(1, 6, 6).double() * 1.4 - 0.2
    return low + v.clamp(0, 1) * (high - low)


@dataclass(frozen=True, eq=False)
class _Scene:
    """A set, inputs, a gradient, and members that come about in different ways."""

    threat: Any
    x: Tensor
    draw: Draw
    start: Tensor
    g: Tensor
    members: tuple[Tensor, ...]

    @classmethod
    def of(cls, threat: Any, x: Tensor, seed: int) -> "_Scene":  # noqa: ANN401
        draw = Draw.of(seed, torch.arange(len(x)))
        start = threat.start(x)
        g = _noise(start, draw, "g")
        far = threat.project(x, start + _noise(start, draw, "far", 5.0))
        near = threat.project(x, start + _noise(start, draw, "near", 0.1))
        step = threat.project(x, far + threat.steepest(x, far, g))
        return cls(threat, x, draw, start, g, (start, threat.sample(x, draw), far, near, step))


def _noise(u: Tensor, draw: Draw, tag: str, size: float = 1.0) -> Tensor:
    """Heavy-tailed noise like u."""
    wild = draw.tag(tag).normal(*u.shape[1:]) * draw.tag(tag, "tail").normal(*u.shape[1:]).exp()
    return wild.to(u.dtype) * size


def _start_changes_nothing(s: _Scene) -> None:
    off = (s.threat.apply(s.x, s.start) - s.x).abs().max()
    exact = s.x.dtype == torch.float32  # the type of data; a grid of bytes rounds in another
    _demand(
        float(off) <= (0 if exact else 1e-7),
        f"changes x by {float(off):.3g} at its start: apply(x, start(x)) != x",
    )


def _members_are_contained(s: _Scene) -> None:
    low, high = getattr(s.threat, "box", (-torch.inf, torch.inf))
    names = ("start", "sample", "project", "project", "project after steepest")
    for name, u in zip(names, s.members, strict=True):
        _demand(u.dtype == s.x.dtype, f"gives {u.dtype} for inputs of {s.x.dtype} ({name})")
        inside = s.threat.contains(s.x, u, MEMBER)
        _demand(
            inside.shape == (len(s.x),) and inside.dtype == torch.bool,
            "must answer contains with one bool per sample",
        )
        _demand(bool(inside.all()), f"does not contain what {name} returns")
        moved = s.threat.apply(s.x, u)
        fits = moved.shape == s.x.shape and moved.dtype == s.x.dtype
        _demand(fits, "changes shape or type of the input: apply must keep both")
        slack = 1e-6 * max(1.0, min(high - low, 1e6))
        held = low - slack <= float(moved.min()) and float(moved.max()) <= high + slack
        _demand(held, f"leaves the input range {low, high} by what {name} returns")


def _projection(s: _Scene) -> None:
    for u in s.members:
        again = s.threat.project(s.x, u)
        gap = float((again - u).abs().max())
        _demand(gap <= 2e-6 * max(1.0, float(u.abs().max())), "moves a member that it projects")
    if not isinstance(s.threat, Convex) or parametric(s.threat):
        return
    u = _outside(s)
    p = s.threat.project(s.x, u)
    away = (u - p).double()
    for z in (*s.members, s.threat.maximise(s.x, away.to(s.x.dtype))):
        slack = 1e-5 * norm(away, 2) * max(1.0, float(norm(p.double(), 2).max()))
        nearest = bool((dot(away, z.double() - p.double()) <= slack + 1e-9).all())
        _demand(nearest, "has members that are nearer than what project returns")


def _rim(s: _Scene) -> None:
    """A member is its own projection, so that ``contains`` may be no wider than ``project``.

    By what becomes of x: a grid has members between its points, which ``apply`` rounds.
    """
    for tag in ("rim 0", "rim 1", "rim 2", "rim 3"):
        rim = s.threat.project(s.x, s.start + _noise(s.start, s.draw, tag, 5.0))
        for far in (1.1, 1.5, 2.0):
            u = s.start + far * (rim - s.start)
            inside = s.threat.contains(s.x, u, MEMBER)
            back = s.threat.apply(s.x, s.threat.project(s.x, u))
            moved = flat((back - s.threat.apply(s.x, u)).double()).abs().amax(1)
            strays = inside & (moved > 1e-4 * max(1.0, float(back.abs().max())))
            _demand(not bool(strays.any()), "contains points that project moves: it is too wide")


def _contains(s: _Scene) -> None:
    out = s.start + 1e3 * _noise(s.start, s.draw, "out").sign()
    _demand(not bool(s.threat.contains(s.x, out, MEMBER).any()), "contains points that are far out")
    bad = s.start.clone()
    flat(bad)[0, 0] = float("nan")
    said = s.threat.contains(s.x, bad, MEMBER)
    _demand(not bool(said[0]), "contains a point that is not a number")
    _demand(
        bool(said[1:].all()), "judges a sample by another: one that is no number spoils the rest"
    )
    refuse = AssertionError("the set calls project in contains: a mistake would vouch for itself")
    with patch.object(type(s.threat), "project", side_effect=refuse):
        s.threat.contains(s.x, s.start, MEMBER)


def _rows(s: _Scene) -> None:
    for rows in ([len(s.x) - 1, 0], *([i] for i in range(len(s.x)))):
        _alone(s, torch.tensor(rows))


def _alone(s: _Scene, keep: Tensor) -> None:
    t, part, x, u, draw = s.threat, s.threat[keep], s.x, s.members[1], s.draw
    wild = _outside(s)
    pairs = {
        "start": (part.start(x[keep]), s.start),
        "sample": (part.sample(x[keep], draw[keep]), u),
        "project": (part.project(x[keep], wild[keep]), t.project(x, wild)),
        "steepest": (part.steepest(x[keep], u[keep], s.g[keep]), t.steepest(x, u, s.g)),
        "apply": (part.apply(x[keep], u[keep]), t.apply(x, u)),
    }
    near = 1e-6 if x.dtype == torch.float64 else 1e-3
    for verb, (alone, together) in pairs.items():
        fits = alone.shape == together[keep].shape
        same = fits and torch.allclose(alone, together[keep], rtol=near, atol=near)
        _demand(same, f"gives a sample another {verb} alone than among others")


def _ascent(s: _Scene) -> None:
    still = s.threat.steepest(s.x, s.members[1], torch.zeros_like(s.g))
    _demand(bool(still.isfinite().all()), "steps to no number where the gradient is zero")
    for u in s.members:
        d = s.threat.steepest(s.x, u, s.g)
        slack = 1e-5 * norm(d.double(), 2) * norm(s.g.double(), 2)
        climbs = bool((dot(d.double(), s.g.double()) >= -slack - 1e-12).all())
        _demand(climbs, "descends: <steepest(x, u, g), g> < 0")
    moves = float((s.members[1] - s.start).abs().max()) > 1e-6
    d = s.threat.steepest(s.x, s.start, s.g)
    _demand(not moves or bool(d.any()), "has a steepest that leads nowhere")


def _differentiable(s: _Scene) -> None:
    u = s.members[1].detach().clone().requires_grad_()
    with torch.enable_grad():
        moved = s.threat.apply(s.x, u)
        _demand(moved.requires_grad, "cuts the gradient: apply(x, u) does not depend on u by torch")
        weights = _noise(s.x, s.draw, "weights")
        (g,) = torch.autograd.grad((moved * weights).sum(), u)
    _demand(bool(g.isfinite().all()), "has gradients of apply that are no numbers")


def _maximum(s: _Scene) -> None:
    if not isinstance(s.threat, Convex):
        return
    best = s.threat.maximise(s.x, s.g)
    inside = bool(s.threat.contains(s.x, best, MEMBER).all())
    _demand(inside, "does not contain what maximise returns")
    top = dot(s.g.double(), best.double())
    slack = 1e-5 * norm(s.g.double(), 2) * max(1.0, float(norm(best.double(), 2).max()))
    for z in s.members:
        beats = bool((dot(s.g.double(), z.double()) <= top + slack).all())
        _demand(beats, "has members that beat its maximise")


def _sizes(s: _Scene) -> None:
    if not isinstance(s.threat, Graded):
        return
    eps = torch.as_tensor(s.threat.eps, dtype=torch.float64).expand(len(s.x))
    for u in s.members:
        size = s.threat.size(s.x, u).double()
        within = bool((size <= eps * (1 + 1e-5) + 1e-5).all())
        _demand(within, "has members whose size is above its eps")
        around = s.threat.at((size * (1 + 1e-5) + 1e-5).to(s.x.dtype))
        held = bool(around.contains(s.x, u, 1e-5).all())
        _demand(held, "does not nest: at(size(x, u)) does not contain u")
    _demand(not bool(s.threat.size(s.x, s.start).any()), "gives its start a size other than 0")


def _no_traces(s: _Scene) -> None:
    random = torch.get_rng_state()
    given = (s.x, s.members[2], s.g, _outside(s))
    kept = tuple(t.clone() for t in given)
    a, b = (s.threat.sample(s.x, s.draw) for _ in range(2))
    _demand(torch.equal(a, b), "gives two members for one draw: use draw, and no other randomness")
    _demand(
        torch.equal(torch.get_rng_state(), random), "uses torch's global randomness: use draw alone"
    )
    for verb in _calls(s.threat, *given):
        same = all(map(torch.equal, given, kept))
        _demand(same, f"writes into what it is given ({verb})")


def _outside(s: _Scene) -> Tensor:
    return s.start + _noise(s.start, s.draw, "outside", 3.0)


def _calls(t: Any, x: Tensor, u: Tensor, g: Tensor, outside: Tensor) -> Iterator[str]:  # noqa: ANN401
    """Call the verbs one by one, and say which."""
    for verb, arguments in (
        ("project", (x, outside)),
        ("steepest", (x, u, g)),
        ("apply", (x, u)),
        ("contains", (x, u, MEMBER)),
    ):
        getattr(t, verb)(*arguments)
        yield verb


_LAWS = (
    _no_traces,
    _start_changes_nothing,
    _members_are_contained,
    _contains,
    _rows,
    _ascent,
    _differentiable,
    _maximum,
    _projection,
    _rim,
    _sizes,
)
