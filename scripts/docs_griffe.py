"""Docstrings as pages show them: examples of doctest as code."""

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"(?:^ *>>> .*\n?(?:^ *\S.*\n?)*)+", re.MULTILINE)


def fenced(text: str) -> str:
    """Put every block that begins with a prompt into a fence.

    >>> fenced("Text.\\n\\n>>> 1 + 1\\n2")
    'Text.\\n\\n```pycon\\n>>> 1 + 1\\n2\\n```\\n'
    """
    return _EXAMPLE.sub(lambda m: f"```pycon\n{m[0].rstrip()}\n```\n", text)


class Doctests(griffe.Extension):
    """Rewrites the docstring of every object that is loaded."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:  # noqa: ANN401
        """Fence the examples."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)
