"""Surrogates: other models, of which everything may be asked, in place of the one under attack."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from saddlepoint.core.door import Door, Model, state_hash
from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid
from saddlepoint.core.expectation import Distribution
from saddlepoint.core.whole import require_whole

__all__ = ["Fuse", "Panel", "Surrogate", "Variety", "check_surrogates", "opened"]

Fuse = Literal["logits", "probabilities"]


@dataclass(frozen=True, repr=False)
class Surrogate:
    """A model in the adversary's own hands, known by its name and by what is in it.

    model: maps (B, *F) to scores (B, K). sha256: of its weights; a model that hides them needs
    one given, since a plan tells one surrogate from another by it.

    >>> Surrogate(nn.Identity(), "as-it-is", sha256="c0ffee42" * 8)
    as-it-is@c0ffee42
    """

    model: Model = field(compare=False)
    name: str = "model"
    sha256: str = ""

    def __post_init__(self) -> None:
        if not callable(self.model):
            raise Invalid("surrogate", f"<{type(self.model).__name__}>", "a model")
        if not self.sha256:
            if not isinstance(self.model, nn.Module):
                allowed = "a hash of a model that is no torch.nn.Module"
                raise Invalid("sha256", self.sha256, allowed, "it tells surrogates apart in a plan")
            object.__setattr__(self, "sha256", state_hash(self.model))

    def __repr__(self) -> str:
        return f"{self.name}@{self.sha256[:8]}"


def check_surrogates(surrogates: object) -> tuple[Surrogate, ...]:
    """Return surrogates as a tuple; models stand for themselves. Raises ``Invalid``."""
    if not isinstance(surrogates, tuple | list):
        allowed = "a tuple of surrogates, such as (Surrogate(net, 'mine'),)"
        raise Invalid("surrogates", f"<{type(surrogates).__name__}>", allowed)
    return tuple(s if isinstance(s, Surrogate) else Surrogate(s) for s in surrogates)


@dataclass(frozen=True)
class Variety:
    """Random views of an input, by whose gradients a surrogate's own is averaged.

    Gradients that hold for many views of an input are less particular to one model. distribution:
    the views. draws: of them for each gradient.
    """

    distribution: Distribution
    draws: int = 1

    def __post_init__(self) -> None:
        given: object = self.distribution
        if not isinstance(given, Distribution):
            allowed = "a distribution of transformations, such as Scale((0.9, 1)) >> Shift(0.05)"
            raise Invalid("views", f"<{type(given).__name__}>", allowed)
        require_whole("draws", self.draws)


class Panel:
    """Several models as one: the mean of their logits, or the logarithm of that of probabilities.

    doors: of the models. Raises ``Invalid`` where their answers do not fit together.
    """

    def __init__(self, doors: list[Door], names: list[str], fuse: Fuse) -> None:
        self.doors, self.names, self.fuse = doors, names, fuse

    def __call__(self, x: Tensor) -> Tensor:
        """(B, K) scores, differentiable in x."""
        outs = [self._asked(k, x) for k in range(len(self.doors))]
        if len({o.shape for o in outs}) > 1:
            said = ", ".join(f"{n} {o.shape[1]}" for n, o in zip(self.names, outs, strict=True))
            raise Invalid("surrogates", f"<{said} classes>", "models with the same classes")
        if self.fuse == "logits":
            return torch.stack(outs).mean(0)
        return torch.stack([o.log_softmax(1) for o in outs]).logsumexp(0)

    def _asked(self, k: int, x: Tensor) -> Tensor:
        door, name = self.doors[k], f"surrogate {self.names[k]}"
        try:
            out = door.search(x.to(device=door.device))
        except (RuntimeError, IndexError, TypeError, ValueError) as error:
            shape, said = tuple(x.shape[1:]), str(error).splitlines()[0] if str(error) else ""
            allowed = f"a model for inputs of shape {shape}"
            raise Invalid("surrogates", f"<{name}>", allowed, said) from error
        if not isinstance(out, Tensor) or out.dim() != 2 or len(out) != len(x) or out.shape[1] < 2:
            said = str(tuple(out.shape)) if isinstance(out, Tensor) else type(out).__name__
            allowed = f"a model with scores of shape ({len(x)}, K), K >= 2"
            raise Invalid("surrogates", f"<{name}, {said}>", allowed)
        return out.to(device=x.device, dtype=x.dtype)


class _Varied(Door):
    """A door through which a search sees random views, and a judge the input as it is."""

    varied = True

    def __init__(self, model: Model, variety: Variety) -> None:
        super().__init__(model, verify=False, eot=variety.draws)
        self.variety = variety

    def admit(self, x: Tensor) -> None:
        """Raise ``Invalid`` for samples that the views are not made for, or change in shape."""
        shape = tuple(x.shape[1:])
        made = self.variety.distribution.check(shape)
        if made != shape:
            raise Invalid("views", repr(self.variety.distribution), "views of the input's own size")

    def search(self, x: Tensor, draw: Draw | None = None) -> Any:  # noqa: ANN401
        """Answer about a random view of each sample, where there is a draw for it."""
        return super().search(x if draw is None else self.variety.distribution(x, draw))


@contextlib.contextmanager
def opened(
    surrogates: tuple[Surrogate, ...], fuse: Fuse = "logits", variety: Variety | None = None
) -> Iterator[Door]:
    """Open the door to all surrogates as one model, each in eval mode and then left as found.

    Raises ``Invalid`` for no surrogates, and for another way to fuse them.
    """
    if not surrogates:
        hint = "give models to take the place of the one under attack (--surrogate)"
        raise Invalid("surrogates", (), "at least one", hint)
    if fuse not in get_args(Fuse):
        raise Invalid("fuse", fuse, "one of " + ", ".join(map(repr, get_args(Fuse))))
    with contextlib.ExitStack() as held:
        doors = [held.enter_context(Door(s.model, verify=False)) for s in surrogates]
        panel = Panel(doors, [s.name for s in surrogates], fuse)
        door = Door(panel, verify=False) if variety is None else _Varied(panel, variety)
        yield held.enter_context(door)
