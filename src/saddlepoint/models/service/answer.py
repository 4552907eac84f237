"""From the JSON of an answer to scores (B, K): read where the description says, and checked."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saddlepoint.core.errors import BadData, Missing
from saddlepoint.models.service.settings import Endpoint

__all__ = ["Reader", "Unreadable"]

_LEAST = 1e-12  # probability that stands for zero: its logarithm is finite
_SHOWN = 200


class Unreadable(ValueError):
    """An answer is not what its description says."""


class Reader:
    """Reads answers to one endpoint's questions; raises ``Unreadable`` with words on what is wrong.

    Scores come as logarithms where the service gives probabilities, since attacks on probabilities
    stall where the model is sure. Labels become one-hot rows. Of a top-k the classes that are not
    listed share what is left of the probability, and score below the least listed.
    """

    def __init__(self, endpoint: Endpoint, source: str) -> None:
        try:
            import jmespath
        except ImportError as error:
            raise Missing("jmespath", "http") from error
        self._said, self._names, self._k = endpoint.answer, endpoint.names, endpoint.n_classes
        self._many = endpoint.many
        self._index = {name: i for i, name in enumerate(endpoint.names or ())}
        self._paths = {}
        for key in ("scores", "labels"):
            path = getattr(self._said, key)
            if path is None:
                continue
            try:
                self._paths[key] = jmespath.compile(path)
            except jmespath.exceptions.JMESPathError as error:
                first = str(error).strip().partition("\n")[0]
                raise BadData(f"{source}: answer.{key}: no JMESPath expression: {first}") from None

    def __call__(self, text: str, count: int) -> NDArray[np.float64]:
        """Return (count, K) scores of the instances of one request."""
        value = json.loads(text)
        try:
            found = {key: self._items(key, value, count) for key in self._paths}
            rows = [
                self._row(
                    found["scores"][i] if "scores" in found else None,
                    found["labels"][i] if "labels" in found else None,
                )
                for i in range(count)
            ]
        except Unreadable as error:
            shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
            raise Unreadable(f"{error}; it answered {shown}") from None
        return np.array(rows, dtype=np.float64).reshape(count, self._k)

    def _items(self, key: str, value: Any, count: int) -> list[Any]:  # noqa: ANN401
        path = getattr(self._said, key)
        try:
            found = self._paths[key].search(value)
        except ValueError as error:  # jmespath's own: a function that is unknown or does not fit
            said = " ".join(str(error).split())[:_SHOWN]
            raise Unreadable(f"answer.{key} = {path!r} fails on the answer: {said}") from None
        if found is None:
            raise Unreadable(f"answer.{key} = {path!r} finds nothing in the answer")
        if not self._many:
            return [found]
        if not isinstance(found, list) or len(found) != count:
            what = f"{len(found)} items" if isinstance(found, list) else type(found).__name__
            raise Unreadable(
                f"answer.{key} = {path!r} finds {what} for {count} instances: there must be a list "
                "with one for each"
            )
        return found

    def _row(self, scores: Any, labels: Any) -> NDArray[np.float64]:  # noqa: ANN401
        kind = self._said.kind
        if kind == "labels":
            row = np.zeros(self._k)
            row[self._class(labels)] = 1.0
            return row
        if isinstance(scores, dict) and labels is None:
            labels, scores = list(scores), list(scores.values())
        places = None if labels is None else self._places(labels)
        if scores is None:  # a ranking alone
            return self._spread([-float(i) for i in range(len(places or ()))], places or [])
        values = [_number(v) for v in _listed(scores, "scores")]
        if kind == "top-k":
            if places is None:
                raise Unreadable("a top-k list has scores without classes: give answer.labels")
            return self._spread(values, places)
        return self._whole(values, places)

    def _whole(self, values: list[float], places: list[int] | None) -> NDArray[np.float64]:
        if len(values) != self._k:
            raise Unreadable(f"there are {len(values)} scores for {self._k} classes")
        row = np.array(values)
        if places is not None:
            _same_length(values, places)
            row = np.empty(self._k)
            row[places] = values
        return self._logarithms(row)

    def _spread(self, values: list[float], places: list[int]) -> NDArray[np.float64]:
        """Scores of the listed classes, and lower ones for the rest."""
        _same_length(values, places)
        if not values:
            raise Unreadable("a top-k list is empty")
        listed = np.array(values)
        if self._said.are in (None, "logits"):
            row = np.full(self._k, listed.min() - 1)
            row[places] = listed
            return row
        listed = self._logarithms(listed)
        left = max(1 - float(np.exp(listed).sum()), 0.0) / max(self._k - len(places), 1)
        least = float(listed.min())
        row = np.full(self._k, min(math.log(max(left, _LEAST)), least - math.log(2)))
        row[places] = listed
        return row

    def _logarithms(self, row: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._said.are != "probabilities":
            return row
        if row.min() < -1e-6 or row.max() > 1 + 1e-3:
            raise Unreadable(
                f"scores from {row.min():g} to {row.max():g} are no probabilities: "
                'is it answer.are = "logits"?'
            )
        logs: NDArray[np.float64] = np.log(np.clip(row, _LEAST, None))
        return logs

    def _places(self, labels: Any) -> list[int]:  # noqa: ANN401
        places = [self._class(label) for label in _listed(labels, "labels")]
        if len(set(places)) < len(places):
            raise Unreadable("a class is listed twice")
        return places

    def _class(self, label: Any) -> int:  # noqa: ANN401
        """Return the index of a class that is named, or numbered where there are no names."""
        if isinstance(label, str) and label in self._index:
            return self._index[label]
        number = label
        if isinstance(label, str) and self._names is None and label.strip().isdecimal():
            number = int(label)
        if isinstance(label, int) and str(label) in self._index:
            return self._index[str(label)]
        whole = isinstance(number, int | float) and not isinstance(number, bool)
        if whole and 0 <= number < self._k and number == int(number):
            return int(number)
        known = f"0 to {self._k - 1}" if self._names is None else ", ".join(self._names[:20])
        raise Unreadable(f"{label!r:.60} is none of the classes ({known})")


def _listed(value: Any, what: str) -> Sequence[Any]:  # noqa: ANN401
    if not isinstance(value, list):
        raise Unreadable(f"{what} of one instance are no list but {type(value).__name__}")
    return value


def _same_length(values: list[float], places: list[int]) -> None:
    if len(values) != len(places):
        raise Unreadable(f"there are {len(values)} scores with {len(places)} class names")


def _number(value: Any) -> float:  # noqa: ANN401
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unreadable(f"a score is {json.dumps(value)[:60]}, not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Unreadable(f"a score is {number}, not a finite number")
    return number
