"""Whether a service still answers as it did, found out without asking anything twice.

The first samples are asked about again with one coordinate moved by the smallest step that their
text shows, another coordinate each time. What that step itself does to an answer is measured when
it is first taken, and is the yardstick from then on.
"""

import base64
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from saddlepoint.core.errors import Unsound
from saddlepoint.models.service.client import Client
from saddlepoint.models.service.encode import Encoder

__all__ = ["ANCHORS", "Watch"]

ANCHORS = 4  # samples that are asked about again: so many queries each time
_TRIES = 16  # coordinates, where an attack has asked about just that point before
_AGAIN = 2  # more coordinates before a change is believed
_EXACT, _COARSE = 1e-4, 0.1  # what a step of one ulp, or of one level of 255, may change


@dataclass
class Watch:
    """The anchors of one ledger. Scores are compared as the service gives them.

    chances: scores are logarithms of probabilities, which are compared themselves.
    """

    client: Client
    encoder: Encoder
    chances: bool
    shape: tuple[int, ...]

    def anchor(self, x: NDArray[np.float32]) -> None:
        """Remember the first of these samples (B, *F), unless the ledger has anchors already."""
        if len(x) and self.client.read("anchors") is None:
            raw = np.ascontiguousarray(x[:ANCHORS], dtype="<f4").tobytes()
            self.client.note("anchors", base64.b64encode(raw).decode())

    def anchored(self) -> bool:
        """Whether there is anything to compare with."""
        return self.client.read("anchors") is not None

    def measured(self) -> bool:
        """Whether an earlier look has found what a step does."""
        return self.client.read("step") is not None

    def change(self) -> float:
        """Largest change of an answer, relative to the scores; 0 where the step explains it.

        A model in pieces, such as a forest, may have an edge where a step leads. Another model
        answers otherwise wherever it leads, so a change counts as the least of several steps.
        """
        x = self._anchors()
        before = self.client.ask(self.encoder(x))[0]
        gaps = self._gaps(before, self._moved(x))
        yardstick = self.client.read("step")
        if yardstick is None:
            gap = float(gaps.max())
            self.client.note("step", gap)
            return gap if gap > self._floor else 0.0
        most = max(self._floor, 4 * yardstick)
        for _ in range(_AGAIN):
            if gaps.max() <= most:
                return 0.0
            gaps = np.minimum(gaps, self._gaps(before, self._moved(x)))
        return float(gaps.max()) if gaps.max() > most else 0.0

    def first(self) -> float:
        """Return what the first session found, which is what the service does by itself."""
        step = float(self.client.read("step") or 0.0)
        return step if step > self._floor else 0.0

    def require_same(self, when: str, source: str) -> None:
        """Raise ``Unsound`` where another model answers than the one in the ledger.

        A service that never repeated itself is left to the check for randomised models.
        """
        gap = self.change()
        if gap > 0:
            raise Unsound(
                f"{source}: {when}, the service answers otherwise than before (by {gap:.0%} of its "
                "largest score, for the same input but for the smallest step): its model was "
                "exchanged, or it is randomised. Answers of two models prove nothing together: "
                "begin anew with another --out or ledger"
            )

    @property
    def _floor(self) -> float:
        return _COARSE if self.encoder.integers else _EXACT

    def _anchors(self) -> NDArray[np.float32]:
        raw = base64.b64decode(self.client.read("anchors"))
        return np.frombuffer(raw, dtype="<f4").astype(np.float32).reshape(-1, *self.shape)

    def _moved(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scores (B, K) after a step that was never asked about before."""
        scores = np.empty(0)
        for _ in range(_TRIES):
            count = int(self.client.read("steps") or 0)
            self.client.note("steps", count + 1)
            scores, fresh = self.client.ask(self.encoder(self._nudge(x, count)))
            if all(fresh):
                break
        return scores

    def _nudge(self, x: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        """Move one coordinate towards the middle: number ``count`` of a fixed random order."""
        flat = x.reshape(len(x), -1).copy()
        rounds, place = divmod(count, flat.shape[1])
        at = np.random.default_rng(0).permutation(flat.shape[1])[place]
        step = np.float32(self.encoder.step * (rounds + 1))
        flat[:, at] += np.where(flat[:, at] < 0.5, step, -step)
        return flat.reshape(x.shape)

    def _gaps(self, before: NDArray[np.float64], now: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return by how much the answer to each anchor differs, in the largest score of all."""
        if self.chances:
            before, now = np.exp(before), np.exp(now)
        gaps: NDArray[np.float64] = np.abs(now - before).max(axis=1)
        return gaps / max(float(np.abs(before).max()), 1e-12)
