"""The fences of a page of the documentation, in order."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LANGUAGES = ("python", "sh", "toml", "yaml", "json", "bibtex", "text")
_OPEN = re.compile(r"^( *)```(.*)$")


@dataclass(frozen=True)
class Fence:
    """What stands between two fences: ``line`` is where its first line is printed, from 1."""

    page: str
    line: int
    language: str
    title: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Every page that is written by hand, by its path from the root."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [p.relative_to(ROOT).as_posix() for p in found]


def fences(page: str) -> list[Fence]:
    return parsed(page, (ROOT / page).read_text())


def parsed(page: str, source: str) -> list[Fence]:
    """The fences of ``source``; one that is not closed is an error of the page."""
    found: list[Fence] = []
    lines = iter(enumerate(source.splitlines(), 1))
    for number, line in lines:
        if not (opened := _OPEN.match(line)):
            continue
        inside: list[str] = []
        for _, text in lines:
            if text.strip() == "```":
                break
            inside.append(text)
        else:
            raise AssertionError(f"{page}:{number}: this fence is never closed")
        language, _, rest = opened[2].strip().partition(" ")
        title = re.search(r'title="([^"]+)"', rest)
        text = textwrap.dedent("\n".join(inside)) + "\n"
        found.append(Fence(page, number + 1, language, title[1] if title else "", text))
    return found


def snippets(page: str, language: str) -> list[str]:
    """The texts of one language, for tests that look into a page themselves."""
    return [f.text for f in fences(page) if f.language == language]


def commands(script: str) -> list[str]:
    """Lines of a script as a shell joins them; comments and empty lines left out.

    >>> commands("saddlepoint audit \\\\\\n  --n 3\\n\\n# done\\n")
    ['saddlepoint audit --n 3']
    """
    joined = re.sub(r"\s*\\\n\s*", " ", script)
    lines = (line.strip() for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
