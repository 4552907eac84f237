"""The snippets of docs/service.md, run as they are printed there, on fewer samples."""

import json
import socket
import time
import urllib.request

import pytest

from .changes import as_run
from .fences import fences, snippets
from .reader import Reader

pytest.importorskip("httpx")
pytest.importorskip("jmespath")

PAGE = "docs/service.md"
TOKEN = "let-me-in"  # noqa: S105 - as the page says

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def wait(port: int) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/count")
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server of the page never answered")


def test_the_page_as_printed(reader: Reader) -> None:
    port, said = free_port(), []
    for fence in fences(PAGE):
        said.append(reader.do(fence, as_run(fence).replace("8000", str(port))))
        if "serve.py" in fence.text:
            wait(port)
    words = " ".join("".join(said).split())
    assert "sends at most 20,000 queries (20 USD)" in words
    assert "3: 0.94" in words
    assert "witnesses hold" in words
    (counted,) = [json.loads(line) for line in "".join(said).splitlines() if line[:1] == "{"]
    used = json.loads((reader.folder / "run/audit.json").read_text())["usage"]
    assert 0 < used["queries"] <= 20 * 20
    assert counted["instances"] >= used["queries"]
    for path in (p for p in (reader.folder / "run").rglob("*") if p.is_file()):
        assert TOKEN.encode() not in path.read_bytes()
    assert reader.module.scores.shape == (8, 10)


def test_errors_of_query_are_for_people(reader: Reader) -> None:
    (text,) = snippets(PAGE, "toml")
    text = text.replace(":8000", ":9").replace("[limits]", "[limits]\nretries = 0")
    (reader.folder / "endpoint.toml").write_text(text)
    code, words = reader.terminal.shell("unset TOKEN; saddlepoint query endpoint.toml")
    assert (code, "needs the environment variable TOKEN: export it" in words) == (2, True)
    code, words = reader.terminal.shell("TOKEN=x saddlepoint query endpoint.toml --n 1")
    assert (code, "127.0.0.1:9: cannot be reached" in words) == (2, True), words
