"""What a service was asked and has cost, in words."""

from collections.abc import Mapping
from typing import Any

__all__ = ["paid"]


def paid(usage: Mapping[str, Any] | None) -> str:
    """Return a sentence on queries, money and the time that a rate limit takes; "" for no service.

    >>> paid({"queries": 7419, "requests": 223, "cost": 7.419, "currency": "USD", "rate_limit": 50})
    '7,419 queries paid for in 223 requests, 7.42 USD; at 50 queries a second at least 148 s'
    """
    queries = _number(usage, "queries")
    if usage is None or queries is None:
        return ""
    said = f"{queries:,.0f} queries paid for"
    if (requests := _number(usage, "requests")) is not None:
        said += f" in {requests:,.0f} requests"
    if (cost := _number(usage, "cost")) is not None:
        said += f", {cost:,.2f} {usage.get('currency') or ''}".rstrip()
    for name in ("lost", "unread", "doubtful"):
        if count := _number(usage, name):
            said += f"; {count:,.0f} {name}"
    if rate := _number(usage, "rate_limit"):
        said += f"; at {rate:g} queries a second at least {queries / rate:,.0f} s"
    return said


def _number(usage: Mapping[str, Any] | None, name: str) -> float | None:
    value = None if usage is None else usage.get(name)
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and value is not None and 0 <= value < float("inf") else None
