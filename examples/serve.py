"""Serve a model over HTTP with the standard library alone: something to try an audit on.

    python examples/serve.py --port 8000                          # scikit-learn, on digits
    python examples/serve.py --model demo/robust-model --port 8000   # a folder of saddlepoint train

POST {"instances": [...]} to /predict, each instance a nested list in [0, 1]; the answer is
{"predictions": [{"label": "3", "scores": [...]}, ...]}. With the environment variable TOKEN set,
requests have to carry it as "Authorization: Bearer ...". GET /count says how many instances were
asked about, and how many more than once.
"""

import argparse
import hashlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Model = Callable[[NDArray[np.float32]], NDArray[Any]]  # (B, *F) to probabilities (B, K)


def digits_model() -> Model:
    """A logistic regression on scikit-learn's digits, as saddlepoint splits them."""
    from sklearn.linear_model import LogisticRegression

    from saddlepoint.data import load_data

    data = load_data("digits")
    x = np.asarray(data.x_train[:], dtype=np.float32).reshape(len(data.y_train), -1) / 255
    fitted = LogisticRegression(max_iter=2000).fit(x, data.y_train)
    return lambda instances: np.asarray(fitted.predict_proba(instances.reshape(len(instances), -1)))


def saved_model(path: str) -> Model:
    """Whatever ``saddlepoint.load_model`` loads."""
    import torch

    from saddlepoint import load_model

    model = load_model(path).model

    def scores(instances: NDArray[np.float32]) -> NDArray[Any]:
        with torch.no_grad():
            return model(torch.from_numpy(instances)).softmax(1).numpy()

    return scores


class Handler(BaseHTTPRequestHandler):
    """Answers POST /predict and GET /count."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    model: Model
    seen: ClassVar[Counter[str]] = Counter()

    def do_POST(self) -> None:
        """Answer a batch of instances."""
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        token = os.environ.get("TOKEN")
        if token and self.headers.get("Authorization") != f"Bearer {token}":
            self._reply(401, {"error": "wrong or missing token"})
            return
        try:
            instances = json.loads(raw)["instances"]
            chances = type(self).model(np.asarray(instances, dtype=np.float32))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            self._reply(400, {"error": f"{type(error).__name__}: {error}"})
            return
        for instance in instances:
            self.seen[hashlib.sha256(json.dumps(instance).encode()).hexdigest()] += 1
        rows = [{"label": str(row.argmax()), "scores": row.tolist()} for row in chances]
        self._reply(200, {"predictions": rows})

    def do_GET(self) -> None:
        """Say how many instances were asked about."""
        twice = sum(count > 1 for count in self.seen.values())
        self._reply(200, {"instances": sum(self.seen.values()), "asked_twice": twice})

    def _reply(self, status: int, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words: object) -> None:
        """Keep quiet."""


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="as saddlepoint.load_model takes it; default: digits")
    parser.add_argument("--port", type=int, default=8000, help="0: any free one")
    given = parser.parse_args()
    Handler.model = staticmethod(saved_model(given.model) if given.model else digits_model())
    server = ThreadingHTTPServer(("127.0.0.1", given.port), Handler)
    sys.stdout.write(f"serving on http://127.0.0.1:{server.server_address[1]}/predict\n")
    sys.stdout.flush()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
