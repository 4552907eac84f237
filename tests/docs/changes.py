"""What is run otherwise than it is printed, and why: the shorter these tables, the better."""

import re
from dataclasses import dataclass

from .fences import Fence


@dataclass(frozen=True)
class Smaller:
    """Run ``run`` wherever ``page`` prints ``printed``; ``*`` stands for every page."""

    page: str
    printed: str
    run: str
    why: str


@dataclass(frozen=True)
class NotRun:
    """A line of a snippet, as printed (a shell's with its continuation lines), that is left out."""

    page: str
    line: str
    why: str


SMALLER: tuple[Smaller, ...] = ()

NOT_RUN: tuple[NotRun, ...] = ()

NEEDS: dict[str, tuple[str, ...]] = {}  # packages without which a page is skipped

TODO: tuple[str, ...] = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/access.md",
    "docs/adversaries.md",
    "docs/arms-race.md",
    "docs/audit.md",
    "docs/blackbox.md",
    "docs/certificates.md",
    "docs/ci.md",
    "docs/combine.md",
    "docs/decisions.md",
    "docs/environment.md",
    "docs/eot.md",
    "docs/exact.md",
    "docs/feature.md",
    "docs/index.md",
    "docs/minnorm.md",
    "docs/patch.md",
    "docs/results.md",
    "docs/service.md",
    "docs/smoothing.md",
    "docs/spatial.md",
    "docs/targets.md",
    "docs/training.md",
    "docs/transfer.md",
    "docs/universal.md",
    "docs/verify-vnnlib.md",
    "docs/verify.md",
)


def of_page(page: str) -> list[Smaller]:
    return [c for c in SMALLER if c.page in (page, "*")]


def as_run(fence: Fence) -> str:
    """The text of a fence after the substitutions of its page."""
    text = fence.text
    for change in (c for c in NOT_RUN if c.page == fence.page):
        text = without(text, change.line)
    for smaller in of_page(fence.page):
        text = text.replace(smaller.printed, smaller.run)
    return text


def without(text: str, line: str) -> str:
    """Leave out a line, however it is indented and continued.

    >>> without("pip install \\\\\\n  this\\npython -V\\n", "pip install this")
    'python -V\\n'
    """
    words = r"(?:[ \t]|\\\n)+".join(re.escape(word) for word in line.split())
    return re.sub(rf"^[ \t]*{words}[ \t]*(?:#.*)?\n", "", text, flags=re.MULTILINE)
