"""What an audit of a service may cost, from what a few queries took."""

from typing import Any

from saddlepoint.models.service.settings import Endpoint
from saddlepoint.models.service.words import priced

__all__ = ["estimate"]


def estimate(endpoint: Endpoint, used: dict[str, Any], samples: int, max_queries: int) -> list[str]:
    """Return lines on what was paid, and on the most that an audit can send and how long it takes.

    used: the usage of a few queries. Attacks ask about each sample once in every step, so requests
    are as large as there are samples, up to the batch size.
    """
    latency = used["seconds"] / max(used["requests"], 1)
    queries = samples * max_queries
    limits = endpoint.limits
    size = min(limits.batch_size, samples) if endpoint.many else 1
    lanes = max(1, min(limits.concurrency, samples // size))
    seconds = queries / size / lanes * latency
    if limits.rate:
        seconds = max(seconds, queries / limits.rate)
    lines = [
        f"{latency:.3f} s per request; paid: {priced(endpoint, used['queries'])}",
        f"an audit of {samples:,} samples with --max-queries {max_queries} sends at most "
        f"{priced(endpoint, queries)}, which takes about {duration(seconds)} at that pace",
    ]
    if endpoint.cap is not None and endpoint.cap < queries:
        lines.append(f"the caps of the description stop it after {priced(endpoint, endpoint.cap)}")
    return lines


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it.

    >>> duration(5.2), duration(600), duration(9000)
    ('5 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
