"""Record what a model does to a tensor, operator by operator."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.core.errors import Unsupported
from saddlepoint.verify.network import Network, Node
from saddlepoint.verify.operators.operator import Operator
from saddlepoint.verify.operators.product import Product
from saddlepoint.verify.operators.rearrange import Sift

__all__ = ["Tape", "Traced", "trace"]

SAMPLES = 3  # of the recorded batch
_OTHERS = 5  # of a batch that the result is compared on: another size, to see what depends on it
_TOLERANCE = 1e-4

Ending = Callable[[Tensor], Tensor]


class Tape:
    """The nodes so far, and the values they had on the recorded batch."""

    def __init__(self, x: Tensor) -> None:
        self.nodes = [Node(None, (), x.shape[1:])]
        self.values = [x]

    def add(self, op: Operator, *inputs: "Traced") -> "Traced":
        """Append a node; return the tensor that stands for its value."""
        xs = [self.values[t.node] for t in inputs]
        value = op.forward(*xs)
        apart = value.dim() > 0 and len(value) == SAMPLES
        if not apart or (isinstance(op, Sift | Product) and not _keeps_apart(op, xs[0], value)):
            raise Unsupported(
                f"a step that gives shape {tuple(value.shape)} for {SAMPLES} samples: "
                "bounds need operators that keep the samples apart, on the first axis"
            )
        self.nodes.append(Node(op, tuple(t.node for t in inputs), value.shape[1:]))
        self.values.append(value.detach())
        return Traced.of(self, len(self.nodes) - 1)


def _keeps_apart(op: Sift | Product, x: Tensor, value: Tensor) -> bool:
    """Whether other samples beside them, in another order, leave the samples' values alone."""
    twice = op.forward(torch.cat([x, x.flip(0)]))
    expected = torch.cat([value, value.flip(0)])
    return twice.shape == expected.shape and torch.allclose(twice, expected, 1e-4, 1e-5)


class Memory:
    """What tensors share that are views of one another: how often it was written to."""

    def __init__(self) -> None:
        self.writes = 0


class Traced(Tensor):
    """A tensor that records what is done to it instead of being computed only."""

    _tape: Tape | None = None
    _node: int
    _memory: Memory
    _writes: int  # to the memory, when this tensor last knew what is in it
    ending: Ending | None  # what was done last, where nothing may follow

    @staticmethod
    def of(tape: Tape, node: int, ending: Ending | None = None) -> "Traced":
        """Return the stand-in for a node's value."""
        traced = tape.values[node].detach().as_subclass(Traced)
        traced._tape, traced._node, traced.ending = tape, node, ending
        traced._memory, traced._writes = Memory(), 0
        return traced

    def __repr__(self) -> str:  # type: ignore[override]
        return "a tensor that depends on the input"

    @property
    def tape(self) -> Tape:
        """Where this tensor is recorded."""
        if self._tape is None:
            raise Unsupported(
                "a tensor that came out of compiled code or of a custom autograd function, where "
                "operators cannot be recorded"
            )
        return self._tape

    @property
    def node(self) -> int:
        """Number of the node that this tensor stands for."""
        if self.tape is not None and self._writes != self._memory.writes:
            raise Unsupported(
                "a tensor that is used after another view of its memory was written to in place: "
                "write without the in-place operator, or clone first"
            )
        if self.ending is not None:
            raise Unsupported("softmax anywhere but at the very end of the model")
        return self._node

    @property
    def plain(self) -> Tensor:
        """The value on the recorded batch."""
        return self.tape.values[self.node]

    def again(self) -> "Traced":
        """Return another tensor of the same value."""
        return Traced.of(self.tape, self.node)

    def alias(self, of: "Traced") -> None:
        """Share the memory of another tensor: writing to one changes the other."""
        self._memory, self._writes = of._memory, of._memory.writes

    def overwrite(self, result: "Traced") -> "Traced":
        """Stand for ``result`` from here on, as after an in-place operator.

        Other views of the memory may not be used any more: what they hold now is not recorded.
        """
        if result.shape != self.shape:
            raise Unsupported("an in-place operator that changes the shape")
        if result is not self:
            self._memory.writes += 1
            self._writes, self._node = self._memory.writes, result.node
        return self

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
            raise _Refusal(_unknown(func))
        try:
            return handler(*args, **kwargs)
        except Unsupported as error:
            raise _Refusal(str(error)) from error
        except (TypeError, AttributeError) as error:  # an option or an operand it does not know
            raise _Refusal(f"{_name(func)} as it is called here: {error}") from error


class _Refusal(Exception):
    """``Unsupported`` on its way through torch, whose operators take a TypeError for a hint."""


def _name(func: Callable[..., Any]) -> str:
    name = getattr(func, "__qualname__", None) or getattr(func, "__name__", None) or str(func)
    if name.endswith("__get__"):
        owner = getattr(func, "__self__", None)
        return f"Tensor.{getattr(owner, '__name__', owner)}"
    return str(name).replace("TensorBase.", "Tensor.").replace("_VariableFunctionsClass", "torch")


