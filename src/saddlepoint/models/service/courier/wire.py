"""One request over HTTP: sent once, bounded in time and size, and judged."""

import asyncio
import json
import os
import time
import zlib
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from .ledger import ANSWERED, LOST, REFUSED, UNREAD
from .redact import Redactor, expand, secrets_of, variables

if TYPE_CHECKING:
    import httpx

__all__ = ["Outcome", "Wire"]

_SHOWN = 200  # characters of an answer that an error quotes
_CONNECT = 10.0  # seconds
_AGAIN = (408, 425, 429)  # and 5xx: worth another try
_HINTS = {
    401: "does it take the credentials in {names}?",
    403: "do the credentials in {names} allow this?",
    404: "is the path of the url right?",
    405: "is the method right?",
    413: "a smaller limits.batch_size makes smaller requests",
}


@dataclass(frozen=True)
class Outcome:
    """How one request ended: a state of the ledger, the answer if there is one, words if not.

    again: another try may help; wait: seconds that the service asks for.
    """

    state: str
    status: int | None = None
    answer: str | None = None
    words: str = ""
    again: bool = False
    wait: float = 0.0


class Wire:
    """A client that knows the endpoint's address, headers and secrets."""

    def __init__(self, said: dict[str, Any]) -> None:
        import httpx

        url, headers = said["url"], said["headers"]
        self._names = sorted({n for t in (url, *headers.values()) for n in variables(t)})
        self.redact = Redactor(secrets_of(url, headers, os.environ), said["names"])
        self._method, self._url = said["method"], expand(url, os.environ)
        self._timeout, self._most = said["timeout"], said["max_response_bytes"]
        self._host = urlsplit(url).netloc or url  # as written: a variable in it stays one
        own = {"Accept": "application/json", "Content-Type": "application/json"}
        own |= {"Accept-Encoding": "identity", "User-Agent": "saddlepoint"}
        sent = httpx.Headers(own)
        sent.update({name: expand(value, os.environ) for name, value in headers.items()})
        limits = httpx.Limits(max_connections=said["concurrency"])
        # Proxies come from the environment, as usual; a redirect is never followed.
        self._client = httpx.AsyncClient(
            headers=sent,
            timeout=httpx.Timeout(self._timeout, connect=min(self._timeout, _CONNECT)),
            limits=limits,
            follow_redirects=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def send(self, body: str) -> Outcome:
        """Post one body and judge what comes back; nothing but a cancellation is raised."""
        import httpx

        try:
            async with asyncio.timeout(self._timeout):  # of it all: a slow drip is no progress
                request = self._client.stream(self._method, self._url, content=body.encode())
                async with request as response:
                    return await self._judge(response)
        except (TimeoutError, httpx.TimeoutException) as error:
            reached = not isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout)
            words = f"no answer within {self._timeout:g} s"
            return Outcome(LOST if reached else REFUSED, words=self._by(words), again=True)
        except (httpx.ConnectError, httpx.ProxyError, httpx.UnsupportedProtocol) as error:
            words = f"cannot be reached ({self._plain(error)})"
            return Outcome(REFUSED, words=self._by(words), again=True)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, zlib.error) as error:
            words = f"the connection broke ({self._plain(error)})"
            return Outcome(LOST, words=self._by(words), again=True)

    async def _judge(self, response: "httpx.Response") -> Outcome:
        status = response.status_code
        if status // 100 == 3:
            words = f"answered {status}, {self._elsewhere(response)}"
            return Outcome(REFUSED, status, words=self._by(words))
        raw, whole = await self._read(response)
        if not whole:
            words = f"answered {status} with more than {self._most} bytes, the limit"
            state = UNREAD if status // 100 == 2 else REFUSED
            return Outcome(state, status, words=self._by(words))
        text = raw.decode(errors="replace")
        if status // 100 == 2:
            return self._answer(status, text, response.headers.get("content-type", ""))
        again = status in _AGAIN or status >= 500
        hint = _HINTS.get(status, "").format(names=", ".join(self._names) or "the headers")
        reason = self.redact(response.reason_phrase)[:_SHOWN]
        words = f"answered {status} {reason}".rstrip() + self._quoted(text)
        words = self._by(words + (f"; {hint}" if hint else ""))
        return Outcome(REFUSED, status, words=words, again=again, wait=_asked_wait(response))

    def _answer(self, status: int, text: str, kind: str) -> Outcome:
        """Keep JSON, with secrets taken out of its texts; anything else is no answer."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            html = "html" in kind.lower() or text.lstrip()[:1] == "<"
            what = "HTML" if html else "nothing" if not text.strip() else "no valid JSON"
            words = f"answered {status} with {what} where JSON was due{self._quoted(text)}"
            return Outcome(UNREAD, status, words=self._by(words))
        return Outcome(ANSWERED, status, json.dumps(self.redact.inside(value)))

    async def _read(self, response: "httpx.Response") -> tuple[bytes, bool]:
        """Return what came, and whether it is all; a compressed bomb is not unpacked either."""
        if int(response.headers.get("content-length") or 0) > self._most:
            return b"", False
        coding = response.headers.get("content-encoding", "identity").lower()
        unpacked = coding in ("gzip", "deflate")
        if not unpacked and coding not in ("identity", ""):
            raise ValueError(f"content-encoding {coding} was not asked for")
        unpack = zlib.decompressobj(47 if coding == "gzip" else 15) if unpacked else None
        found = bytearray()
        async for chunk in response.aiter_raw():
            left = self._most + 1 - len(found)
            found += unpack.decompress(chunk, left) if unpack else chunk[:left]
            if len(found) > self._most:
                return b"", False
        return bytes(found), True

    def _elsewhere(self, response: "httpx.Response") -> str:
        """Words on a redirect; of the address only the host is shown, as the rest may be secret."""
        try:
            target = urlsplit(urljoin(self._url, response.headers.get("location", "")))
        except ValueError:
            return "a redirect to what is no address"
        if target.netloc != urlsplit(self._url).netloc:
            to = target.netloc.rpartition("@")[2] or "unknown"
            where = f"a redirect to another host, {self.redact(to)}"
            advice = "nothing is sent there, credentials least of all"
        else:
            scheme = target.scheme != urlsplit(self._url).scheme
            where = f"a redirect to another {'scheme' if scheme else 'path'} of the same host"
            advice = "redirects are not followed"
        return f"{where}: {advice}; if it is right, make it the url"

    def _by(self, words: str) -> str:
        return f"{self._host}: {words}"

    def _plain(self, error: Exception) -> str:
        return self.redact(str(error) or type(error).__name__)[:_SHOWN]

    def _quoted(self, text: str) -> str:
        """Return the first characters of an answer, in one line; redacted before they are cut."""
        shown = " ".join(self.redact(text).split())[:_SHOWN]
        printable = "".join(c if c.isprintable() else "?" for c in shown)
        return f": {printable!r}" if printable else ""


def _asked_wait(response: "httpx.Response") -> float:
    """Return the seconds of a Retry-After header, which may be a date."""
    said = response.headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (TypeError, ValueError, IndexError, OverflowError):
        return 0.0
