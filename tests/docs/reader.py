"""A reader who pastes the snippets of a page, one after the other, into a fresh checkout."""

import importlib
import linecache
import shutil
import sys
import types
from pathlib import Path

import pytest
import torch

from .changes import PEERS, as_run, ends
from .fences import ROOT, Fence, fences
from .shell import Terminal

SHIPPED = ("examples", "recipes", "benchmarks")


class Reader:
    """Runs pages in ``folder``: one namespace for Python, one terminal for the shell."""

    def __init__(self, folder: Path, tools: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, patch
        self.module = types.ModuleType("page")
        self.terminal = Terminal(tools, patch)
        for name in SHIPPED:  # copies: ".." of a linked folder is elsewhere
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("results"))
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        patch.setitem(sys.modules, "page", self.module)

    def read(self, page: str) -> str:
        """Do what every fence of the page says; return what its commands said."""
        torch.manual_seed(0)
        return "".join(self.do(fence, as_run(fence)) for fence in fences(page))

    def do(self, fence: Fence, text: str) -> str:
        """Do what one fence says, with ``text`` in place of its own."""
        if fence.title in PEERS:
            return ""
        if fence.title:
            self.save(fence, text)
        elif fence.language == "python":
            self.python(fence, text)
        elif fence.language == "sh":
            return self.sh(fence, text)
        return ""

    def save(self, fence: Fence, text: str) -> None:
        """Write a file where the reader saves it; import one of Python, so that it is executed."""
        path = self.folder / fence.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if fence.language == "python":
            name = fence.title.removesuffix(".py").replace("/", ".")
            self.patch.delitem(sys.modules, name, raising=False)
            importlib.invalidate_caches()
            importlib.import_module(name)

    def python(self, fence: Fence, text: str) -> None:
        """Execute in the namespace of the page; a traceback shows the page's lines."""
        name = f"{fence.where}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec", dont_inherit=True), vars(self.module))  # noqa: S102

    def sh(self, fence: Fence, text: str) -> str:
        """Run as a terminal does, up to the code that the page expects."""
        code, words = self.terminal.run(text)
        assert code == ends(fence), (
            f"{fence.where}:\n{text}\nsaid, and ended with code {code}:\n{words}"
        )
        return words

    def close(self) -> None:
        """Forget the modules that the page brought, and end its processes."""
        self.terminal.close()
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and Path(file).is_relative_to(self.folder):
                del sys.modules[name]