_LOOKS = {"bool", "item", "tolist", "numpy", "index", "float", "int", "nonzero", "any", "all"}
_LOOKS |= {"lt", "gt", "le", "ge", "eq", "ne", "argmax", "argmin", "sort"}


def _unknown(func: Callable[..., Any]) -> str:
    name = _name(func)
    if name.split(".")[-1].strip("_") in _LOOKS:
        return (
            f"the model looks at the numbers it computes ({name}): bounds need the same operators "
            "for every input. Write the branch with relu, clamp or maximum, or split the model"
        )
    return (
        f"no bounds for the operator {name}. To add it: one class with forward, ibp and lines (or "
        "transpose) in saddlepoint/verify/operators, and its name in verify/handlers.py"
    )


def trace(
    model: nn.Module | Callable[[Tensor], Tensor],
    shape: tuple[int, ...],
    *,
    order_only: bool = False,
) -> Network:
    """Return the network that ``model`` computes for inputs (B, *shape).

    The model runs once, in evaluation mode as it should be, on a tensor that records its
    operators; parameters are not copied, but numbers that the model computes from them are. What
    was recorded is then compared with the model on other inputs.

    order_only: only the signs of differences of outputs matter, as for margins. A softmax or log
    softmax at the very end keeps them and is left out; the network's ``left_out`` names it.

    Raises ``Unsupported`` for an operator without bounds, for batch norm and dropout in training
    mode, for compiled models, for code that looks at the numbers it computes, and for a model that
    answers otherwise than what was recorded.

    >>> net = trace(nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.ReLU()), (1, 2, 2))
    >>> [type(node.op).__name__ for node in net.nodes[1:]]
    ['Reshape', 'Matrix', 'Bend']
    """
    _refuse_compiled(model)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(SAMPLES + _OTHERS, *shape, generator=generator).to(_kind(model))
    tape = Tape(x[:SAMPLES])
    out = _run(model, Traced.of(tape, 0))
    if not isinstance(out, Traced):
        raise Unsupported(
            f"the model returns {type(out).__name__}: bounds need one tensor that is computed "
            "from the input by operators they know"
        )
    ending, out.ending = out.ending, None
    if ending is not None and not order_only:
        raise Unsupported(
            "softmax: bounds know the scores before it. Remove it, or say order_only=True "
            "where only differences of scores are compared with 0"
        )
    network = _used(tape, out.node, "" if ending is None else "softmax")
    with torch.no_grad():
        _agree(network, model, x, ending)
    return network


def _run(model: Callable[[Tensor], Tensor], x: Tensor) -> Any:  # noqa: ANN401
    try:
        return model(x)
    except _Refusal as refusal:
        raise Unsupported(str(refusal)) from refusal.__cause__
    except RuntimeError as error:
        first = str(error).partition("\n")[0]
        raise Unsupported(f"the model fails on inputs {tuple(x.shape)}: {first}") from error


def _refuse_compiled(model: Any) -> None:  # noqa: ANN401
    parts = list(model.modules()) if isinstance(model, nn.Module) else [model]
    for part in parts:
        if isinstance(part, torch.jit.ScriptModule | torch.jit.ScriptFunction):
            raise Unsupported("a TorchScript model: bounds need the Python module it was made from")
        if hasattr(part, "_orig_mod") or hasattr(part, "_torchdynamo_orig_callable"):
            raise Unsupported("a compiled model: pass the module it was made from (._orig_mod)")


def _kind(model: Any) -> Tensor:  # noqa: ANN401
    """Return a tensor of the type and on the device of the model's parameters."""
    found: list[Tensor] = []
    if isinstance(model, nn.Module):
        found = [t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()]
    return found[0].detach() if found else torch.zeros(())


def _used(tape: Tape, output: int, left_out: str) -> Network:
    """Keep what the output depends on; it comes last by construction of the order."""
    keep = {output, 0}
    for n in range(output, 0, -1):
        if n in keep:
            keep.update(tape.nodes[n].inputs)
    order = sorted(n for n in keep if n <= output)
    if any(not tape.nodes[n].shape for n in order):
        raise Unsupported("one number per sample without an axis of its own: keep the axis")
    place = {n: i for i, n in enumerate(order)}
    nodes = (tape.nodes[n] for n in order)
    kept = tuple(Node(n.op, tuple(place[i] for i in n.inputs), n.shape) for n in nodes)
    return Network(kept, left_out)


def _agree(
    network: Network, model: Callable[[Tensor], Tensor], x: Tensor, ending: Ending | None
) -> None:
    """Compare the network with the model on samples it has not seen, beyond the unit box too."""
    for probe in (x[SAMPLES:], 3 * x[:SAMPLES] - 1):
        ours, theirs = network.forward(probe), _run(model, probe.clone())
        ours = ours if ending is None else ending(ours)
        gap = float((ours - theirs).abs().max()) if ours.shape == theirs.shape else torch.nan
        if not gap <= _TOLERANCE * max(1.0, float(theirs.abs().max())):
            raise Unsupported(
                f"the model answers differently from its operators, by {gap:.3g}: it depends on "
                "the numbers it computes, on the batch, or on chance"
            )
