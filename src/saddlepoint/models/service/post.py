"""The parent's end of the courier: start it, hand it orders, read its replies, let it go."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from saddlepoint.core.errors import Unanswered

__all__ = ["Declined", "Post"]

_LAUNCH = Path(__file__).parent / "courier/launch.py"


class Declined(Exception):
    """The courier brings an error: ``reply["error"]`` is its kind."""

    def __init__(self, reply: dict[str, Any]) -> None:
        super().__init__(reply["error"])
        self.reply = reply


class Post:
    """One courier process, in a session of its own so that Ctrl-C and a closed terminal spare it.

    said: how to ask, without any credential: those reach it through its environment alone. When
    this process ends, however it does, the courier finishes what is on its way and ends as well.
    """

    def __init__(self, said: dict[str, Any]) -> None:
        self.pid = os.getpid()
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, str(_LAUNCH)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # its last words come as a reply, with secrets taken out
            start_new_session=True,
            text=True,
            encoding="utf-8",
        )
        self._write(said)

    def do(self, order: dict[str, Any]) -> dict[str, Any]:
        """Return the reply to an order; raises ``Declined``, or ``Unanswered`` for a dead courier.

        An exception in the middle, such as Ctrl-C, ends the courier: replies would be taken for
        those of other orders.
        """
        try:
            self._write(order)
            line = self._process.stdout.readline() if self._process.stdout else ""
            reply = json.loads(line) if line.endswith("\n") else None
        except BaseException:
            self.close()
            raise
        if reply is None:
            raise self._dead()
        if "error" in reply:
            raise Declined(reply)
        return reply  # type: ignore[no-any-return]

    def close(self) -> None:
        """Let the courier finish and end; what is on its way when it is told so is written down."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if self.pid == os.getpid():
            self._process.wait()

    def _write(self, order: dict[str, Any]) -> None:
        if self._process.stdin is None:
            raise AssertionError("a courier without orders")
        with contextlib.suppress(BrokenPipeError):  # its last words are still to be read
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()

    def _dead(self) -> Unanswered:
        self.close()
        code = self._process.returncode
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        return Unanswered(
            f"the process that sends queries {how}: what it had written down is kept, and the same "
            "command continues"
        )
