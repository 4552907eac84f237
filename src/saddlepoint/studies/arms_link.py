"""One link of the chain of defences: what was claimed, by which attacks, and what is true."""

from dataclasses import dataclass
from typing import Any

from saddlepoint.core.access import Attack
from saddlepoint.core.threat import ThreatModel

__all__ = ["Link"]

Attacks = tuple[Attack[Any], ...]


@dataclass(frozen=True)
class Link:
    """A defence, the attacks that its claim rests on, and those that know it.

    name: of the row. defence: the net it is about. chain: 1 or 2. claim: the paper that made it;
    truth: the one that took it back. threat: the set that both are measured in. naive: attacks in
    the place of the claim's. adaptive: attacks that know the defence, on its smooth copy where it
    has one.
    """

    name: str
    defence: str
    chain: int
    claim: str
    truth: str
    threat: ThreatModel
    naive: Attacks
    adaptive: Attacks

    def describe(self) -> dict[str, Any]:
        """Return the link as JSON, in the words that the command line takes."""
        texts = {k: getattr(self, k) for k in ("name", "defence", "chain", "claim", "truth")}
        attacks = {k: [repr(a) for a in getattr(self, k)] for k in ("naive", "adaptive")}
        return {**texts, "threat": repr(self.threat), **attacks}
