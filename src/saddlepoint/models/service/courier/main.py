"""The courier's life: its orders come on standard input, and their end is the end of its work."""

import asyncio
import json
import os
import sqlite3
import sys
import threading
import traceback
from typing import Any

from .errand import Errands, Failed
from .ledger import Ledger
from .redact import Redactor, secrets_of
from .turn import Turn
from .wire import Wire

__all__ = ["main"]


def main() -> None:
    """Serve until standard input ends or the parent is gone, then finish what is on its way."""
    asyncio.run(_live())


async def _live() -> None:
    said = json.loads(sys.stdin.readline() or "null")
    if said is None:
        return
    loop, orders, leaving = asyncio.get_running_loop(), asyncio.Queue[str | None](), asyncio.Event()
    parent = os.getppid()

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(orders.put_nowait, line)
        loop.call_soon_threadsafe(leaving.set)
        loop.call_soon_threadsafe(orders.put_nowait, None)

    async def watch() -> None:
        # A process that the parent has forked may keep the pipe open after its death.
        while os.getppid() == parent:
            await asyncio.sleep(1)
        leaving.set()
        orders.put_nowait(None)

    threading.Thread(target=listen, daemon=True).start()
    guard = asyncio.create_task(watch())
    try:
        await _serve(said, orders, leaving)
    except Exception:  # noqa: BLE001 - the last words of a process whose standard error is closed
        hide = Redactor(secrets_of(said["url"], said["headers"], os.environ))
        _say({"error": "crashed", "words": hide(traceback.format_exc())})
    guard.cancel()
    os._exit(0)  # a thread may still wait for a line, or for a lock, that never comes


async def _serve(
    said: dict[str, Any], orders: "asyncio.Queue[str | None]", leaving: asyncio.Event
) -> None:
    try:
        ledger, turn = Ledger(said["ledger"], said["endpoint"]), Turn(said["ledger"])
    except (sqlite3.Error, OSError) as error:
        _say({"error": "ledger", "words": str(error)})
        return
    wire = Wire(said)
    errands = Errands(said, ledger, wire, leaving)
    while (order := await orders.get()) is not None and not leaving.is_set():
        _say(await _answer(json.loads(order), errands, turn))
    await wire.close()
    ledger.close()


async def _answer(order: dict[str, Any], errands: Errands, turn: Turn) -> dict[str, Any]:
    try:
        if not await _entered(turn, errands.leaving):
            return {}
        try:
            reply = await _do(order, errands)
        finally:
            errands.ledger.commit()
            turn.__exit__(None, None, None)
        return {**reply, "usage": errands.usage()}
    except Failed as failure:
        return {
            "error": failure.kind,
            "words": failure.words,
            **failure.numbers,
            "usage": errands.usage(),
        }
    except (sqlite3.Error, OSError) as error:
        return {"error": "ledger", "words": errands.wire.redact(str(error))}


async def _entered(turn: Turn, leaving: asyncio.Event) -> bool:
    """Wait for the turn, in a thread; False where the parent went away meanwhile."""
    waiting = asyncio.ensure_future(asyncio.to_thread(turn.__enter__))
    gone = asyncio.ensure_future(leaving.wait())
    await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    return waiting.done() and not leaving.is_set()


async def _do(order: dict[str, Any], errands: Errands) -> dict[str, Any]:
    ledger = errands.ledger
    if order["do"] == "ask":
        return await errands.ask(order["instances"], order["send"])
    if order["do"] == "forget":
        ledger.forget(order["requests"])
    elif order["do"] == "note":
        ledger.write_note(order["name"], order["value"])
    elif order["do"] == "read":
        return {"value": ledger.note(order["name"])}
    return {}


def _say(reply: dict[str, Any]) -> None:
    try:
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # nobody listens; what was answered is in the ledger
        return
