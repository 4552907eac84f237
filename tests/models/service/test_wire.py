"""Whatever a service does, one request ends in time, within its size, and in words."""

import asyncio
import gzip
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from saddlepoint.models.service.courier.ledger import ANSWERED, LOST, REFUSED, UNREAD
from saddlepoint.models.service.courier.wire import Outcome, Wire

from .server import Reply, Server, reply, running

TOKEN = "s3cret/t0ken"  # noqa: S105 - of a service that exists only here
BODY = '{"instances":[[[[0,0,0],[0,0,0]]]]}'


def send(server: Server, **said: Any) -> Outcome:  # noqa: ANN401
    async def once() -> Outcome:
        usual = {
            "url": server.url + "?key=${QUERY_KEY}",
            "method": "POST",
            "headers": {"Authorization": "Bearer ${SERVICE_TOKEN}"},
            "names": [],
            "timeout": 5.0,
            "concurrency": 2,
            "max_response_bytes": 1000,
        }
        wire = Wire(usual | said)
        try:
            return await wire.send(BODY)
        finally:
            await wire.close()

    return asyncio.run(once())


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", TOKEN)
    monkeypatch.setenv("QUERY_KEY", "an+other")


def echo(server: Server) -> bytes:
    """All that it was told, and other spellings of it."""
    spelt = " an%2Bother an+other s3cret\\/t0ken "
    return (server.headers[-1]["Authorization"] + spelt + json.dumps(server.headers[-1])).encode()


def slow(_: Server) -> Reply:
    time.sleep(0.6)
    return reply({})


ILL: dict[str, tuple[Callable[[Server], Reply | None], str, bool, str]] = {
    "too many": (
        lambda _: (429, {"Retry-After": "7"}, b"slow down"),
        REFUSED,
        True,
        "429 Too Many",
    ),
    "failure": (
        lambda s: (500, {}, echo(s)),
        REFUSED,
        True,
        "answered 500 Internal Server Error: '",
    ),
    "forbidden": (
        lambda s: (401, {}, echo(s)),
        REFUSED,
        False,
        "does it take the credentials in QU",
    ),
    "escaped": (
        lambda _: (400, {}, b'{"a": "s3cret\\u002ft0ken", "b": "<p>s3cret&#x2F;t0ken an%2bother"}'),
        REFUSED,
        False,
        '{"a": "[redacted]", "b": "<p>[redacted] [redacted]"}',
    ),
    "too large a question": (lambda _: (413, {}, b""), REFUSED, False, "limits.batch_size"),
    "html": (
        lambda s: (200, {"Content-Type": "text/html"}, b"<html>Sign in" + echo(s)),
        UNREAD,
        False,
        "answered 200 with HTML where JSON was due: '<html>Sign in",
    ),
    "empty": (lambda _: (200, {}, b""), UNREAD, False, "with nothing where JSON was due"),
    "half": (
        lambda s: (200, {}, b'{"scores": [' + echo(s)),
        UNREAD,
        False,
        "with no valid JSON",
    ),
    "deep": (lambda _: (200, {}, b"[" * 990), UNREAD, False, "with no valid JSON"),
    "large": (lambda _: (200, {}, b" " * 1001), UNREAD, False, "200 with more than 1000 bytes"),
    "bomb": (
        lambda _: (200, {"Content-Encoding": "gzip"}, gzip.compress(b" " * 10**7)[:990]),
        UNREAD,
        False,
        "more than 1000 bytes",
    ),
    "moved": (
        lambda _: (302, {"Location": "http://other.example/x?key=an+other"}, b""),
        REFUSED,
        False,
        "a redirect to another host, other.example: nothing is sent there, credentials least",
    ),
    "moved a bit": (
        lambda _: (307, {"Location": "/predict/"}, b""),
        REFUSED,
        False,
        "a redirect to another path of the same host: redirects are not followed",
    ),
    "moved nowhere": (
        lambda _: (302, {"Location": "http://[an+other"}, b""),
        REFUSED,
        False,
        "answered 302, a redirect to what is no address",
    ),
    "hangs up": (lambda _: None, LOST, True, "the connection broke"),
    "cut short": (
        lambda _: (200, {"Content-Length": "99", "Connection": "close"}, b"{"),
        LOST,
        True,
        "the connection broke",
    ),
    "odd coding": (
        lambda _: (200, {"Content-Encoding": "br"}, b"x"),
        LOST,
        True,
        "content-encoding br",
    ),
}


