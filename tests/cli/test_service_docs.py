"""The snippets of docs/service.md, run as they are printed there, on fewer samples."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from .test_ci_docs import shell

pytest.importorskip("httpx")
pytest.importorskip("jmespath")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/service.md").read_text()
TOKEN = "let-me-in"  # noqa: S105 - as the page says

pytestmark = pytest.mark.slow


def snippets(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def port() -> Iterator[int]:
    """Serve as the page does, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free: int = probe.getsockname()[1]
    token, serve = snippets("sh")[0].splitlines()
    assert token == f"export TOKEN={TOKEN}"
    words = serve.replace("8000", str(free)).removesuffix(" &").split()
    assert words[0] == "python"
    env = os.environ | {"TOKEN": TOKEN, "PYTHONPATH": str(ROOT / "src")}
    server = subprocess.Popen([sys.executable, *words[1:]], cwd=ROOT, env=env)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{free}/count")
                break
            except OSError:
                time.sleep(0.1)
        yield free
    finally:
        server.kill()
        server.wait()


def test_the_page_as_printed(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "endpoint.toml").write_text(snippets("toml")[0].replace(":8000", f":{port}"))
    _, query, audit = (text.replace(":8000", f":{port}") for text in snippets("sh"))
    code, words = shell(query, tmp_path)
    assert code == 0, words
    assert "sends at most 20,000 queries (20 USD)" in " ".join(words.split())
    assert "3: 0.94" in words
    small = audit.replace("--n 100", "--n 20").replace("--max-queries 200", "--max-queries 20")
    code, words = shell(small.replace("python -c", f"'{sys.executable}' -c"), tmp_path)
    assert code == 0, words
    assert "witnesses hold" in words
    counted = json.loads(words.strip().splitlines()[-1])
    used = json.loads((tmp_path / "run/audit.json").read_text())["usage"]
    assert 0 < used["queries"] <= 20 * 20
    assert counted["instances"] >= used["queries"]
    for path in (p for p in (tmp_path / "run").rglob("*") if p.is_file()):
        assert TOKEN.encode() not in path.read_bytes()
    names: dict[str, object] = {}
    exec(snippets("python")[0], names)  # noqa: S102 - our own page
    assert names["scores"].shape == (8, 10)  # type: ignore[attr-defined]


def test_errors_of_query_are_for_people(tmp_path: Path) -> None:
    text = snippets("toml")[0].replace(":8000", ":9").replace("[limits]", "[limits]\nretries = 0")
    (tmp_path / "endpoint.toml").write_text(text)
    code, words = shell("unset TOKEN; saddlepoint query endpoint.toml", tmp_path)
    assert (code, "needs the environment variable TOKEN: export it" in words) == (2, True)
    code, words = shell("TOKEN=x saddlepoint query endpoint.toml --n 1", tmp_path)
    assert (code, "127.0.0.1:9: cannot be reached" in words) == (2, True), words
