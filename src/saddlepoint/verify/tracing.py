"""Record what a model does to a tensor, operator by operator."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.core.errors import Unsupported
from saddlepoint.verify.network import Network, Node
from saddlepoint.verify.operators.operator import Operator

__all__ = ["Tape", "Traced", "trace"]

SAMPLES = 3  # of the recorded batch: a prime, so that no other axis is taken for it
_TOLERANCE = 1e-4

Handler = Callable[..., Any]


class Tape:
    """The nodes so far, and the values they had on the recorded batch."""

    def __init__(self, x: Tensor) -> None:
        self.nodes = [Node(None, (), x.shape[1:])]
        self.values = [x]

    def add(self, op: Operator, *inputs: "Traced") -> "Traced":
        """Append a node; return the tensor that stands for its value."""
        value = op.forward(*(self.values[t.node] for t in inputs))
        if value.dim() < 1 or len(value) != SAMPLES:
            raise Unsupported(
                f"{type(op).__name__} gives shape {tuple(value.shape)} for {SAMPLES} samples: "
                "bounds need operators that keep the samples on the first axis"
            )
        self.nodes.append(Node(op, tuple(t.node for t in inputs), value.shape[1:]))
        self.values.append(value)
        return Traced.of(self, len(self.nodes) - 1)


class Traced(Tensor):
    """A tensor that records what is done to it instead of being computed only."""

    tape: Tape
    node: int

    @staticmethod
    def of(tape: Tape, node: int) -> "Traced":
        """Return the stand-in for a node's value."""
        traced = tape.values[node].detach().as_subclass(Traced)
        traced.tape, traced.node = tape, node
        return traced

    @property
    def plain(self) -> Tensor:
        """The value on the recorded batch."""
        return self.tape.values[self.node]

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Record the call, answer a question about shapes, or say that it is not supported."""
        from saddlepoint.verify.handlers import HANDLERS, QUESTIONS

        kwargs = kwargs or {}
        if func in QUESTIONS:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        handler = HANDLERS.get(func)
        if handler is None:
            raise Unsupported(_unknown(func))
        return handler(*args, **kwargs)


def _unknown(func: Callable[..., Any]) -> str:
    name = getattr(func, "__qualname__", None) or getattr(func, "__name__", None) or str(func)
    owner = getattr(func, "__self__", None)
    if name == "__get__" and owner is not None:
        name = f"Tensor.{getattr(owner, '__name__', owner)}"
    if any(word in name for word in ("__bool__", "item", "tolist", "numpy", "__index__")):
        return (
            f"the model looks at the numbers it computes ({name}): bounds need the same operators "
            "for every input. Write the branch with torch.where or clamp, or split the model"
        )
    return (
        f"no bounds for the operator {name}. To add it: one class with forward, ibp and lines (or "
        "transpose) in saddlepoint/verify/operators, and its name in verify/handlers.py"
    )


def trace(model: nn.Module | Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Network:
    """Return the network that ``model`` computes for inputs (B, *shape).

    The model runs once, in evaluation mode as it should be, on a tensor that records its
    operators; parameters are not copied. What was recorded is then compared with the model on
    other inputs. Raises ``Unsupported`` for an operator without bounds, for batch norm and dropout
    in training mode, for code that looks at the numbers it computes, and for a model that answers
    otherwise than what was recorded.

    >>> net = trace(nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.ReLU()), (1, 2, 2))
    >>> [type(node.op).__name__ for node in net.nodes[1:]]
    ['Reshape', 'Matrix', 'Bend']
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2 * SAMPLES, *shape, generator=generator).to(_kind(model))
    tape = Tape(x[:SAMPLES])
    with torch.no_grad():
        out = model(Traced.of(tape, 0))
        if not isinstance(out, Traced):
            raise Unsupported(
                f"the model returns {type(out).__name__}: bounds need one tensor that is computed "
                "from the input by operators they know"
            )
        network = _used(tape, out.node)
        _agree(network, model, x)
    return network


def _kind(model: Any) -> Tensor:  # noqa: ANN401
    """Return a tensor of the type and on the device of the model's parameters."""
    found = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return torch.zeros(()) if found is None else found.detach()


def _used(tape: Tape, output: int) -> Network:
    """Keep what the output depends on; it comes last by construction of the order."""
    keep = {output, 0}
    for n in range(output, 0, -1):
        if n in keep:
            keep.update(tape.nodes[n].inputs)
    order = sorted(n for n in keep if n <= output)
    place = {n: i for i, n in enumerate(order)}
    nodes = (tape.nodes[n] for n in order)
    return Network(tuple(Node(n.op, tuple(place[i] for i in n.inputs), n.shape) for n in nodes))


def _agree(network: Network, model: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """Compare the network with the model on samples it has not seen, beyond the unit box too."""
    for probe in (x[SAMPLES:], 3 * x[:SAMPLES] - 1):
        ours, theirs = network.forward(probe), model(probe)
        gap = float((ours - theirs).abs().max())
        if not gap <= _TOLERANCE * max(1.0, float(theirs.abs().max())):
            raise Unsupported(
                f"the model answers differently from its operators, by {gap:.3g}: it depends on "
                "the numbers it computes, on the batch, or on chance"
            )
