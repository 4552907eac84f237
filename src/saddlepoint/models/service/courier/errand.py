"""One errand: of the questions asked, look up what is known, send the rest, bring all back."""

import asyncio
import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

from .ledger import ANSWERED, Ledger
from .wire import Outcome, Wire

__all__ = ["Errands", "Failed"]

_LONGEST = 120.0  # seconds: a service that asks for more patience gets an error


class Failed(Exception):
    """The errand ends here; kind says why, words are for people, with no secret in them."""

    def __init__(self, kind: str, words: str = "", **numbers: int) -> None:
        super().__init__(words)
        self.kind, self.words, self.numbers = kind, words, numbers


@dataclass
class Errands:
    """What one courier does for its parent; ``leaving`` is set once there is no parent any more."""

    said: dict[str, Any]
    ledger: Ledger
    wire: Wire
    leaving: asyncio.Event
    asked: int = 0
    repeated: int = 0
    _ready: float = 0.0  # when the next request may go
    _stop: Failed | None = field(default=None, init=False)
    _commit: asyncio.Task[None] | None = field(default=None, init=False)

    async def ask(self, fragments: list[str], send: bool) -> dict[str, Any]:
        """Return the texts of answers by request, and where in them each answer is.

        ``texts`` holds {request: (queries in it, text)}, ``where`` (request, place) and ``fresh``
        whether it was sent just now.
        Without ``send``, {"unknown": count} where not all is known. Raises ``Failed``; what has
        been answered by then is in the ledger.
        """
        self.ledger.doubt()
        if rate := self.said["rate"]:  # another courier may have sent meanwhile
            free = self.ledger.free_at(rate) - time.time()
            self._ready = max(self._ready, time.monotonic() + min(free, _LONGEST))
        keys = [self._key(fragment) for fragment in fragments]
        distinct = dict(zip(keys, fragments, strict=True))
        known = self.ledger.find(distinct)
        new = [key for key in distinct if key not in known]
        if new and not send:
            return {"unknown": len(new)}
        await self._send_all([(key, distinct[key]) for key in new])
        self.asked += len(keys)
        self.repeated += len(keys) - len(new)
        where = self.ledger.find(distinct)
        fresh = set(new)
        return {
            "texts": self.ledger.answers({request for request, _ in where.values()}),
            "where": [where[key] for key in keys],
            "fresh": [key in fresh for key in keys],
        }

    def usage(self) -> dict[str, Any]:
        """Totals of the ledger, and what this session asked."""
        return {"asked": self.asked, "repeated": self.repeated, **self.ledger.totals()}

    def _key(self, fragment: str) -> str:
        return hashlib.sha256(f"{self.ledger.endpoint}\n{fragment}".encode()).hexdigest()

    async def _send_all(self, new: list[tuple[str, str]]) -> None:
        self._refuse_dear(len(new))
        size, self._stop = self.said["batch_size"], None
        groups = iter([new[i : i + size] for i in range(0, len(new), size)])

        async def work() -> None:
            for group in groups:
                await self._deliver(group)

        workers = min(self.said["concurrency"], -(-len(new) // size))
        done = await asyncio.gather(*(work() for _ in range(workers)), return_exceptions=True)
        # What was on its way when something failed has come in and is written down.
        for failure in [f for f in done if isinstance(f, BaseException) and f is not self._stop]:
            if not isinstance(failure, Failed):
                raise failure
        if self._stop is not None:
            raise self._stop

    def _refuse_dear(self, count: int) -> None:
        cap = self.said["cap"]
        paid = self.ledger.paid() if cap is not None and count else 0
        if cap is not None and paid + count > cap and count:
            raise Failed("cap", paid=paid, wanted=count)

    async def _deliver(self, group: list[tuple[str, str]]) -> None:
        """Send one request until it is answered, or raise ``Failed`` and stop the others."""
        keys, fragments = zip(*group, strict=True)
        begin, end = self.said["body"]
        inside = f"[{','.join(fragments)}]" if self.said["many"] else fragments[0]
        outcome = Outcome("")
        try:
            for attempt in range(self.said["retries"] + 1):
                await self._pace(len(group))
                self._refuse_dear(len(group))
                outcome = await self._once(keys, begin + inside + end)
                if outcome.state == ANSWERED:
                    return
                if not outcome.again or outcome.wait > _LONGEST:
                    raise Failed("failed", outcome.words + _patience(outcome))
                self._hold(attempt, outcome)
            tries = self.said["retries"] + 1
            raise Failed("failed", f"{outcome.words} (tried {tries} times)")
        except Exception as error:
            stop = error if isinstance(error, Failed) else Failed("stopped")
            self._stop = self._stop or stop
            raise

    async def _once(self, keys: tuple[str, ...], body: str) -> Outcome:
        number = self.ledger.sending(keys)
        await self._written()
        began = time.monotonic()
        outcome = await self.wire.send(body)
        seconds = time.monotonic() - began
        self.ledger.record(number, outcome.state, outcome.status, seconds, outcome.answer)
        await self._written()
        return outcome

    async def _written(self) -> None:
        """Wait for the disk, together with all who have something to write down just now."""
        if self._commit is None or self._commit.done():
            self._commit = asyncio.create_task(self._sync())
        await self._commit

    async def _sync(self) -> None:
        await asyncio.sleep(0)
        self._commit = None
        self.ledger.commit()

    def _hold(self, attempt: int, outcome: Outcome) -> None:
        """Let every request wait, not this one alone: the service has too much to do."""
        wait = max(outcome.wait, min(self.said["backoff"] * 2**attempt, _LONGEST))
        self._ready = max(self._ready, time.monotonic() + wait)

    async def _pace(self, count: int) -> None:
        """Wait for a place in time; nothing new is sent once all is stopped or the parent gone."""
        rate = self.said["rate"]
        while True:
            if self._stop is not None:
                raise Failed("stopped")
            if self.leaving.is_set():
                raise Failed("left")
            left = self._ready - time.monotonic()
            if left <= 0:
                break
            try:
                await asyncio.wait_for(self.leaving.wait(), min(left, 0.5))
            except TimeoutError:
                continue
        if rate:
            self._ready = time.monotonic() + count / rate


def _patience(outcome: Outcome) -> str:
    if outcome.wait <= _LONGEST:
        return ""
    return f"; it asks to wait {outcome.wait:.0f} s: run the same command again after that"
