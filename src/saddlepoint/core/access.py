"""What may be asked of the model: four doors, each wider than the last; and who needs which."""

import dataclasses
import typing
from typing import Any, Literal, Protocol, Self, TypeVar

from torch import Tensor, nn

from saddlepoint.core.draw import Draw
from saddlepoint.core.errors import Invalid, Unsupported
from saddlepoint.core.goal import Goal
from saddlepoint.core.loss import Loss

__all__ = [
    "ACCESS",
    "SEEN",
    "Access",
    "Attack",
    "Blind",
    "Gradients",
    "Labels",
    "Scores",
    "check_fit",
    "granted",
    "held_by",
]

Access = Literal["none", "labels", "scores", "gradients"]
"""What an adversary gets for a question."""
ACCESS: tuple[Access, ...] = ("none", "labels", "scores", "gradients")
"""From the narrowest to the widest; each grants what the ones before it do."""
SEEN = ACCESS[2:]
"""Where an attack sees scores."""

T_co = TypeVar("T_co", covariant=True)
O_contra = TypeVar("O_contra", contravariant=True)


class Blind(Protocol[T_co]):
    """Hand in points, and learn nothing of them."""

    @property
    def x(self) -> Tensor:
        """(B, *F), the inputs under attack."""
        ...

    @property
    def threat(self) -> T_co:
        """The threat model of these rows."""
        ...

    @property
    def goal(self) -> Goal:
        """The goal that counts as a break."""
        ...

    @property
    def worst(self) -> Tensor:
        """(B, *P) the worst parameters seen so far; without scores, where the search begins."""
        ...

    def aim(self, loss: Loss | str | None = None, goal: Goal | None = None) -> Self:
        """Return the same rows and ledger, with another objective to climb."""
        ...

    def propose(self, u: Tensor) -> None:
        """Hand in u: it is judged, paid for and kept like any question, and not answered."""
        ...

    def shrink(self, *state: Any, at: float = 0.5) -> tuple[Any, ...]:  # noqa: ANN401
        """Drop closed rows from the oracle and from the state once a share ``at`` is left."""
        ...

    def roam(self) -> Self:
        """Return the same rows and ledger, where points outside the set may be asked about too.

        They are answered and paid for like others, but are neither breaks nor worst points.
        """
        ...

    def within(self, k: int, after: bool = False) -> Self:
        """Return the same rows and ledger, with part k of a ``Parted`` set in the set's place.

        after: the parts before it stay as in the worst point so far, where the set lets them.
        """
        ...

    def narrow(self, eps: Tensor) -> Self:
        """Return the same rows and ledger, with the set cut to the size eps (B,), and no larger.

        A row rests as soon as a break of that size is known, at once where eps is infinite. Needs
        a ``Graded`` set.
        """
        ...

    def rest(self, idle: Tensor) -> Self:
        """Return the same rows and ledger, where the rows marked ``idle`` (B,) are not asked."""
        ...


class Labels(Blind[T_co], Protocol[T_co]):
    """Ask whether the goal is reached."""

    def solved(self, u: Tensor) -> Tensor:
        """(B,) bool: whether u reaches the goal."""
        ...

    def reached(self) -> Tensor:
        """(B,) the smallest size of a break known so far, infinite where there is none."""
        ...

    def closest(self) -> tuple[Tensor, Tensor]:
        """(B, *P) the closest break that roaming has found, and (B,) its size, else infinite.

        Kept where labels alone are granted, in sets that have sizes.
        """
        ...


class Scores(Labels[T_co], Protocol[T_co]):
    """Ask for the loss as well."""

    @property
    def clean(self) -> Tensor:
        """(B, K), the scores of the unperturbed inputs."""
        ...

    def value(self, u: Tensor) -> Tensor:
        """(B,) loss at u, to be maximised."""
        ...


