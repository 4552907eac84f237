"""What travels can be read back, and is the same text whatever the instance is in a batch with."""

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from saddlepoint.models.service.drift import Watch
from saddlepoint.models.service.encode import Encoder
from saddlepoint.models.service.settings import InputSettings

SHAPE = (3, 4, 5)
X = np.random.default_rng(0).random((4, *SHAPE), dtype=np.float32)
X[0, 0, 0, :3] = [0.0, 1.0, 1e-30]


def decoded(text: str, said: InputSettings) -> NDArray[Any]:
    """What a service would make of it, as (C, H, W) in the range of the description."""
    value = json.loads(text)
    if said.encoding == "png":
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(value))))
        return np.moveaxis(pixels, -1, 0)
    if said.encoding == "float32":
        flat = np.frombuffer(base64.b64decode(value), dtype="<f4")
    else:
        flat = np.asarray(value, dtype=np.float64).ravel()
    if said.layout == "HWC":
        return np.moveaxis(flat.reshape(*SHAPE[1:], SHAPE[0]), -1, 0)
    return flat.reshape(SHAPE)


WAYS = [
    {},
    {"encoding": "flat"},
    {"encoding": "float32"},
    {"encoding": "png"},
    {"range": (0, 255)},
    {"range": (0, 255), "integers": True},
    {"range": (-1, 1), "encoding": "flat", "layout": "HWC"},
    {"encoding": "float32", "layout": "HWC"},
]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_decodes_to_what_it_was(way: dict[str, Any]) -> None:
    said = InputSettings(**way)
    encoder, (low, high) = Encoder(said), (0, 255) if way.get("encoding") == "png" else said.range
    for x, text in zip(X, encoder(X), strict=True):
        wanted = low + x.astype(np.float64) * (high - low)
        tol = 0.5 + 1e-4 if encoder.integers else 0 if (low, high) == (0, 1) else 2e-5
        assert np.abs(decoded(text, said) - wanted).max() <= tol


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_same_alone_as_in_a_batch(way: dict[str, Any]) -> None:
    encoder = Encoder(InputSettings(**way))
    assert encoder(X) == [encoder(x[None])[0] for x in X]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_smallest_step_shows_at_every_coordinate(way: dict[str, Any]) -> None:
    encoder = Encoder(InputSettings(**way))
    watch = Watch.__new__(Watch)
    watch.encoder = encoder
    count = X[0].size
    texts = [encoder(watch._nudge(X, k)) for k in range(2 * count)]
    texts.append(encoder(X))
    for i in range(len(X)):
        assert len({batch[i] for batch in texts}) == 2 * count + 1


def test_minus_zero_is_zero() -> None:
    encoder = Encoder(InputSettings())
    assert encoder(np.full((1, 2), -0.0, np.float32)) == encoder(np.zeros((1, 2), np.float32))
