"""Questions and answers over one courier: texts in, scores out, errors for people."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saddlepoint.core.errors import BadData, Unanswered
from saddlepoint.models.service.answer import Reader, Unreadable
from saddlepoint.models.service.environment import host
from saddlepoint.models.service.post import Declined, Post
from saddlepoint.models.service.settings import Endpoint
from saddlepoint.models.service.words import declined

__all__ = ["Client"]

_KEPT = 64  # requests whose parsed answers are remembered
_ENDED = ("crashed", "ledger")  # after these the courier is no more


class Client:
    """One endpoint and its ledger; the courier starts with the first question.

    ledger: the file, None for a ledger in memory that ends with the courier.
    """

    def __init__(
        self, endpoint: Endpoint, source: str, reader: Reader, ledger: Path | None
    ) -> None:
        self._endpoint, self._source, self._ledger = endpoint, source, ledger
        self._reader = reader
        self._post: Post | None = None
        self.spent: dict[str, Any] = {}  # what the courier last said of it
        self._parsed: dict[str, NDArray[np.float64]] = {}

    def ask(self, instances: list[str]) -> tuple[NDArray[np.float64], list[bool]]:
        """Return (B, K) scores, and which of them were paid for just now.

        An answer of earlier days that cannot be read is asked for once more: the service may have
        been ill, or a path of the description wrong. Raises ``Unanswered``.
        """
        for again in (True, False):
            reply = self._do({"do": "ask", "instances": instances, "send": True})
            try:
                return self._scores(reply), reply["fresh"]
            except Unreadable as error:
                if not (self._forget_old(reply) and again):
                    raise Unanswered(f"{self._source}: {host(self._endpoint)}: {error}") from None
        raise AssertionError("neither answered nor refused")

    def known(self, instances: list[str]) -> NDArray[np.float64] | None:
        """Return (B, K) scores where the ledger has them all, and None where it has not."""
        reply = self._do({"do": "ask", "instances": instances, "send": False})
        if "unknown" in reply:
            return None
        try:
            return self._scores(reply)
        except Unreadable:
            self._forget_old(reply)
            return None

    def look(self) -> dict[str, Any]:
        """Return what has been spent, of which nothing is known yet."""
        self.read("anchors")
        return self.spent

    def read(self, name: str) -> Any:  # noqa: ANN401 - a JSON value
        """Return what the ledger holds under a name, None where nothing."""
        return self._do({"do": "read", "name": name})["value"]

    def note(self, name: str, value: Any) -> None:  # noqa: ANN401 - a JSON value
        """Keep a JSON value in the ledger."""
        self._do({"do": "note", "name": name, "value": value})

    def close(self) -> None:
        """Let the courier go."""
        post, self._post = self._post, None
        if post is not None:
            post.close()

    def _scores(self, reply: dict[str, Any]) -> NDArray[np.float64]:
        for request, (count, text) in reply["texts"].items():
            if request not in self._parsed:
                self._parsed[request] = self._reader(text, count)
        rows = [self._parsed[str(request)][place] for request, place in reply["where"]]
        while len(self._parsed) > _KEPT:
            self._parsed.pop(next(iter(self._parsed)))
        return np.stack(rows) if rows else np.empty((0, self._endpoint.n_classes))

    def _forget_old(self, reply: dict[str, Any]) -> bool:
        """Take unreadable answers of earlier days from the ledger; False if any is of today."""
        pairs = zip(reply["where"], reply["fresh"], strict=True)
        today = {str(request) for (request, _), fresh in pairs if fresh}
        bad = [r for r, (count, text) in reply["texts"].items() if not self._readable(text, count)]
        old = [int(request) for request in bad if request not in today]
        self._do({"do": "forget", "requests": old})
        return len(old) == len(bad)

    def _readable(self, text: str, count: int) -> bool:
        try:
            self._reader(text, count)
        except Unreadable:
            return False
        return True

    def _do(self, order: dict[str, Any]) -> dict[str, Any]:
        if self._post is not None and self._post.pid != os.getpid():
            self._post = None  # a forked process has no courier of its own yet
        try:
            self._post = self._post or Post(self._orders())
            reply = self._post.do(order)
        except Declined as error:
            said = error.reply
            self.spent = said.get("usage", self.spent)
            if said["error"] in _ENDED:
                self.close()
            words = declined(self._endpoint, said, self._ledger)
            kind = BadData if said["error"] == "ledger" else Unanswered
            raise kind(f"{self._source}: {words}") from None
        except BaseException:
            self._post = None  # it has been let go
            raise
        self.spent = reply.get("usage", self.spent)
        return reply

    def _orders(self) -> dict[str, Any]:
        """How to ask, for the courier; templates only, so that no credential is among it."""
        e, limits = self._endpoint, self._endpoint.limits
        return {
            "endpoint": e.asking(),
            "ledger": None if self._ledger is None else str(self._ledger.absolute()),
            "url": e.url,
            "method": e.method,
            "headers": e.headers,
            "names": list(e.names or ()),
            "body": e.around,
            "many": e.many,
            "batch_size": limits.batch_size if e.many else 1,
            "cap": e.cap,
            **limits.model_dump(
                include={
                    "concurrency",
                    "timeout",
                    "retries",
                    "backoff",
                    "rate",
                    "max_response_bytes",
                }
            ),
        }
