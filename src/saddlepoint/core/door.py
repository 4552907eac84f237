"""One model, opened for questions and left exactly as it was found."""

import contextlib
import copy
import hashlib
import random
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.expectation import Expectation
from saddlepoint.core.layout import channels_last, laid_out, stands
from saddlepoint.core.tf32 import without_tf32
from saddlepoint.core.whole import require_whole

__all__ = ["Door", "Model", "Precision", "state_hash"]

Model = Callable[[Tensor], Any]
Precision = Literal["float32", "bfloat16"]


def state_hash(model: Model) -> str:
    """sha256 over the names, shapes, types and values of parameters and buffers.

    >>> layer = nn.Linear(2, 2)
    >>> before = state_hash(layer)
    >>> _ = nn.init.zeros_(layer.weight)
    >>> before == state_hash(layer)
    False
    """
    digest = hashlib.sha256()
    if isinstance(model, nn.Module):
        for name, t in sorted(model.state_dict().items()):
            if isinstance(t, Tensor):
                digest.update(f"{name}{tuple(t.shape)}{t.dtype}".encode())
                raw = t.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
                digest.update(raw.numpy().data)
    return digest.hexdigest()


def _fast_copy(model: Model, x: Tensor) -> tuple[Model, bool]:
    """Copy the model with channels-last weights, which bfloat16 kernels want; or the model itself.

    A copy, since changing the layout of the user's own weights would be a visible side effect.
    Models that cannot be copied are searched with their own, and those that do not answer the
    inputs x in that layout as they are: slower, never wrong. The second value says whether inputs
    are laid out so.
    """
    if isinstance(model, nn.Module):
        with contextlib.suppress(RuntimeError, TypeError, NotImplementedError):
            fast = copy.deepcopy(model)
            return (fast, True) if laid_out(fast, x) else (model, False)
    return model, stands(model, x)


