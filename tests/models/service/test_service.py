"""A service as a model: right scores, each distinct query once, and an end where it has to be."""

import itertools
import os
import signal
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.core.errors import BadData, Invalid, Unanswered, Unsound
from saddlepoint.core.metered import is_metered
from saddlepoint.models.service.service import Service

from .kit import opened
from .server import Server, as_scores, logits, reply, running

X = torch.rand(10, 1, 2, 3, generator=torch.Generator().manual_seed(0))


def truth(x: Tensor) -> Tensor:
    return torch.tensor(logits(x.tolist())).log_softmax(1).float()


def most(server: Server) -> int:
    return max(server.seen.values(), default=0)


def courier_of(service: Service) -> int:
    post = service._client._post
    assert post is not None
    return post._process.pid


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_scores_and_the_ledger(tmp_path: Path) -> None:
    """Alone, in a batch, repeated inside one, in another session: asked once."""
    with running() as server:
        model = opened(tmp_path, url=server.url)
        assert is_metered(model)
        with model.attached(tmp_path / "run"):
            out = model(X)
            torch.testing.assert_close(out, truth(X))
            assert torch.equal(model(X[[3, 3, 7]]), out[[3, 3, 7]])
            assert len(server.bodies) == 3  # four, four and two
            extra = torch.full((1, 1, 2, 3), 0.5)
            again = model(torch.cat([X[:2], extra, extra, X[5:6].double()]))
            assert torch.equal(again[[0, 1, 4]], out[[0, 1, 5]])
            assert torch.equal(again[2], again[3])
            assert server.seen.total() == 11
            used = model.usage()
        assert (used["asked"], used["repeated"], used["queries"]) == (18, 7, 11)
        server.seen.clear()
        other = opened(tmp_path, url=server.url)
        with other.attached(tmp_path / "run"):
            assert torch.equal(other(X), out)
        assert other.usage()["repeated"] == 10
        assert not server.seen
        fresh = other.fresh()
        assert torch.equal(fresh(X), out)
        assert server.seen.total() == 10
        assert {p.name for p in (tmp_path / "run").iterdir()} == {
            "queries.sqlite",
            "queries.sqlite-lock",
        }


def test_an_empty_batch_and_one_that_cannot_be_sent(tmp_path: Path) -> None:
    model = opened(tmp_path)
    for x, words in ((torch.zeros(2, 2, 3), "of shape"), (X * torch.nan, "finite")):
        with pytest.raises(Invalid, match=words):
            model(x)


@pytest.mark.slow
def test_a_search_needs_no_audit(tmp_path: Path) -> None:
    with running() as server:
        model = opened(tmp_path, url=server.url)
        attack, y = sp.Square(n_queries=20), truth(X).argmax(1)
        found = sp.search(attack, model, X, y, sp.Linf(eps=0.1), access="scores")
        same = sp.search(attack, truth, X, y, sp.Linf(eps=0.1), access="scores")
        assert torch.equal(found.broken, same.broken)
        assert most(server) == 1


def test_what_is_ill_for_a_while_is_asked_again(tmp_path: Path) -> None:
    with running() as server:
        ill: list[Any] = [
            lambda _: reply({}, 429, **{"Retry-After": "0"}),
            lambda _: reply({}, 500),
            lambda _: None,
        ]
        server.ill = ill
        model = opened(tmp_path, url=server.url, limits={"concurrency": 1})
        torch.testing.assert_close(model(X[:4]), truth(X[:4]))
        used = model.usage()
        assert (used["requests"], used["retries"], used["lost"], used["queries"]) == (4, 3, 4, 8)


def test_what_stays_ill_is_an_error_that_loses_no_answer(tmp_path: Path) -> None:
    """The third request fails; the first two are in the ledger, and the fourth is never sent."""
    with running() as server:
        calls = iter(range(9))

        def answer(instances: list[Any]) -> Any:  # noqa: ANN401
            if next(calls) == 2:
                raise ConnectionAbortedError
            return {"scores": [[0.2, 0.3, 0.5]] * len(instances)}

        server.answer = answer
        limits = {"concurrency": 1, "retries": 0, "batch_size": 2}
        model = opened(tmp_path, url=server.url, limits=limits, ledger="l.sqlite")
        with pytest.raises(Unanswered, match=r"endpoint\.toml: 127.*the same command continues"):
            model(X[:8])
        assert len(server.bodies) == 3
        model(X[:4])
        assert len(server.bodies) == 3
        model(X[:8])
        assert len(server.bodies) == 5


