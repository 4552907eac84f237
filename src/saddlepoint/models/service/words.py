"""What people are told of queries: what was spent, and why none went on."""

from pathlib import Path
from typing import Any

from saddlepoint.models.service.settings import Endpoint

__all__ = ["cost", "declined", "priced"]


def cost(endpoint: Endpoint, queries: int) -> float | None:
    """Return what so many queries cost, None where no price is known."""
    return None if endpoint.price is None else round(queries * endpoint.price.per_query, 6)


def priced(endpoint: Endpoint, queries: int) -> str:
    """Return "1,200 queries (1.8 USD)", without the money where no price is known."""
    noun = "query" if queries == 1 else "queries"
    if endpoint.price is None:
        return f"{queries:,} {noun}"
    return f"{queries:,} {noun} ({cost(endpoint, queries):g} {endpoint.price.currency})"


def declined(endpoint: Endpoint, reply: dict[str, Any], ledger: Path | None) -> str:
    """Return why the courier came back without answers, and how to go on."""
    kind = reply["error"]
    if kind == "ledger":
        return f"{ledger} cannot be used as a ledger of queries: {reply['words']}"
    if kind == "crashed":
        return f"the process that sends queries failed:\n{reply['words']}"
    kept = "" if ledger is None else "; answers so far are kept, and the same command continues"
    if kind != "cap":
        return f"{reply['words']}{kept}"
    limits, price = endpoint.limits, endpoint.price
    caps = [] if limits.query_cap is None else [f"limits.query_cap = {limits.query_cap}"]
    if price is not None and price.cost_cap is not None:
        caps.append(f"price.cost_cap = {price.cost_cap:g} {price.currency}")
    allowed = " and ".join(caps)
    spent, wanted = priced(endpoint, reply["paid"]), priced(endpoint, reply["wanted"])
    go_on = "with a higher cap the same command continues, and nothing is paid for twice"
    return (
        f"stopped before sending {wanted}: {spent} spent already, and {allowed} "
        f"allow{'s' if len(caps) == 1 else ''} no more; {go_on if ledger else 'raise the cap'}"
    )
