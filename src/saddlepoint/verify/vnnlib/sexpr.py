"""S-expressions as SMT-LIB writes them: words, nesting, and where each stands in the file."""

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from saddlepoint.core.errors import BadData, Unsupported

__all__ = ["DEEPEST", "Expression", "Form", "Source", "Word", "forms", "shown"]

DEEPEST = 200  # parentheses within parentheses
_MOST_WORDS = 1 << 23  # in one form, which is held in memory as a whole
_TOKEN = re.compile(r'\s+|;[^\n]*|([()]|[^\s();"|]+|"[^"]*"|\|[^|]*\|)|(.)', re.DOTALL)
_LONGEST_SHOWN = 40


class Word(NamedTuple):
    """A symbol or a number, and its offset in the text."""

    text: str
    at: int


class Form(NamedTuple):
    """A parenthesis with what it holds, and its offset in the text."""

    items: "tuple[Expression, ...]"
    at: int


Expression: TypeAlias = Word | Form


class Source(NamedTuple):
    """A text and the name of its file: together they say where something is wrong."""

    text: str
    name: str

    def place(self, at: int) -> str:
        """Name the line and column of an offset, counted from 1.

        >>> Source("(a\\n  b)", "p.vnnlib").place(5)
        'p.vnnlib:2:3'
        """
        line = self.text.count("\n", 0, at) + 1
        return f"{self.name}:{line}:{at - self.text.rfind(chr(10), 0, at)}"

    def bad(self, at: int, words: str) -> BadData:
        """Return the error that says what is wrong at an offset."""
        return BadData(f"{self.place(at)}: {words}")

    def unsupported(self, at: int, words: str) -> Unsupported:
        """Return the error that says what we cannot do with what stands at an offset."""
        return Unsupported(f"{self.place(at)}: {words}")


def shown(expression: Expression) -> str:
    """Write an expression in one short line.

    >>> shown(Form((Word("<=", 1), Word("X_0", 4), Word("1", 8)), 0))
    '(<= X_0 1)'
    """
    if isinstance(expression, Word):
        text = expression.text
    else:
        few = " ".join(shown(item) for item in expression.items[:6])
        text = f"({few}{' ...' if len(expression.items) > 6 else ''})"
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 4] + " ..."


def forms(source: Source) -> Iterator[Form]:
    """Yield the top-level forms one by one, so that a large file is never held as a tree.

    Raises ``BadData`` with line and column for parentheses that do not match and words outside of
    them, ``Unsupported`` for a form of more than 2^23 words or nested deeper than 200.

    >>> [form.items[0].text for form in forms(Source("(a 1) ; no (\\n(b (c))", "t"))]
    ['a', 'b']
    """
    stack: list[tuple[int, list[Expression]]] = []
    words = 0
    for match in _TOKEN.finditer(source.text):
        kind = match.lastindex
        if kind is None:
            continue
        text, at = match.group(), match.start()
        if text == "(":
            if len(stack) >= DEEPEST:
                raise source.unsupported(at, f"nested deeper than {DEEPEST} parentheses")
            stack.append((at, []))
        elif text == ")":
            form = _closed(source, stack, at)
            if stack:
                stack[-1][1].append(form)
            else:
                yield form
                words = 0
        else:
            words += 1
            _add(source, stack, Word(text, at), kind == 2, words)
    if stack:
        raise source.bad(stack[-1][0], "this parenthesis is never closed: expected )")


def _closed(source: Source, stack: list[tuple[int, list[Expression]]], at: int) -> Form:
    if not stack:
        raise source.bad(at, "found ) without a ( before it")
    start, items = stack.pop()
    return Form(tuple(items), start)


def _add(
    source: Source, stack: list[tuple[int, list[Expression]]], word: Word, broken: bool, words: int
) -> None:
    if broken:
        raise source.bad(word.at, f"found {word.text!r}, which is never closed")
    if not stack:
        raise source.bad(word.at, f"found {shown(word)!r}: expected ( or a comment")
    if words > _MOST_WORDS:
        raise source.unsupported(stack[0][0], f"a form of more than {_MOST_WORDS:,} words")
    stack[-1][1].append(word)
