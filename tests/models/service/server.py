"""A small service on loopback that counts what it is asked, and can be ill in many ways."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

SHAPE, CLASSES = (1, 2, 3), 3
WEIGHT = np.random.default_rng(0).normal(size=(6, CLASSES))
Reply = tuple[int, dict[str, str], bytes]


def logits(instances: list[Any]) -> np.ndarray[Any, Any]:
    """The model: a linear map of the flattened instance."""
    flat = [np.asarray(x, dtype=np.float64).reshape(-1) for x in instances]
    return np.stack(flat) @ WEIGHT


def chances(instances: list[Any]) -> np.ndarray[Any, Any]:
    """Its probabilities."""
    raw = np.exp(logits(instances))
    return raw / raw.sum(1, keepdims=True)


def as_scores(instances: list[Any]) -> Any:  # noqa: ANN401
    return {"scores": chances(instances).tolist()}


def reply(value: Any, status: int = 200, **headers: str) -> Reply:  # noqa: ANN401
    return status, {"Content-Type": "application/json", **headers}, json.dumps(value).encode()


@dataclass
class Server:
    """What it answers, what it has been asked, and replies to give once before it is well again."""

    answer: Callable[[list[Any]], Any] = as_scores
    seen: Counter[str] = field(default_factory=Counter)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    ill: list[Callable[["Server"], Reply | None]] = field(default_factory=list)
    hold: Callable[[], object] = lambda: None  # before an answer
    drip: Callable[[], object] | None = None  # between the bytes of an answer
    reason: str | None = None  # in place of the usual word beside a status
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/predict"

    def handle(self, body: bytes, headers: dict[str, str]) -> Reply | None:
        """Reply, or None to hang up; what an ill service was asked does not count as seen."""
        self.bodies.append(body)
        self.headers.append(headers)
        if self.ill:
            return self.ill.pop(0)(self)
        said = json.loads(body)
        instances = said["instances"] if "instances" in said else [said["instance"]]
        self.seen.update(json.dumps(x) for x in instances)
        self.hold()
        return reply(self.answer(instances))


@contextmanager
def running(**settings: Any) -> Iterator[Server]:  # noqa: ANN401
    """Serve on a free port of loopback while the context lasts."""
    server = Server(**settings)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found = server.handle(body, dict(self.headers))
            if found is None:
                self.close_connection = True
                return
            status, headers, content = found
            self.send_response(status, server.reason)
            for name, value in ({"Content-Length": str(len(content))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            for part in [content] if server.drip is None else (bytes([b]) for b in content):
                self.wfile.write(part)
                if server.drip is not None:
                    server.drip()

        def log_message(self, *words: Any) -> None:  # noqa: ANN401
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):  # a client that gave up
                super().handle()

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
