"""``a | b`` and ``a >> b`` for threat models."""

from typing import Any

__all__ = ["Combinable"]


class Combinable:
    """A set that can be written into ``a | b`` (either) and ``a >> b`` (first a, then b).

    It has to be on one side only: sets of other packages need not know of it.

    >>> from saddlepoint.threats import L2, Linf
    >>> Linf(0.3) | L2(2)
    Union(Linf(eps=0.3), L2(eps=2))
    >>> Linf(0.3) >> L2(2)
    Chain(Linf(eps=0.3), L2(eps=2))
    """

    def __or__(self, other: Any) -> Any:  # noqa: ANN401 - a threat model, and a union
        from saddlepoint.threats.combine.union import Union

        return Union(self, other)

    def __ror__(self, other: Any) -> Any:  # noqa: ANN401
        from saddlepoint.threats.combine.union import Union

        return Union(other, self)

    def __rshift__(self, other: Any) -> Any:  # noqa: ANN401
        from saddlepoint.threats.combine.chain import Chain

        return Chain(self, other)

    def __rrshift__(self, other: Any) -> Any:  # noqa: ANN401
        from saddlepoint.threats.combine.chain import Chain

        return Chain(other, self)
