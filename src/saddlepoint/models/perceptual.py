"""A distance between inputs as a network sees them: how far its activations lie apart."""

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from saddlepoint.core.door import state_hash
from saddlepoint.core.errors import BadData, Invalid, Unsupported
from saddlepoint.core.shapes import norm
from saddlepoint.models.factory import is_factory
from saddlepoint.models.load import load_model
from saddlepoint.models.registry import ARCHITECTURES
from saddlepoint.models.stacks import STACKS, filled, tapped
from saddlepoint.models.taps import Taps, taps
from saddlepoint.models.weights import read_safetensors, read_torch

__all__ = ["FLOOR", "Perceptual", "load_perceptual"]

FLOOR = 1e-8  # squared length below which a vector of channels counts as none


class Perceptual:
    """d(x, y) = ||phi(x) - phi(y)||_2, phi the unit-normalised activations of a network.

    phi(x) = (w_l^1/2 g_l(x) / sqrt(S_l))_l over layers l, where g_l(x) has length one along its
    channels at each of S_l places (2006.12655, §3), and w_l are one, or weights of each channel
    from ``weights``; d squared then is LPIPS (1801.03924, eq. 1). Channels are axis 1 of an
    activation (B, C, *S). A vector of channels is divided by the root of its squared length plus
    1e-8, which keeps the distance smooth where a network is silent.

    network: kept as a copy in evaluation mode, so that what happens to it later changes nothing.
    name: how it reads in a threat model. shape: of one input, None where any fits. sha256: of its
    parameters and buffers, the first 16 digits.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    >>> x = torch.rand(2, 1, 8, 8)
    >>> Perceptual(net).distance(x, x)
    tensor([0., 0.])
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[str] | None = None,
        weights: Sequence[Tensor] | None = None,
        name: str = "",
        shape: tuple[int, ...] | None = None,
    ) -> None:
        module = copy.deepcopy(network).eval().requires_grad_(False)
        self.layers, self._read = _tapped(module, layers)
        self.name, self.shape, self.weights = name, shape, _checked(weights, self.layers)
        self.sha256 = state_hash(module)[:16]
        tensors = [*module.parameters(), *module.buffers()]
        kind = next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)
        place = tensors[0].device if tensors else torch.device("cpu")
        self._copies = {(kind, place): module}

    def __repr__(self) -> str:
        return repr(self.name) if self.name else f"<network {self.sha256}>"

    @property
    def network(self) -> nn.Module:
        """The network as it was given, frozen."""
        return next(iter(self._copies.values()))

    @property
    def kind(self) -> torch.dtype:
        """The floating type in which the network was given."""
        return next(iter(self._copies))[0]

    @property
    def largest(self) -> float:
        """No two inputs are further apart than this: twice the length of phi."""
        heaviest = [1.0] * len(self.layers)
        if self.weights is not None:
            heaviest = [float(w.max()) for w in self.weights]
        return float(2 * sum(heaviest) ** 0.5)

    def features(self, x: Tensor) -> Tensor:
        """(B, D) the normalised activations phi(x), in x's own floating type; differentiable."""
        parts = []
        for i, a in enumerate(self.activations(x)):
            length = (a.square().sum(1, keepdim=True) + FLOOR).sqrt()
            places = max(1, a[0, 0].numel()) if len(a) else 1
            part = a / (length * places**0.5)
            if self.weights is not None:
                w = self._weight(i, a)
                part = part * w.sqrt()
            parts.append(part.flatten(1))
        return torch.cat(parts, 1)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """(B,) how far apart the network sees x and y; differentiable where it is not zero."""
        return norm(self.features(x) - self.features(y), 2)

    def activations(self, x: Tensor) -> list[Tensor]:
        """Return what the tapped layers give for a batch, in the order of execution."""
        if self.shape is not None and tuple(x.shape[1:]) != self.shape:
            hint = "the data and the feature network must have the same size"
            wanted = f"{self.shape}, the input of the feature network {self!r}"
            raise Invalid("x.shape[1:]", tuple(x.shape[1:]), wanted, hint)
        module = self._as(x)
        try:
            return self._read(module, x)
        except Invalid:
            raise
        except (RuntimeError, IndexError) as error:  # torch's refusal of a size
            reason = str(error).partition("\n")[0]
            allowed = f"a size that the feature network {self!r} takes"
            raise Invalid("x.shape[1:]", tuple(x.shape[1:]), allowed, reason) from error

    def check(self, x: Tensor) -> None:
        """Raise ``Invalid`` for inputs that the network does not take, or answers with no number.

        The layer at which numbers end is named.
        """
        with torch.no_grad():
            found = self.activations(x)
        for i, a in enumerate(found):
            if not bool(a.isfinite().all()):
                where = self.layers[i] if len(found) == len(self.layers) else f"output {i}"
                allowed = "one whose activations are finite"
                raise Invalid("network", repr(self), allowed, f"those of layer {where} are not")

    def _as(self, x: Tensor) -> nn.Module:
        """Return the network in the floating type and on the device of x."""
        key = (x.dtype, x.device)
        if key not in self._copies:
            self._copies[key] = copy.deepcopy(self.network).to(device=x.device, dtype=x.dtype)
        return self._copies[key]

    def _weight(self, i: int, a: Tensor) -> Tensor:
        w = self.weights[i] if self.weights is not None else torch.ones(a.shape[1])
        if len(w) != a.shape[1]:
            allowed = f"{a.shape[1]} numbers for layer {self.layers[i]}"
            raise Invalid("weights", f"<{len(w)} numbers>", allowed)
        return w.to(a).view(1, -1, *[1] * (a.dim() - 2))