class Door:
    """A context in which a model is in eval mode, frozen and reproducible, and then restored.

    Mode flags, ``requires_grad``, and the random state of torch and Python are put back on the way
    out; ``changed`` then says whether a hash of parameters and buffers found a trace of the
    questions (never looked at with ``verify`` off). For a randomised model ``eot`` is the number of
    passes that an answer to a search is averaged over, and ``votes`` that of the draws whose
    majority is a verdict. under: transformations between the input and the model, which say how
    many of either there are.

    >>> with Door(nn.Linear(2, 2)) as door:
    ...     door.scores(torch.zeros(1, 2)).shape
    torch.Size([1, 2])
    """

    varied = False  # whether a search sees other inputs than a judge does

    def __init__(
        self,
        model: Model,
        precision: Precision = "float32",
        seed: int = 0,
        verify: bool = True,
        eot: int = 1,
        votes: int = 1,
        under: Expectation | None = None,
    ) -> None:
        if precision not in ("float32", "bfloat16"):
            raise Invalid("precision", precision, "'float32' or 'bfloat16'")
        require_whole("eot", eot)
        require_whole("votes", votes)
        self.model, self.precision, self.seed, self.verify = model, precision, seed, verify
        self.eot, self.votes, self.under = eot, votes, under
        self.quorum = votes // 2 + 1  # how many votes make a verdict
        if under is not None:
            self.eot, self.votes, self.quorum = under.draws, under.trials, under.quorum
        tensors = [*model.parameters(), *model.buffers()] if isinstance(model, nn.Module) else []
        floating = [t for t in tensors if t.is_floating_point()]
        self.device = tensors[0].device if tensors else None
        self.dtype = floating[0].dtype if floating else None
        self.changed = False
        self._undo = contextlib.ExitStack()
        self._fast: tuple[Model, bool] | None = None
        self._stream, self._asked = seed, 0  # of questions that bring no draw of their own

    def __enter__(self) -> Self:
        try:
            return self._enter()
        except BaseException:  # nobody calls __exit__ then
            self._undo.close()
            raise

    def _enter(self) -> Self:
        devices = [self.device] if self.device is not None and self.device.type == "cuda" else []
        self._undo.enter_context(torch.random.fork_rng(devices=devices))
        # Where a function runs is not known.
        if devices or torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            self._undo.enter_context(without_tf32())
        self._undo.callback(torch.set_grad_enabled, torch.is_grad_enabled())
        self._undo.callback(random.setstate, random.getstate())
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            self._undo.callback(numpy.random.set_state, numpy.random.get_state())
        self.reseed(self.seed)
        if isinstance(self.model, nn.Module):
            self._freeze(self.model)
        return self

    def reseed(self, seed: int) -> None:
        """Fix what a randomised model draws next, whatever was asked before."""
        self._stream, self._asked = seed, 0
        torch.manual_seed(seed)
        random.seed(seed)
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            numpy.random.seed(seed % (1 << 32))

    def _freeze(self, model: nn.Module) -> None:
        before = state_hash(model) if self.verify else ""
        modes = [(m, m.training) for m in model.modules()]
        wants = [(p, p.requires_grad) for p in model.parameters()]

        def restore() -> None:
            for m, training in modes:
                m.training = training
            for p, flag in wants:
                p.requires_grad_(flag)
            self.changed = self.verify and state_hash(model) != before

        self._undo.callback(restore)
        model.eval()
        model.requires_grad_(False)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.__exit__(kind, error, trace)

    @property
    def batch_size(self) -> int:
        """Rows per batch that suit the device and the search precision.

        On a CPU the activations of a small float32 batch stay in cache and in one piece of memory;
        bfloat16 kernels and GPUs want more rows to be worth their start.
        """
        fast = self.precision == "bfloat16" or (self.device and self.device.type != "cpu")
        return 512 if fast else 128

    def fit(self, x: Tensor) -> Tensor:
        """Move inputs to the model's device and floating type."""
        half = self.dtype in (torch.bfloat16, torch.float16)
        return x.to(device=self.device, dtype=torch.float32 if half else self.dtype)

    def admit(self, x: Tensor) -> None:
        """Raise ``Invalid`` for samples (B, *F) that the transformations can do nothing with."""
        if self.under is not None:
            self.under.distribution.check(tuple(x.shape[1:]))

    def seen(self, x: Tensor, draw: Draw | None = None) -> Tensor:
        """What reaches the model: x itself, or x after a draw of the transformations.

        draw: the randomness of these samples; None goes on with the door's own, which depends on
        what was asked before and on the places in the batch.
        """
        if self.under is None:
            return x
        if draw is None:
            self._asked += 1
            own = torch.arange(len(x), device=x.device)
            draw = Draw.of(self._stream, own).tag("door", self._asked)
        return self.under.distribution(x, draw)

    def scores(self, x: Tensor, draw: Draw | None = None) -> Any:  # noqa: ANN401
        """Return the model's own answer in its own precision, without a graph; see ``seen``."""
        with torch.no_grad():
            return _widen(self.model(self.seen(x, draw).to(self.dtype)))

    def search(self, x: Tensor, draw: Draw | None = None) -> Any:  # noqa: ANN401
        """Answer in the search precision; differentiable where the model is."""
        x = self.seen(x, draw)
        if self.precision == "float32":
            return _widen(self.model(x.to(self.dtype)))
        x = x.to(self.dtype)
        if self._fast is None:
            self._fast = _fast_copy(self.model, x[:2])
        model, last = self._fast
        with torch.autocast(x.device.type, dtype=torch.bfloat16):
            return _widen(model(channels_last(x) if last else x))


def _widen(out: Any) -> Any:  # noqa: ANN401
    """Losses and margins are computed in float32 at least."""
    half = isinstance(out, Tensor) and out.dtype in (torch.bfloat16, torch.float16)
    return out.float() if half else out
