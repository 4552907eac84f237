"""The service as a model: tensors in, scores out, each distinct query paid for once."""

import contextlib
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.core.access import Access
from saddlepoint.core.errors import Invalid
from saddlepoint.core.metered import LEDGER
from saddlepoint.models.service.answer import Reader
from saddlepoint.models.service.client import Client
from saddlepoint.models.service.drift import ANCHORS, Watch
from saddlepoint.models.service.encode import Encoder
from saddlepoint.models.service.environment import check_environment
from saddlepoint.models.service.settings import Endpoint
from saddlepoint.models.service.words import cost

__all__ = ["Service"]


class Service:
    """A model behind HTTP: x (B, *shape) float to scores (B, K), float32 on the device of x.

    Every distinct instance is asked about once, whatever batch it is in; its answer comes from the
    ledger from then on. The ledger is in memory, until ``attached`` puts it in a folder, or where
    the description says. Raises ``Unanswered`` where the service does not answer as described, or
    a cap would be exceeded; ``Unsound`` where it answers otherwise than in an earlier session.
    """

    def __init__(self, endpoint: Endpoint, source: str, memory: bool = False) -> None:
        self.endpoint, self._source, self._memory = endpoint, source, memory
        check_environment(endpoint, source)
        self._reader, self._encoder = Reader(endpoint, source), Encoder(endpoint.input)
        self._settled = self._sent = False
        self._drift: float | None = None
        self._last: dict[str, Any] = {}
        self._let_go: Callable[[], object] = lambda: None
        self._open(None)

    def __repr__(self) -> str:
        return f"Service({self._source})"

    def __call__(self, x: Tensor) -> Tensor:
        """Return the scores of a batch of any size."""
        rows = self._rows(x)
        instances = self._encoder(rows)
        if not self._settled:
            known = self._client.known(instances)
            if known is not None:
                return _scores(known, x)
            self._settle(rows)
        found, fresh = self._client.ask(instances)
        self._sent = self._sent or any(fresh)
        return _scores(found, x)

    @contextlib.contextmanager
    def attached(self, folder: Path | None) -> Iterator["Service"]:
        """Keep the ledger in ``queries.sqlite`` of this folder; None: in memory.

        On the way out a session that has sent anything looks once more whether the service still
        answers alike, and raises ``Unsound`` where it does not.
        """
        self._open(folder)
        try:
            yield self
            if self._sent and self._can_afford():
                self._watch.require_same("at the end of the session", self._source)
        finally:
            spent = self._client.spent
            self._open(None)
            self._last = spent

    def drift(self, x: Tensor) -> float:
        """Largest relative change of an answer since it was given, of the first samples of x.

        They are asked about again with one coordinate moved by the smallest step there is; what
        that step explains counts as 0. Of a later session it is what the first one found, and
        nothing is asked: a session whose answers are all in the ledger costs nothing. Where the
        service has changed since, the first new question raises ``Unsound``.
        """
        if not self._settled:
            if self._watch.measured():
                return self._watch.first()
            self._settle(self._rows(x))
        if self._drift is None:
            self._drift = self._watch.change()
            self._sent = True
        return self._drift

    def usage(self) -> dict[str, Any]:
        """Return queries paid for, repeated, lost and doubtful, requests, retries, and the cost.

        ``queries`` counts all that was paid or may have been, over all sessions of the ledger;
        ``asked`` and ``repeated`` are those of this session, which after ``attached`` is the one
        that has ended.
        """
        said = self._client.spent or self._last or self._client.look()
        limits, price = self.endpoint.limits, self.endpoint.price
        return {
            **said,
            "cost": cost(self.endpoint, said["queries"]),
            "currency": None if price is None else price.currency,
            "price_per_query": None if price is None else price.per_query,
            "rate_limit": limits.rate,
        }

    @property
    def access(self) -> Access:
        """What is to be seen of an answer."""
        return "labels" if self.endpoint.answer.scores is None else "scores"

    @property
    def sha256(self) -> str:
        """Hash of what makes it this model: the question and how its answer is read."""
        return self.endpoint.sha256()

    def fresh(self) -> "Service":
        """Return the same service with an empty ledger in memory: every question is asked anew."""
        return Service(self.endpoint, self._source, memory=True)

    @property
    def note(self) -> str:
        """What people should know before they pay."""
        said, price = ["each distinct query is sent once"], self.endpoint.price
        if price is not None:
            said = [f"{said[0]} and costs {price.per_query:g} {price.currency}"]
        if self._encoder.integers:
            said.append(
                "inputs are rounded to whole levels on their way, which is part of the model: with "
                "--quantize uint8 witnesses survive it as they are"
            )
        return "; ".join(said)

    def _open(self, folder: Path | None) -> None:
        """Begin a session with the ledger of this folder."""
        self._let_go()
        path = None if folder is None else folder / LEDGER
        path = None if self._memory else self.endpoint.ledger or path
        self._client = Client(self.endpoint, self._source, self._reader, path)
        self._let_go = weakref.finalize(self, self._client.close)
        chances = self.endpoint.answer.are in ("probabilities", "log-probabilities")
        self._watch = Watch(self._client, self._encoder, chances, self.endpoint.shape)
        self._settled, self._sent = False, False
        self._drift = None

    def _settle(self, rows: NDArray[np.float32]) -> None:
        """Before a session sends anything: does the service still answer as in the last one?"""
        self._settled = True
        if self._watch.anchored():
            self._watch.require_same("since the last session", self._source)
            self._sent, self._drift = True, self._watch.first()
        else:
            self._watch.anchor(rows)

    def _can_afford(self) -> bool:
        cap = self.endpoint.cap
        return cap is None or self._client.spent["queries"] + ANCHORS <= cap

    def _rows(self, x: Tensor) -> NDArray[np.float32]:
        rows: NDArray[np.float32] = x.detach().to("cpu", torch.float32).numpy()
        if rows.shape[1:] != self.endpoint.shape:
            shape = f"<inputs of shape {rows.shape[1:]}>"
            allowed = f"of shape {self.endpoint.shape}, as {self._source} says"
            raise Invalid("x", shape, allowed)
        if not np.isfinite(rows).all():
            raise Invalid("x", "<not finite>", "finite: nothing else can be sent")
        return rows


def _scores(found: NDArray[np.float64], x: Tensor) -> Tensor:
    return torch.from_numpy(found.astype(np.float32)).to(x.device)