def _tapped(module: nn.Module, layers: Sequence[str] | None) -> tuple[tuple[str, ...], Taps]:
    if isinstance(layers, str):
        layers = (layers,)
    return taps(module, None if layers is None else tuple(map(str, layers)))


def _checked(
    weights: Sequence[Tensor] | None, layers: tuple[str, ...]
) -> tuple[Tensor, ...] | None:
    if weights is None:
        return None
    if len(weights) != len(layers):
        raise Invalid("weights", f"<of {len(weights)} layers>", f"those of {len(layers)} layers")
    flat = tuple(w.detach().reshape(-1) for w in weights)
    if not all(bool((w.isfinite() & (w >= 0)).all()) for w in flat):
        raise Invalid("weights", "<negative or not finite>", "finite numbers >= 0")
    return flat


def load_perceptual(
    network: str,
    layers: Sequence[str] | None = None,
    arch: str | None = None,
    weights: str | None = None,
) -> Perceptual:
    """Read a network from a file or folder, and see inputs as it does.

    network: a folder with model.safetensors and model.json, an ``.onnx`` file, or weights that need
    ``arch``: one of ours, or ``vgg16`` and ``alexnet`` for state dicts in torchvision's format, of
    which LPIPS's layers are taken. weights: a file with one vector of channel weights
    for each layer, in order of their names, as LPIPS publishes them. Nothing here is imported or
    run: a text that names a factory is refused. Raises ``Invalid`` and ``BadData``.
    """
    for name, value in (("network", network), ("arch", arch)):
        if value is not None and is_factory(value):
            hint = "a threat model is read from files of others: in Python, pass the module itself"
            raise Invalid(name, value, "a file or folder with weights, never code", hint)
    linear = None if weights is None else _linear(Path(weights))
    if arch in STACKS:
        path = Path(network).expanduser()
        net: object = filled(arch, _read(path), path)
        return Perceptual(net, layers or tapped(arch), linear, network)  # type: ignore[arg-type]
    if arch is not None and arch not in ARCHITECTURES:
        raise Invalid("arch", arch, "one of " + ", ".join([*ARCHITECTURES, *STACKS]))
    loaded = load_model(network, arch)
    if not isinstance(loaded.model, nn.Module):
        raise Unsupported(f"{network} gives scores only, its layers cannot be read: {loaded.note}")
    return Perceptual(loaded.model, layers, linear, network, loaded.shape)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise BadData(f"{path}: no such file")
    return read_safetensors(path) if path.suffix.lower() == ".safetensors" else read_torch(path)


def _linear(path: Path) -> list[Tensor]:
    state = _read(path)
    return [state[k].float() for k in sorted(state)]
