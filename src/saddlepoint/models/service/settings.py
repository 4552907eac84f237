"""What a TOML file says of an endpoint, checked before anything is sent."""

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from saddlepoint.core.errors import BadData, closest
from saddlepoint.models.service.courier.redact import VARIABLE

__all__ = ["AnswerSettings", "Endpoint", "InputSettings", "LimitSettings", "read_endpoint"]

INSTANCES, INSTANCE = "{instances}", "{instance}"
# What may be written out in the file; every other header takes its value from the environment.
_OPEN_HEADERS = ("accept", "accept-language", "content-type", "user-agent")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
Count = Annotated[int, Field(ge=1, strict=True)]


class Table(BaseModel):
    """A table of the file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class InputSettings(Table):
    """How an instance is written: as nested or flat lists, a PNG or raw float32 in base64.

    range: the numbers that stand for 0 and 1; integers: rounded to whole numbers. layout: of
    images; saddlepoint's own is CHW.
    """

    encoding: Literal["nested", "flat", "png", "float32"] = "nested"
    range: tuple[float, float] = (0.0, 1.0)
    integers: bool = False
    layout: Literal["CHW", "HWC"] = "CHW"

    @model_validator(mode="after")
    def _fits(self) -> "InputSettings":
        low, high = self.range
        if not low < high:
            raise ValueError(f"range = [{low:g}, {high:g}]: the first must be the smaller")
        if self.encoding == "png" and "range" in self.model_fields_set:
            raise ValueError("a PNG always has bytes: leave range out")
        if self.encoding == "float32" and self.integers:
            raise ValueError('integers are not float32: leave it out, or encoding = "nested"')
        if self.integers and high - low < 1:
            raise ValueError("integers need a wider range, such as [0, 255]")
        return self


class AnswerSettings(Table):
    """Where labels, scores and class names are in the JSON answer, as JMESPath expressions."""

    kind: Literal["labels", "top-k", "scores"]
    scores: str | None = None
    labels: str | None = None
    are: Literal["probabilities", "logits", "log-probabilities"] | None = None

    @model_validator(mode="after")
    def _complete(self) -> "AnswerSettings":
        if self.kind == "labels":
            if self.labels is None or self.scores is not None or self.are is not None:
                raise ValueError('kind = "labels" takes the path labels, and nothing else')
        elif self.kind == "scores" and self.scores is None:
            raise ValueError('kind = "scores" takes the path scores')
        elif self.scores is None and self.labels is None:
            raise ValueError('kind = "top-k" takes the path labels, and scores if there are any')
        if (self.scores is None) != (self.are is None):
            allowed = '"probabilities", "logits" or "log-probabilities"'
            raise ValueError(f"scores and are go together: are = {allowed}")
        return self


class LimitSettings(Table):
    """What the service can take: sizes, times, tries; and what may be sent in all."""

    batch_size: Count = 32
    concurrency: Annotated[int, Field(ge=1, le=256, strict=True)] = 4
    timeout: Annotated[float, Field(gt=0, le=3600)] = 30.0
    retries: Annotated[int, Field(ge=0, le=100, strict=True)] = 4
    backoff: Annotated[float, Field(ge=0, le=600)] = 0.5
    rate: Annotated[float, Field(gt=0)] | None = None
    max_response_bytes: Count = 4 << 20
    query_cap: Annotated[int, Field(ge=0, strict=True)] | None = None


class PriceSettings(Table):
    """What a query costs, and how much may be spent."""

    per_query: Annotated[float, Field(ge=0)]
    currency: str = "USD"
    cost_cap: Annotated[float, Field(ge=0)] | None = None


class Endpoint(Table):
    """An endpoint as its file describes it; headers and url are templates, never values."""

    url: str
    shape: Annotated[tuple[Count, ...], Field(min_length=1)]
    classes: Annotated[int, Field(ge=2, strict=True)] | tuple[str, ...]
    body: dict[str, Any] | list[Any] | str
    answer: AnswerSettings
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    input: InputSettings = InputSettings()
    headers: dict[str, str] = Field(default_factory=dict)
    limits: LimitSettings = LimitSettings()
    price: PriceSettings | None = None
    ledger: Path | None = None

    @field_validator("classes")
    @classmethod
    def _distinct(cls, value: int | tuple[str, ...]) -> int | tuple[str, ...]:
        if isinstance(value, tuple) and (len(set(value)) < len(value) or len(value) < 2):
            raise ValueError("names must be at least two, and different")
        return value

    @field_validator("headers")
    @classmethod
    def _from_environment(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER.fullmatch(name):
                raise ValueError("a header's name has letters, digits and hyphens only")
            if name.lower() not in _OPEN_HEADERS and not VARIABLE.search(value):
                raise ValueError(
                    f'{name} must come from the environment, as in {name} = "${{TOKEN}}": '
                    "a credential in a file is a credential lost"
                )
        return headers

    @field_validator("body")
    @classmethod
    def _as_json(cls, body: Any) -> Any:  # noqa: ANN401
        try:
            if isinstance(body, str) and body.strip() in (INSTANCES, INSTANCE):
                body = body.strip()
            elif isinstance(body, str):
                body = json.loads(body)
            json.dumps(body, allow_nan=False)
        except (ValueError, TypeError) as error:
            raise ValueError(f"must be a table or JSON: {error}") from None
        _holes(body)
        return body

    @model_validator(mode="after")
    def _is_image(self) -> "Endpoint":
        channels = self.shape[0] if len(self.shape) == 3 else 1
        if self.input.encoding == "png" and (
            len(self.shape) not in (2, 3) or channels not in (1, 3)
        ):
            raise ValueError("a PNG takes shape = [H, W], [1, H, W] or [3, H, W]")
        if self.input.layout == "HWC" and len(self.shape) != 3:
            raise ValueError('layout = "HWC" takes shape = [C, H, W]')
        return self

    @property
    def names(self) -> tuple[str, ...] | None:
        """Names of the classes, where they are known."""
        return self.classes if isinstance(self.classes, tuple) else None

    @property
    def n_classes(self) -> int:
        """Return the number of classes."""
        return len(self.classes) if isinstance(self.classes, tuple) else self.classes

    @property
    def cap(self) -> int | None:
        """Return how many queries may be paid for in all, None where nothing limits them."""
        price = self.price
        caps = [] if self.limits.query_cap is None else [self.limits.query_cap]
        if price is not None and price.cost_cap is not None and price.per_query > 0:
            caps.append(int(price.cost_cap / price.per_query * (1 + 1e-12)))
        return min(caps, default=None)

    @property
    def many(self) -> bool:
        """Whether a request carries a list of instances."""
        return _holes(self.body) == INSTANCES

    @property
    def around(self) -> tuple[str, str]:
        """The JSON text of the body before and after the instances."""
        text = json.dumps(self.body, separators=(",", ":"))
        begin, _, end = text.partition(json.dumps(_holes(self.body)))
        return begin, end

    def asking(self) -> str:
        """Hash of what a question consists of; nothing about answers, limits or prices."""
        said = self.model_dump(mode="json", include={"url", "method", "body", "headers", "shape"})
        return _hash({**said, "input": self.input.model_dump(mode="json")})

    def sha256(self) -> str:
        """Hash of what makes it this model: the question and how its answer is read."""
        said = self.model_dump(mode="json", include={"classes", "answer"})
        return _hash({**said, "asking": self.asking()})


def _holes(body: Any) -> str:  # noqa: ANN401
    """Return the one placeholder in the body; raises ``ValueError`` for none or several."""
    found: list[str] = []
    todo = [body]
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            found += [value] if value in (INSTANCES, INSTANCE) else []
            if VARIABLE.search(value):
                raise ValueError("takes no ${…}: credentials belong into headers or the url")
        elif isinstance(value, dict):
            todo += value.values()
        elif isinstance(value, list):
            todo += value
    if len(found) != 1:
        both = f'"{INSTANCES}" (a list of them) or "{INSTANCE}" (one)'
        raise ValueError(f"must have {both} as a value, once; found {len(found)}")
    return found[0]


def _hash(said: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def read_endpoint(path: Path) -> Endpoint:
    """Read the description of an endpoint; raises ``BadData`` that names the key and the file."""
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadData(f"{path} is no readable TOML: {error}") from None
    try:
        found = Endpoint(**said)
        if found.ledger is not None:
            found = found.model_copy(update={"ledger": path.parent / found.ledger.expanduser()})
        return found
    except ValidationError as error:
        raise BadData(f"{path}: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    """Words on the first fault: a wrong value is worth more than a missing one."""
    fault = min(error.errors(), key=lambda e: e["type"] == "missing")
    name = ".".join(str(part) for part in fault["loc"] if part not in _UNION)
    if fault["type"] == "missing":
        return f"{name} is missing"
    if fault["type"] == "extra_forbidden":
        return f"unknown key {name}; {closest(str(fault['loc'][-1]), _known(fault['loc'][:-1]))}"
    said = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    # The value is not quoted: somebody may have typed a credential.
    return f"{name}: {said if fault['type'] == 'value_error' else 'must be ' + said}"


_UNION = ("constrained-int", "tuple[str, ...]", "function-after[check(), int]")


def _known(place: tuple[int | str, ...]) -> list[str]:
    kinds: dict[str, type[Table]] = {
        "input": InputSettings,
        "answer": AnswerSettings,
        "limits": LimitSettings,
        "price": PriceSettings,
    }
    kind = kinds.get(str(place[0]), Endpoint) if place else Endpoint
    return list(kind.model_fields)