@pytest.mark.parametrize("name", ILL)
def test_an_ill_service(name: str) -> None:
    answer, state, again, words = ILL[name]
    with running(ill=[answer]) as server:
        found = send(server)
        assert (found.state, found.again, found.answer) == (state, again, None), found
        assert words in found.words
        assert found.words.startswith(f"127.0.0.1:{server.port}: ")
        assert len(found.words) < 500
        for secret in (TOKEN, "an+other", "an%2Bother", "s3cret"):
            assert secret not in found.words
        assert len(server.bodies) == 1
        assert server.headers[0]["Authorization"] == f"Bearer {TOKEN}"


def test_no_answer_in_time() -> None:
    with running(ill=[slow]) as server:
        found = send(server, timeout=0.1)
        assert (found.state, found.again) == (LOST, True)
        assert "no answer within 0.1 s" in found.words


def test_a_drip_is_no_answer() -> None:
    """Each byte comes in time, and all of them do not."""

    def drip() -> None:
        time.sleep(0.02)

    with running() as server:
        server.answer = lambda _: {"scores": [[1] * 100]}
        server.drip = drip
        found = send(server, timeout=0.3)
        assert (found.state, found.again) == (LOST, True)


def test_nobody_there() -> None:
    with running() as server:
        pass
    found = send(server)
    assert (found.state, found.again) == (REFUSED, True)
    assert "cannot be reached" in found.words


def test_a_compressed_answer_is_read() -> None:
    content = gzip.compress(b'{"scores": [1]}')
    with running(ill=[lambda _: (200, {"Content-Encoding": "gzip"}, content)]) as server:
        found = send(server)
    assert (found.state, found.answer) == (ANSWERED, '{"scores": [1]}')


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("-3", 0.0), ("soon", 0.0)])
def test_the_wait_that_is_asked_for(said: str, seconds: float) -> None:
    with running(ill=[lambda _: (429, {"Retry-After": said}, b"")]) as server:
        assert send(server).wait == seconds


def test_a_wait_until_a_date() -> None:
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 100))
    with running(ill=[lambda _: (503, {"Retry-After": date}, b"")]) as server:
        assert 90 < send(server).wait <= 100


def test_secrets_in_a_good_answer_are_not_kept() -> None:
    with running() as server:
        server.answer = lambda _: {"scores": [1.5], f"you {TOKEN}": [TOKEN, "an%2Bother"]}
        found = send(server)
    assert found.answer is not None
    assert json.loads(found.answer) == {
        "scores": [1.5],
        "you [redacted]": ["[redacted]", "[redacted]"],
    }


def test_a_secret_in_a_reason_is_not_shown() -> None:
    """The words beside a status are the service's own as well."""
    with running(ill=[lambda _: (403, {}, b"")], reason=f"No {TOKEN}") as server:
        found = send(server)
    assert "answered 403 No [redacted]" in found.words
    assert TOKEN not in found.words


def test_a_secret_in_the_host_of_a_redirect_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts have no case, and secrets have."""
    monkeypatch.setenv("SERVICE_TOKEN", "S3cretToken")
    moved = {"Location": "http://S3cretToken.other.example/"}
    with running(ill=[lambda _: (302, moved, b"")]) as server:
        found = send(server)
    assert "another host, [redacted].other.example" in found.words


def test_a_number_may_be_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "123456789012")
    with running() as server:
        server.answer = lambda _: {"account": 123456789012, "scores": [0.5, 123456789]}
        found = send(server)
    assert found.answer == '{"account": "[redacted]", "scores": [0.5, 123456789]}'


def test_names_of_classes_are_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A region in the address is a variable, and may be in the name of a class as well."""
    monkeypatch.setenv("SERVICE_TOKEN", "eu")
    with running() as server:
        server.answer = lambda _: {"museum": ["museum", "eu-1"]}
        found = send(server, names=["museum"])
    assert found.answer == '{"museum": ["museum", "[redacted]-1"]}'


def test_no_coding_at_all_is_one() -> None:
    with running(ill=[lambda _: (200, {"Content-Encoding": ""}, b"[1]")]) as server:
        found = send(server)
    assert (found.state, found.answer) == (ANSWERED, "[1]")