@pytest.mark.slow
def test_an_error_is_no_verdict_on_samples(tmp_path: Path) -> None:
    """An attack that fails is a status, a service that fails ends the search."""
    with running() as server:
        model = opened(tmp_path, url=server.url, limits={"query_cap": 15})
        y = truth(X).argmax(1)
        with pytest.raises(Unanswered, match="stopped before sending 10 queries"):
            sp.search(sp.Square(n_queries=9), model, X, y, sp.Linf(eps=0.0001), access="scores")


@pytest.mark.slow
def test_an_answer_that_cannot_be_read_is_asked_for_once_more_at_most(tmp_path: Path) -> None:
    with running() as server:
        change = {"url": server.url, "ledger": "l.sqlite"}
        wrong = opened(tmp_path, **change, answer={"scores": "skores"})
        with pytest.raises(Unanswered, match="'skores' finds nothing in the answer; it answered"):
            wrong(X[:4])
        assert len(server.bodies) == 1
        right = opened(tmp_path, **change)
        torch.testing.assert_close(right(X[:4]), truth(X[:4]))  # a better path costs nothing
        assert len(server.bodies) == 1
        with pytest.raises(Unanswered, match="skores"):
            opened(tmp_path, **change, answer={"scores": "skores"})(X[:4])
        assert len(server.bodies) == 2  # still wrong: asked anew, as the service may have been ill


@pytest.mark.slow
def test_a_cap_stops_before_it_is_exceeded(tmp_path: Path) -> None:
    with running() as server:
        price = {"per_query": 0.5, "currency": "EUR", "cost_cap": 3.0}
        change = {"url": server.url, "ledger": "l.sqlite"}
        model = opened(tmp_path, **change, price=price)
        model(X[:4])
        words = r"sending 3 queries \(1.5 EUR\): 4 queries \(2 EUR\) spent.*cost_cap = 3 EUR allows"
        with pytest.raises(Unanswered, match=words):
            model(X[:7])
        assert server.seen.total() == 4
        model(X[:6])  # what is known counts for nothing
        assert server.seen.total() == 6
        assert model.usage()["cost"] == 3.0
        more = opened(tmp_path, **change, price=price | {"cost_cap": 10.0})
        more(X)  # and four to see whether the service has changed
        assert server.seen.total() == 14
        assert most(server) == 1
        with pytest.raises(Unanswered, match="query_cap = 0 allows no more"):
            opened(tmp_path, url=server.url, limits={"query_cap": 0})(X)


@pytest.mark.slow
def test_a_rate_is_kept(tmp_path: Path) -> None:
    with running() as server:
        model = opened(tmp_path, url=server.url, limits={"rate": 40.0, "batch_size": 2})
        before = time.monotonic()
        model(X)
        assert time.monotonic() - before >= 8 / 40
        assert len(server.bodies) == 5


NEWS = itertools.count(1)


def change(model: Service, folder: Path) -> float:
    """What a session that has something new to ask finds."""
    with model.attached(folder):
        model(X)
        found = model.drift(X)
        model(torch.full((1, 1, 2, 3), next(NEWS) / 50))
        return found


@pytest.mark.slow
def test_drift_asks_nothing_twice(tmp_path: Path) -> None:
    with running() as server:
        for _ in range(3):
            assert change(opened(tmp_path, url=server.url), tmp_path / "run") == 0
        assert most(server) == 1
        assert server.seen.total() == 13 + 4 * 6  # at the beginning and at the end of each


def test_a_session_that_asks_nothing_new_costs_nothing(tmp_path: Path) -> None:
    """Such as an audit that is run again when it is finished."""
    with running() as server:
        for first in (True, False):
            model = opened(tmp_path, url=server.url)
            with model.attached(tmp_path / "run"):
                model(X)
                assert model.drift(X) == 0
            if first:
                asked = server.seen.total()
        assert server.seen.total() == asked


def test_an_audit_in_python_knows_what_it_may_ask(tmp_path: Path) -> None:
    """As the command line does; and two endpoints have two hashes."""
    labels = {"kind": "labels", "labels": "labels", "scores": None, "are": None}
    said: tuple[dict[str, Any], ...] = ({}, {"answer": labels})
    with running() as server:
        server.answer = lambda q: as_scores(q) | {"labels": logits(q).argmax(1).tolist()}
        data = (X, truth(X).argmax(1))
        runs = [
            sp.audit(opened(tmp_path, url=server.url, **s), data, sp.Linf(0.01), max_queries=3)
            for s in said
        ]
    plans, hashes = ([r.document[k] for r in runs] for k in ("plan", "model_sha256"))
    assert [p["access"] for p in plans] == ["scores", "labels"]
    assert "" not in hashes
    assert hashes[0] != hashes[1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["scores", "labels", "bytes"])
