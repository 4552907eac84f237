"""A fixed shuffle in which every beginning holds the classes in their true proportions."""

import hashlib
from collections.abc import Sequence

__all__ = ["spread"]


def spread(keys: Sequence[str], labels: Sequence[int]) -> list[int]:
    """Return an order of the samples that is random-looking, fixed, and stratified throughout.

    Within a class, samples are ordered by the hash of their key; the r-th of m then stands at
    (r + 1/2) / m. A hash rather than a seeded generator, as generators may change between
    releases of NumPy, and a sample that is added leaves the others in their order.

    >>> order = spread(list("abcdefgh"), [0, 0, 0, 0, 1, 1, 1, 1])
    >>> sorted(order) == list(range(8)), [i // 4 for i in order].count(0)
    (True, 4)
    >>> all(sum(i // 4 for i in order[: 2 * n]) == n for n in range(5))
    True
    """
    hashed = [hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest() for key in keys]
    members: dict[int, list[int]] = {}
    for i in sorted(range(len(keys)), key=lambda i: hashed[i]):
        members.setdefault(labels[i], []).append(i)
    place = {
        i: ((r + 0.5) / len(group), hashed[i])
        for group in members.values()
        for r, i in enumerate(group)
    }
    return sorted(place, key=lambda i: place[i])
