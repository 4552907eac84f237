"""Credentials are sent to the service and reach nothing else, whatever it sends back."""

import os
import sqlite3
import subprocess
import sys
import traceback
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import torch

from saddlepoint.core.errors import BadData
from saddlepoint.models.service.courier.redact import Redactor, secrets_of

from .kit import opened, written
from .server import Server, as_scores, reply, running

ROOT = Path(__file__).parents[3]
TOKEN, KEY, PAIR = 's3cret/t"ken', "k3y+in+url", "us3r:passw0rd"
FORMS = [TOKEN, KEY, "passw0rd", 's3cret/t\\"ken', quote(TOKEN, safe=""), quote(KEY)]
SECRET = {"SERVICE_TOKEN": TOKEN, "URL_KEY": KEY, "BASIC": b64encode(PAIR.encode()).decode()}
HEADERS = {"Authorization": "Bearer ${SERVICE_TOKEN}", "X-Other": "Basic ${BASIC}"}
FORMS.append(SECRET["BASIC"])
PART = "s3cret"  # a secret that was cut
RUN = """
import logging
import sys
import torch
import saddlepoint as sp
from saddlepoint.cli.main import app

logging.basicConfig(level=logging.DEBUG)
endpoint, out = sys.argv[1:]
words = ["audit", "--model", endpoint, "--data", "tests.npz", "--threat", "Linf(eps=0.1)"]
words += ["--access", "scores", "--max-queries", "5", "--n", "6", "--out", out, "--probes", "0"]
app([*words, "--force", "--device", "cpu"])
"""


def spilt(text: str | bytes) -> list[str]:
    raw = text if isinstance(text, bytes) else text.encode()
    return [form for form in (*FORMS, PART) if form.encode() in raw]


def frames(error: BaseException) -> str:
    """The traceback through our code, with what its variables hold."""
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [f for f in whole.stack if "/src/saddlepoint/" in f.filename]
    assert ours
    return f"{error} {[f.locals for f in ours]}"


def everything(server: Server) -> dict[str, Any]:
    """What a service may know of its client, and tell."""
    said = server.headers[-1]
    return {
        "a": said["Authorization"],
        "headers": said,
        "url": f"?key={KEY}&key={quote(KEY)}",
        PAIR: [PAIR, TOKEN],
    }


def test_every_form_of_a_secret_is_hidden() -> None:
    hide = Redactor(secrets_of("http://a.b/?key=${URL_KEY}&plain=longenough", HEADERS, SECRET))
    for form in FORMS:
        assert not spilt(hide(f"x{form}y")), form
    assert hide("longenough") == "[redacted]"
    assert hide.inside({"a": [1.5, True, None, TOKEN]}) == {"a": [1.5, True, None, "[redacted]"]}
    assert Redactor([])("anything") == "anything"


def test_the_password_of_a_proxy_is_one() -> None:
    env = {"HTTPS_PROXY": "http://me:pr0xyword@proxy:3128"}
    assert "pr0xyword" in secrets_of("http://a.b", {}, env)


def test_a_traceback_with_all_variables_shows_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SECRET.items():
        monkeypatch.setenv(name, value)
    faults = {"http://127.0.0.1:9/?key=${URL_KEY}": KEY + "\n", "http://a:${URL_KEY}/": KEY}
    for url, value in faults.items():
        monkeypatch.setenv("URL_KEY", value)
        with pytest.raises(BadData) as caught:
            opened(tmp_path, url=url, headers=HEADERS)
        assert not spilt(frames(caught.value))
    ill = [lambda s: reply(everything(s), 500)] * 9
    with running(ill=ill) as server:
        model = opened(tmp_path, url=server.url + "?key=${URL_KEY}", headers=HEADERS)
        with pytest.raises(RuntimeError, match="500") as failed:
            model(torch.zeros(1, 1, 2, 3))
        assert "[redacted]" in frames(failed.value)
        assert not spilt(frames(failed.value))
        assert not spilt(repr(vars(model)))
        process = Path(f"/proc/{model._client._post._process.pid}/cmdline")  # type: ignore[union-attr]
        assert not process.exists() or not spilt(process.read_bytes())
        assert server.headers[0]["Authorization"] == f"Bearer {TOKEN}"
        assert server.headers[0]["X-Other"] == f"Basic {SECRET['BASIC']}"


@pytest.mark.slow
@pytest.mark.parametrize("ill", [False, True])
def test_nothing_that_is_written_holds_one(ill: bool, tmp_path: Path) -> None:
    """An audit with logging and tracebacks on, of a service that tells all it knows."""
    x = np.random.default_rng(0).random((8, 1, 2, 3), dtype=np.float32)
    np.savez(tmp_path / "tests.npz", x_test=x, y_test=np.arange(8) % 3)
    with running() as server:
        server.answer = lambda q: as_scores(q) | everything(server)
        if ill:
            server.ill = [lambda s: reply(everything(s), 429)] * 99
        url = server.url + "?key=${URL_KEY}"
        endpoint = written(tmp_path, url=url, headers=HEADERS, limits={"retries": 1})
        paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        env = os.environ | SECRET | {"PYTHONPATH": paths, "SADDLEPOINT_DEBUG": "1"}
        command = [sys.executable, "-c", RUN, str(endpoint), str(tmp_path / "run")]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=False)
    assert done.returncode == int(ill), done.stderr
    assert ("429" in done.stderr.decode()) == ill
    assert not spilt(done.stdout + done.stderr)
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert (tmp_path / "run/queries.sqlite") in files
    for path in files:
        assert not spilt(path.read_bytes()), path
    for text in answers(tmp_path / "run/queries.sqlite"):
        assert "[redacted]" in text
        assert not spilt(text)


def answers(ledger: Path) -> list[str]:
    with sqlite3.connect(ledger) as db:
        rows = db.execute("SELECT answer FROM requests WHERE answer IS NOT NULL").fetchall()
    db.close()
    return [zlib.decompress(blob).decode() for (blob,) in rows]
