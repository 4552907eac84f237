"""Inputs that a network sees as x: a small distance in its activations, whatever pixels do."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.core.shapes import flat, like
from saddlepoint.core.spec import compact
from saddlepoint.core.threat import radii
from saddlepoint.models.perceptual import Perceptual, load_perceptual
from saddlepoint.threats.feature_metric import direction
from saddlepoint.threats.feature_nearest import inside, pull_in

__all__ = ["Features"]

_CG = 10


@dataclass(frozen=True, repr=False)
class Features:
    """{u : ||phi(x + u) - phi(x)||_2 <= eps, low <= x + u <= high} (2006.12655, §3).

    phi(x) are the activations of a network, of length one along their channels and divided by the
    root of their number of places: the square of the distance is LPIPS. With the network that is
    attacked the set is self-bounded, with another externally bounded.

    network: a folder or file of weights, or in Python any ``nn.Module``, which is copied. layers:
    names of its layers; None takes its activation functions. arch: for weights without a card; also
    ``vgg16`` and ``alexnet``, for state dicts in torchvision's format. weights: a file of channel
    weights for each layer, such as LPIPS's; None weighs all alike, as the paper does. cg: how many
    conjugate-gradient iterations a direction takes in the metric of the features; 0 takes the
    gradient itself. sha256: of the network's parameters and buffers, filled in where it is not
    given; another network is refused. eps: above 0, or a tensor (B,) with one for each sample.

    The set is not convex and has no ``maximise``. ``project`` returns members near u, not the
    nearest one: Newton's steps towards the boundary, then a bisection between there and x.

    Raises ``Invalid`` for arguments that cannot be, ``BadData`` for a file that is none or holds
    other weights than ``sha256`` says, ``Unsupported`` for a network without layers.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    >>> threat = Features(net, eps=0.2)
    >>> x = torch.rand(2, 1, 8, 8)
    >>> u = threat.project(x, torch.rand(2, 1, 8, 8))
    >>> bool(threat.contains(x, u, 1e-6).all())
    True
    """

    costly: ClassVar[bool] = True  # its projection asks the network many times

    network: str | nn.Module | Perceptual
    eps: float | Tensor
    layers: Sequence[str] | None = None
    box: tuple[float, float] = (0.0, 1.0)
    arch: str | None = None
    weights: str | None = None
    cg: int = _CG
    sha256: str = ""

    def __post_init__(self) -> None:
        if len(self.box) != 2 or not -math.inf < self.box[0] < self.box[1] < math.inf:
            raise Invalid("box", self.box, "(low, high), finite, with low < high")
        if not isinstance(self.cg, int) or isinstance(self.cg, bool) or self.cg < 0:
            raise Invalid("cg", self.cg, "a whole number of iterations, 0 for none")
        _check_eps(self.eps)
        seen = self._seen()
        if self.sha256 and self.sha256 != seen.sha256:
            raise BadData(
                f"{seen!r} holds weights with sha256 {seen.sha256}…, not {self.sha256}…: this is "
                "not the feature network that the threat model was made with"
            )
        if not isinstance(self.eps, Tensor) and self.eps > seen.largest:
            allowed = f"at most {seen.largest:.4g}, the largest distance that these features have"
            raise Invalid("eps", self.eps, allowed)
        self._set(network=seen, sha256=seen.sha256)
        if self.layers is not None:
            named = (self.layers,) if isinstance(self.layers, str) else tuple(self.layers)
            self._set(layers=named)

    def _seen(self) -> Perceptual:
        """Return the network as features; a text is read from disk."""
        if isinstance(self.network, Perceptual):
            return self.network
        if isinstance(self.network, nn.Module):
            if self.arch is not None or self.weights is not None:
                hint = "these go with a file; Perceptual(network, weights=…) takes tensors"
                raise Invalid("arch", self.arch, "left out beside a module", hint)
            return Perceptual(self.network, self.layers)
        if not isinstance(self.network, str) or not self.network:
            given = f"<{type(self.network).__name__}>"
            raise Invalid("network", given, "a file or folder of weights, or an nn.Module")
        return load_perceptual(self.network, self.layers, self.arch, self.weights)

    def _set(self, **values: Any) -> None:  # noqa: ANN401
        for name, value in values.items():
            object.__setattr__(self, name, value)

    __repr__ = compact

    @property
    def words(self) -> str:
        """The set in plain words."""
        most = "a distance of its own" if isinstance(self.eps, Tensor) else f"at most {self.eps:g}"
        return (
            f"the activations of the network {self.perceptual!r} may move by {most}; "
            f"every value stays in [{self.box[0]:g}, {self.box[1]:g}]"
        )

    @property
    def perceptual(self) -> Perceptual:
        """The network as features."""
        return self._seen()

    def at(self, eps: float | Tensor) -> Self:
        """Return the same set for another distance, 0 included; a large one is the whole box."""
        other = copy.copy(self)
        other._set(eps=eps)
        return other

    def __getitem__(self, keep: Tensor) -> Self:
        return self.at(self.eps[keep]) if isinstance(self.eps, Tensor) else self

    def to(self, device: torch.device) -> Self:
        """Move sizes of samples to a device; the network follows the inputs."""
        return self.at(self.eps.to(device)) if isinstance(self.eps, Tensor) else self

    def start(self, x: Tensor) -> Tensor:
        """Return the zero perturbation, (B, *F); refuses inputs that the network does not take."""
        self.perceptual.check(x)
        return torch.zeros_like(x, memory_format=torch.contiguous_format)

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """x + u."""
        return x + u

    def size(self, x: Tensor, u: Tensor) -> Tensor:
        """(B,) how far the features move, differentiable."""
        return self.perceptual.distance(x, x + u)

    def contains(self, x: Tensor, u: Tensor, tol: float) -> Tensor:
        """(B,) bool: x + u within the box and its features within eps, both up to ``tol``."""
        moved = flat(self.apply(x, u)).double()
        slack = tol * max(1.0, self.box[1] - self.box[0])
        within = ((moved >= self.box[0] - slack) & (moved <= self.box[1] + slack)).all(1)
        return within & inside(self, x, u, radii(self, x).double() * (1 + tol) + tol)

    def clip(self, x: Tensor, u: Tensor) -> Tensor:
        """Cut u to the box."""
        low, high = self.box
        return torch.minimum(torch.maximum(u, low - x), high - x)

    def sample(self, x: Tensor, draw: Draw) -> Tensor:
        """A uniform point of the box, drawn in to a uniform share of the distance."""
        low, high = self.box
        point = draw.tag("point").uniform(*x.shape[1:]).to(x.dtype) * (high - low) + low
        share = draw.tag("share").uniform().to(x.dtype)
        return self.at(radii(self, x) * share).project(x, point - x)

    def project(self, x: Tensor, u: Tensor) -> Tensor:
        """Return a member near u: members stay, others move against the gradient of the distance.

        What is then still outside moves towards x. The last word has a computation in float64.
        """
        return pull_in(self, x, self.clip(x, u))

    def steepest(self, x: Tensor, u: Tensor, g: Tensor) -> Tensor:
        """Ascent direction whose features move by eps to first order.

        The largest <g, v> with ||J v|| <= eps, J the derivative of the features at x + u, is along
        (J^T J)^-1 g; ``cg`` iterations approach it (2006.12655, app. A.1). Values at a bound with
        the gradient pointing outwards stay, and no value moves by more than the box is wide.
        """
        low, high = self.box
        moved = x + u
        free = torch.where(g > 0, moved < high, moved > low)
        v, length = direction(self.perceptual, moved, torch.where(free, g, 0), free, self.cg)
        most = flat(v).abs().amax(1) if v[:1].numel() else length
        scale = torch.minimum(radii(self, x) / length, (high - low) / most)
        return v * like(scale.nan_to_num(0, 0, 0), v)


def _check_eps(eps: object) -> None:
    if not isinstance(eps, Tensor | int | float) or isinstance(eps, bool):
        raise Invalid("eps", eps, "a number above 0, or a (B,) tensor of numbers")
    if not isinstance(eps, Tensor):
        if not 0 < eps < math.inf:
            raise Invalid("eps", eps, "a finite number above 0", "0.5 is usual for 2006.12655")
        return
    if eps.dim() != 1:
        raise Invalid("eps", f"<shape {tuple(eps.shape)}>", "a number or a (B,) tensor")
    if not bool((eps.isfinite() & (eps >= 0)).all()):
        raise Invalid("eps", eps, "finite numbers >= 0")
