"""The activations inside a network, by the names of its layers."""

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, fx, nn

from saddlepoint.core.errors import Invalid, Unsupported, closest

__all__ = ["Taps", "layer_names", "taps"]

_ACTIVATIONS = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.Softplus,
    nn.Tanh,
    nn.Sigmoid,
)
# Of the functions that ONNX's operators become, and of torch's own.
_IN_GRAPHS = (
    *("relu", "leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish"),
    *("clip", "hard_swish", "softplus", "tanh", "sigmoid"),
)

Taps = Callable[[nn.Module, Tensor], list[Tensor]]


def layer_names(module: nn.Module) -> tuple[str, ...]:
    """Return what may be tapped: submodules, or the operations of a converted graph (ONNX).

    >>> layer_names(nn.Sequential(nn.Linear(2, 3), nn.ReLU()))
    ('0', '1')
    """
    if isinstance(module, fx.GraphModule):
        return tuple(n.name for n in _operations(module))
    return tuple(name for name, _ in module.named_modules() if name)


def taps(module: nn.Module, layers: tuple[str, ...] | None) -> tuple[tuple[str, ...], Taps]:
    """Return the names of the tapped layers, and what reads their outputs for a batch.

    layers: names of submodules, in any order; None takes the activation functions. A layer that
    runs several times gives an output each time. Outputs come in the order of execution. Raises
    ``Invalid`` for a name that is not there, and ``Unsupported`` for a network without layers.

    >>> import torch
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> names, read = taps(net, None)
    >>> names, [tuple(t.shape) for t in read(net, torch.zeros(5, 2))]
    (('1',), [(5, 3)])
    """
    known = layer_names(module)
    if not known:
        hint = "write them as modules, such as nn.Conv2d and nn.ReLU in an nn.Sequential"
        raise Unsupported(f"{type(module).__name__} has no layers to look into: {hint}")
    chosen = _activations(module) if layers is None else layers
    if layers is None and not chosen:
        hint = "known: " + ", ".join(known)
        raise Invalid("layers", None, "given: the network has no activation as a module", hint)
    unknown = [name for name in chosen if name not in known]
    if unknown or not chosen:
        wrong: object = unknown[0] if unknown else layers
        raise Invalid("layers", wrong, "names of the network's layers", closest(str(wrong), known))
    if isinstance(module, fx.GraphModule):
        return chosen, _Shortened(module, chosen)
    return chosen, _Hooks(chosen)


def _operations(module: fx.GraphModule) -> list[fx.Node]:
    return [n for n in module.graph.nodes if n.op.startswith("call")]


def _activations(module: nn.Module) -> tuple[str, ...]:
    if not isinstance(module, fx.GraphModule):
        return tuple(n for n, m in module.named_modules() if n and isinstance(m, _ACTIVATIONS))
    return tuple(n.name for n in _operations(module) if _activates(module, n))


def _activates(module: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(module.get_submodule(str(node.target)), _ACTIVATIONS)
    said = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return said in _IN_GRAPHS


class _Hooks:
    """Reads outputs of submodules while the network runs; leaves no hook behind."""

    def __init__(self, layers: tuple[str, ...]) -> None:
        self.layers = layers

    def __call__(self, module: nn.Module, x: Tensor) -> list[Tensor]:
        seen: list[Tensor] = []
        with self._listening(module, seen):
            module(x)
        return seen

    @contextlib.contextmanager
    def _listening(self, module: nn.Module, seen: list[Tensor]) -> Iterator[None]:
        def keep(_module: nn.Module, _given: Any, out: Any) -> None:  # noqa: ANN401
            if not isinstance(out, Tensor) or out.dim() < 2:
                what = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
                raise Invalid("layers", f"<output {what}>", "layers that return a tensor (B, C, …)")
            # A copy, since a later layer may work in place.
            seen.append(out.clone())

        with contextlib.ExitStack() as hooks:
            for name in self.layers:
                handle = module.get_submodule(name).register_forward_hook(keep)
                hooks.callback(handle.remove)
            yield


class _Shortened:
    """Runs a graph up to the last tapped operation, and returns all that are tapped."""

    def __init__(self, module: fx.GraphModule, layers: tuple[str, ...]) -> None:
        graph = copy.deepcopy(module.graph)
        ends = [n for n in graph.nodes if n.name in layers]
        output = next(n for n in graph.nodes if n.op == "output")
        output.args = (tuple(ends),)
        graph.owning_module = module
        graph.eliminate_dead_code()
        self.graph = graph

    def __call__(self, module: nn.Module, x: Tensor) -> list[Tensor]:
        out = fx.Interpreter(module, graph=self.graph).run(x)
        return list(out)
