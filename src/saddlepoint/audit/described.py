"""A threat model in plain words, for the report."""

from typing import Any

__all__ = ["described"]

_CHANGE = {
    "Linf": "every input value may change by at most {eps}",
    "L2": "the input may move by a Euclidean distance of at most {eps}",
    "L1": "the changes of all input values may add up to at most {eps}",
    "L0": "at most {eps} input {per}s may change, to any value",
}
_JOINED = {"Union": ("either ", ", or "), "Chain": ("first ", ", then ")}


def described(threat: Any) -> str:  # noqa: ANN401
    """Say what may change, and the input range.

    >>> from saddlepoint.threats import L2, Linf
    >>> described(Linf(0.1) | L2(1)).split(";")[0]
    'either every input value may change by at most 0.1, or the input may move by a Euclidean \
distance of at most 1'
    """
    inner = threat.threat if hasattr(threat, "to_type") else threat
    said: str = getattr(inner, "words", "") or _change(inner)
    box = getattr(inner, "box", None)
    if box and not getattr(inner, "words", ""):
        said += f"; every value stays in [{box[0]:g}, {box[1]:g}]"
    return said + ("; the result is an 8-bit image" if hasattr(threat, "to_type") else "")


def _change(threat: Any) -> str:  # noqa: ANN401
    name, eps = type(threat).__name__, getattr(threat, "eps", None)
    if name in _JOINED:
        first, between = _JOINED[name]
        return first + between.join(
            getattr(part, "words", "") or _change(part) for part in threat.parts
        )
    if name == "Masked":
        base = getattr(threat.base, "words", "") or _change(threat.base)
        return f"{base}, and only those values that the mask leaves free"
    size = f"{eps:g}" if isinstance(eps, int | float) else "a radius of its own"
    per = getattr(threat, "per", "value")
    return _CHANGE.get(name, f"the input may change within {name}").format(eps=size, per=per)