class Gradients(Scores[T_co], Protocol[T_co]):
    """Ask for the gradient as well."""

    def value_and_grad(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) loss and (B, *P) gradient, fused in one pass."""
        ...


class Attack(Protocol[O_contra]):
    """Spends queries on an oracle; the ledger behind it holds the result."""

    def __call__(self, oracle: O_contra, draw: Draw) -> None:
        """Search each row for the worst member of the set."""
        ...


_WIDTH = {Blind: 0, Labels: 1, Scores: 2, Gradients: 3}


def granted(own: Access, asked: Access | None) -> Access:
    """Return what may be asked of a model that grants ``own``; raises ``Invalid`` for more.

    >>> granted("scores", None), granted("scores", "labels")
    ('scores', 'labels')
    """
    if asked is None:
        return own
    if asked not in ACCESS:
        raise Invalid("access", asked, "one of " + ", ".join(map(repr, ACCESS)))
    if ACCESS.index(asked) > ACCESS.index(own):
        allowed = " or ".join(map(repr, ACCESS[: ACCESS.index(own) + 1]))
        raise Invalid("access", asked, allowed, f"this model gives {own} and no more")
    return asked


def held_by(attack: object) -> list[object]:
    """Attacks inside an attack: combinators hold them as fields or as tuples of them."""
    if not dataclasses.is_dataclass(attack):
        return []
    values = [getattr(attack, f.name) for f in dataclasses.fields(attack)]
    flat = [w for v in values for w in (v if isinstance(v, tuple) else (v,))]
    return [v for v in flat if dataclasses.is_dataclass(v) and "oracle" in _hints(v)]


def _hints(attack: object) -> dict[str, Any]:
    try:
        return typing.get_type_hints(type(attack).__call__)
    except (AttributeError, NameError, TypeError):
        return {}


def check_fit(attack: object, threat: object, access: Access) -> None:
    """Raise ``Unsupported`` when an attack asks for more than it is given.

    Reads the attack's own signature: ``oracle: Gradients[Convex]`` asks for gradients and for a
    set with ``maximise``.
    """
    if access not in ACCESS:
        raise Invalid("access", access, "one of " + ", ".join(map(repr, ACCESS)))
    _check_kinds(attack, threat)
    name = type(attack).__name__
    inside = getattr(attack, "inside", None)  # combinators that change the set say to which
    pairs = [(a, threat) for a in held_by(attack)] if inside is None else inside(threat)
    for part, around in pairs:
        check_fit(part, around, access)
    hint = _hints(attack).get("oracle")
    need = _WIDTH.get(typing.get_origin(hint), 0)  # type: ignore[arg-type]
    if need > ACCESS.index(access):
        granted = "no question at all" if access == "none" else f"{access} only"
        raise Unsupported(f"{name} needs access to {ACCESS[need]}, but the threat grants {granted}")
    for verbs in typing.get_args(hint):
        if isinstance(verbs, type) and not isinstance(threat, verbs):
            raise Unsupported(
                f"{name} needs a {verbs.__name__} threat model; {type(threat).__name__} is none"
            )


def _check_kinds(attack: object, threat: object) -> None:
    """Refuse what cannot be an attack or a set, with what was probably meant."""
    typed = "text is for the command line and plan files"
    if isinstance(attack, type):
        raise Invalid(
            "attack", f"<class {attack.__name__}>", "an object", f"write {attack.__name__}()"
        )
    if not callable(attack) or isinstance(attack, nn.Module):
        shown = attack if isinstance(attack, str) else f"<{type(attack).__name__}>"
        hint = typed if isinstance(attack, str) else "it comes before the model"
        raise Invalid("attack", shown, "an attack such as PGD(steps=40)", hint)
    if isinstance(threat, type):
        eps = "eps=8/255" if "eps" in getattr(threat, "__dataclass_fields__", {}) else ""
        hint = f"write {threat.__name__}({eps})"
        raise Invalid("threat", f"<class {threat.__name__}>", "an object", hint)
    if isinstance(threat, str):
        raise Invalid("threat", threat, "a set such as Linf(eps=8/255)", typed)