def test_another_model_is_noticed(kind: str, tmp_path: Path) -> None:
    with running() as server:
        sign = 1.0

        def exchanged(model: Service, folder: Path) -> None:
            nonlocal sign
            with model.attached(folder):
                model(X)
                sign = -sign

        def answer(instances: list[Any]) -> Any:  # noqa: ANN401
            raw = sign * logits(instances) / (255 if kind == "bytes" else 1)
            return {"labels": raw.argmax(1).tolist(), "scores": raw.tolist()}

        labels = {"kind": "labels", "labels": "labels", "scores": None, "are": None}
        said: dict[str, Any] = {"answer": labels if kind == "labels" else {"are": "logits"}}
        if kind == "bytes":
            said["input"] = {"range": [0, 255], "integers": True}
        server.answer = answer
        model = opened(tmp_path, url=server.url, **said)
        assert change(model, tmp_path / "run") == 0
        sign = -1.0
        with pytest.raises(Unsound, match="since the last session, the service answers otherwise"):
            change(model, tmp_path / "run")
        assert most(server) == 1
        with pytest.raises(Unsound, match="at the end of the session"):
            exchanged(model, tmp_path / "other")


@pytest.mark.slow
def test_a_service_that_never_repeats_itself(tmp_path: Path) -> None:
    """It is reported, and does not stop a later session."""
    with running() as server:
        draw = torch.Generator().manual_seed(0)
        server.answer = lambda q: {"scores": torch.rand(len(q), 3, generator=draw).tolist()}
        model = opened(tmp_path, url=server.url, answer={"are": "logits"})
        first = change(model, tmp_path / "run")
        assert first > 0.1
        assert change(model, tmp_path / "run") == first


@pytest.mark.slow
def test_a_courier_that_dies_is_an_error(tmp_path: Path) -> None:
    with running() as server:
        model = opened(tmp_path, url=server.url, ledger="l.sqlite")
        out = model(X)
        os.kill(courier_of(model), signal.SIGKILL)
        with pytest.raises(Unanswered, match=r"was ended by signal 9.*the same command continues"):
            model(X)
        assert torch.equal(model(X), out)
        assert most(server) == 1


@pytest.mark.slow
def test_it_ends_with_its_model(tmp_path: Path) -> None:
    with running() as server:
        model = opened(tmp_path, url=server.url)
        model(X[:1])
        pid = courier_of(model)
        del model
        assert gone(pid)


@pytest.mark.slow
def test_what_was_on_its_way_when_the_power_failed(tmp_path: Path) -> None:
    """The courier itself is killed: its question is doubtful, counted, and asked again."""
    with running() as server:
        model = opened(tmp_path, url=server.url, ledger="l.sqlite", limits={"query_cap": 24})
        model(X[:4])
        server.hold = lambda: os.kill(courier_of(model), signal.SIGKILL)
        with pytest.raises(Unanswered, match="signal 9"):
            model(X[4:6])
        server.hold = lambda: None
        model(X[4:6])
        used = model.usage()
        assert (used["doubtful"], used["queries"]) == (2, 8)


@pytest.mark.slow
def test_two_processes_ask_once_between_them(tmp_path: Path) -> None:
    """Two couriers on one ledger, both with much to ask."""
    with running(hold=lambda: time.sleep(0.01)) as server:
        models = [opened(tmp_path, url=server.url, ledger="l.sqlite") for _ in range(2)]
        many = torch.rand(60, 1, 2, 3, generator=torch.Generator().manual_seed(1))
        outs: dict[int, Tensor] = {}

        def ask(k: int) -> None:
            outs[k] = torch.cat([models[k](part) for part in many.flip([0] if k else []).split(10)])

        threads = [threading.Thread(target=ask, args=(k,)) for k in range(2)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert torch.equal(outs[0], outs[1].flip(0))
        assert most(server) == 1


@pytest.mark.slow
def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    (tmp_path / "l.sqlite").write_bytes(b"not a data base at all" * 99)
    with pytest.raises(BadData, match=r"l\.sqlite cannot be used as a ledger of queries: file is"):
        opened(tmp_path, ledger="l.sqlite")(X)
    (tmp_path / "m.sqlite").unlink(missing_ok=True)
    with sqlite3.connect(tmp_path / "m.sqlite") as db:
        db.execute("PRAGMA user_version = 9")
    with pytest.raises(BadData, match="it is of version 9"):
        opened(tmp_path, ledger="m.sqlite")(X)
