"""The exceptions: each names what was given, what is allowed, and what to do about it."""

import difflib
from collections.abc import Iterable

__all__ = [
    "BadData",
    "Exhausted",
    "Invalid",
    "Missing",
    "Unanswered",
    "Unsound",
    "Unsupported",
    "closest",
]


class Invalid(ValueError):
    """A bad argument, raised where it is given and before any work starts.

    value: what was given; text that begins with < is shown without quotes. allowed: what it must
    be. hint: what to do about it.

    >>> raise Invalid("eps", -0.1, "a number in [0, 1]", "8/255 is usual for CIFAR-10")
    Traceback (most recent call last):
    saddlepoint.core.errors.Invalid: eps = -0.1: must be a number in [0, 1]; 8/255 is usual for ...
    """

    def __init__(self, name: str, value: object, allowed: str, hint: str = "") -> None:
        shown = value if isinstance(value, str) and value.startswith("<") else repr(value)
        super().__init__(f"{name} = {shown}: must be {allowed}" + (f"; {hint}" if hint else ""))


class Unsupported(TypeError):
    """The attack, the access it needs and the threat model do not fit together."""


class Missing(ImportError):
    """An optional package is not installed; the message carries the install line.

    extra: that of ours which brings it, or None where it is installed by what ``install`` says.

    >>> raise Missing("onnxruntime", "onnx")
    Traceback (most recent call last):
    saddlepoint.core.errors.Missing: onnxruntime is not installed: pip install 'saddlepoint[onnx]'
    """

    def __init__(self, package: str, extra: str | None, install: str = "") -> None:
        line = install or f"pip install 'saddlepoint[{extra}]'"
        super().__init__(f"{package} is not installed: {line}")


class Unsound(RuntimeError):
    """Evidence contradicts itself, such as a broken sample that carries a certificate."""


class Unanswered(RuntimeError):
    """A service gave no usable answer, or may not be asked any more; no verdict on any sample."""


class BadData(ValueError):
    """A file or a data set that is corrupt, unsafe, or not what its checksum says."""


class Exhausted(Exception):
    """Raised by the oracle when no row may be asked about any more; never leaves ``search``."""


def closest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known spelling, or lists what there is.

    >>> closest("PDG", ["PGD", "APGD", "FGSM"])
    'did you mean PGD? known: APGD, FGSM, PGD'
    """
    known = sorted(known)
    near = difflib.get_close_matches(name.lower(), [k.lower() for k in known], n=1, cutoff=0.5)
    guess = next((k for k in known if near and k.lower() == near[0]), None)
    return (f"did you mean {guess}? " if guess else "") + "known: " + ", ".join(known)
