"""A terminal for the snippets of a page: what one fence exports or enters, the next one finds."""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saddlepoint.cli.main import app

from .fences import ROOT, commands

# As pip writes it, so that torchrun can start it too.
_SADDLEPOINT = "from saddlepoint.cli.main import main\nmain()\n"
_REFUSED = ("pip", "pip3", "make", "git", "sudo", "apt-get", "conda", "docker")
_REFUSAL = """#!/bin/sh
echo "a test installs and fetches nothing: list the line in NOT_RUN of tests/docs/changes.py"
exit 97
"""
_TORCHRUN = "from torch.distributed.run import main\nmain()\n"
_QUOTED = re.compile(r"""'[^']*'|"[^"$`]*\"""")
_NEEDS_A_SHELL = re.compile(r"""[$`*?~|<>&;(){}\[\]\\]|^\w+=|^(if|for|while|case|set|trap)\b""")
_OF_THE_SHELL = ("_", "SHLVL", "OLDPWD", "PWD")


class Terminal:
    """Runs scripts in the current folder, with this checkout's ``saddlepoint`` and ``python``."""

    def __init__(self, tools: Path, patch: pytest.MonkeyPatch) -> None:
        self.tools, self.patch, self.started = tools, patch, list[int]()
        tools.mkdir(exist_ok=True)
        shebang = f"#!{sys.executable}\n"
        for name, script in (("saddlepoint", _SADDLEPOINT), ("torchrun", _TORCHRUN)):
            self._tool(name, shebang + script)
        for name in ("python", "python3"):
            self._tool(name, f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        for name in _REFUSED:
            self._tool(name, _REFUSAL)
        patch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
        patch.setenv("PYTHONPATH", str(ROOT / "src"))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("COLUMNS", "100")

    def _tool(self, name: str, script: str) -> None:
        (self.tools / name).write_text(script)
        (self.tools / name).chmod(0o755)

    def run(self, script: str) -> tuple[int, str]:
        """Run a script up to the first command that fails; return its code and its words.

        Commands of ours run in this process where nothing else needs a shell: starting Python
        takes longer than most of them.
        """
        lines = commands(script)
        if any(_NEEDS_A_SHELL.search(_QUOTED.sub("", line)) for line in lines):
            return self.shell(script)
        words = ""
        for line in lines:
            ours = line.startswith("saddlepoint ")
            code, said = self._command(line) if ours else self.shell(line)
            words += said
            if code:
                return code, f"{words}\n{line}\nended with code {code}"
        return 0, words

    def _command(self, line: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, shlex.split(line, comments=True)[1:])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    def shell(self, script: str) -> tuple[int, str]:
        """Run a script as bash does; processes left in the background live until ``close``."""
        state, said = self.tools / "state", self.tools / "said"
        keep = f"trap 'code=$?; (pwd; env -0) > {shlex.quote(str(state))}; exit $code' EXIT\n"
        with said.open("w") as output:
            process = subprocess.Popen(
                ["/bin/bash", "-e", "-o", "pipefail", "-c", keep + script],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(process.pid)
        code = process.wait(timeout=280)
        self._adopt(state.read_text())
        return code, said.read_text()

    def _adopt(self, state: str) -> None:
        folder, _, left = state.partition("\n")
        self.patch.chdir(folder)
        for name, _, value in (entry.partition("=") for entry in left.split("\0") if entry):
            if name not in _OF_THE_SHELL and os.environ.get(name) != value:
                self.patch.setenv(name, value)

    def close(self) -> None:
        """End what was left in the background."""
        for group in self.started:
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                continue
