"""A description is checked before anything is sent, and errors name the file and the key."""

from pathlib import Path
from typing import Any

import pytest

from saddlepoint.core.errors import BadData, Invalid
from saddlepoint.models import load_model
from saddlepoint.models.service.settings import read_endpoint

from .kit import merged, opened, written

FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "typo": ({"shap": [1]}, "unknown key shap; did you mean shape"),
    "typo inside": ({"limits": {"timeut": 3}}, "unknown key limits.timeut; did you mean timeout"),
    "no shape": ({"shape": None}, "shape is missing"),
    "empty shape": ({"shape": []}, "shape: "),
    "negative side": ({"shape": [1, -2]}, "shape.1: must be greater than or equal to 1"),
    "one class": ({"classes": 1}, "classes: must be greater than or equal to 2"),
    "classes twice": ({"classes": ["a", "a"]}, "classes: names must be at least two, and diff"),
    "no placeholder": ({"body": {"x": "y", "instances": None}}, 'body: must have "{instances}"'),
    "two": ({"body": {"b": "{instance}"}}, "once; found 2"),
    "no json": ({"body": "{x"}, "body: must be a table or JSON"),
    "secret in body": ({"body": {"key": "${TOKEN}"}}, "credentials belong into headers"),
    "get": ({"method": "GET"}, "method: must be 'POST', 'PUT' or 'PATCH'"),
    "open token": ({"headers": {"Authorization": "Bearer abc"}}, "must come from the environment"),
    "header name": ({"headers": {"a b": "${X}"}}, "headers: a header's name"),
    "no path": ({"answer": {"scores": None, "are": None}}, 'kind = "scores" takes the path scores'),
    "no kind": ({"answer": {"kind": None}}, "answer.kind is missing"),
    "labels": ({"answer": {"kind": "labels", "labels": "x"}}, "takes the path labels, and nothing"),
    "scores of what": ({"answer": {"are": None}}, "scores and are go together"),
    "png": ({"input": {"encoding": "png"}, "shape": [2, 2, 2]}, "a PNG takes shape = [H, W]"),
    "png range": ({"input": {"encoding": "png", "range": [0, 255]}}, "leave range out"),
    "range": ({"input": {"range": [1, 0]}}, "the first must be the smaller"),
    "levels": ({"input": {"integers": True, "range": [0, 0.5]}}, "integers need a wider range"),
    "no batch": ({"limits": {"batch_size": 0}}, "limits.batch_size: must be greater than"),
    "nan": ({"limits": {"timeout": float("nan")}}, "limits.timeout: must be a"),
    "rate": ({"limits": {"rate": 0}}, "limits.rate: must be greater than 0"),
    "price": ({"price": {"per_query": -1}}, "price.per_query: must be greater than or equal to 0"),
    "cost cap": ({"price": {"cost_cap": 3}}, "price.per_query is missing"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_named(name: str, tmp_path: Path) -> None:
    change, words = FAULTS[name]
    with pytest.raises(BadData) as caught:
        read_endpoint(written(tmp_path, **change))
    assert words in str(caught.value)
    assert "endpoint.toml" in str(caught.value)


ADDRESSES = {
    "ftp://a.b/c": "must begin with https",
    "http:///c": "has no host",
    "http://user:s3cret@a.b": "must hold no user name",
    "http://${WHO}@a.b": "must hold no user name",
    "http://a.b:x/": "is no valid address",
    "http://a.b/#here": "must hold neither",
    "http://a.b/${bad name}": "must hold neither",
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_addresses_that_cannot_be(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHO", "s3cret:word")
    with pytest.raises(BadData, match=r"endpoint\.toml: url: ") as caught:
        opened(tmp_path, url=url)
    assert ADDRESSES[url] in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_missing_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERVICE_TOKEN", raising=False)
    headers = {"Authorization": "Bearer ${SERVICE_TOKEN}"}
    with pytest.raises(BadData, match="Authorization needs the environment variable SERVICE_TOKEN"):
        opened(tmp_path, headers=headers)
    monkeypatch.setenv("SERVICE_TOKEN", "s3cret\nX-Other: 1")
    with pytest.raises(BadData, match="SERVICE_TOKEN of Authorization holds a line") as caught:
        opened(tmp_path, headers=headers)
    assert "s3cret" not in str(caught.value)


def test_paths_are_compiled_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"answer\.scores: no JMESPath expression"):
        opened(tmp_path, answer={"scores": "a..b"})


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "endpoint.toml").write_text("url = ")
    with pytest.raises(BadData, match=r"endpoint\.toml is no readable TOML"):
        load_model(tmp_path / "endpoint.toml")
    with pytest.raises(BadData, match="no such file"):
        load_model(tmp_path / "other.toml")
    with pytest.raises(Invalid, match="arch"):
        load_model(written(tmp_path), arch="mlp")


def test_what_it_loads_as(tmp_path: Path) -> None:
    found = load_model(written(tmp_path), shape=(1, 2, 3), classes=3)
    assert (found.arch, found.access, found.shape, found.classes) == (
        "service",
        "scores",
        (1, 2, 3),
        3,
    )
    with pytest.raises(BadData, match=r"the model has shape \(1, 2, 3\)"):
        load_model(written(tmp_path), shape=(1, 8, 8))
    labels = {"kind": "labels", "labels": "labels", "scores": None, "are": None}
    assert load_model(written(tmp_path, answer=labels)).access == "labels"


def test_the_hash_is_that_of_question_and_answer(tmp_path: Path) -> None:
    def sha256(**change: Any) -> str:  # noqa: ANN401
        return read_endpoint(written(tmp_path, **change)).sha256()

    same = sha256()
    for change in ({"limits": {"timeout": 3}}, {"price": {"per_query": 1}}, {"ledger": "x"}):
        assert sha256(**change) == same
    others = [
        {"url": "http://127.0.0.1:9/other"},
        {"body": {"model": "b"}},
        {"answer": {"scores": "x"}},
        {"answer": {"are": "logits"}},
        {"input": {"range": [0, 255]}},
        {"classes": ["a", "b", "c"]},
    ]
    assert len({same, *(sha256(**change) for change in others)}) == len(others) + 1


def test_caps(tmp_path: Path) -> None:
    def cap(**change: Any) -> int | None:  # noqa: ANN401
        return read_endpoint(written(tmp_path, **change)).cap

    money = {"per_query": 0.1, "cost_cap": 0.3}
    assert cap() is None
    assert cap(price=money) == 3
    assert cap(price=money, limits={"query_cap": 2}) == 2
    assert cap(limits={"query_cap": 0}) == 0
    assert cap(price=merged(money, {"per_query": 0.0})) is None
