"""What a model card says, laid out as Markdown and as a page; text of strangers stays text."""

import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

__all__ = ["as_html", "as_markdown"]

_MARKUP = re.compile(r"([\\`*_{}\[\]#|~$])")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class Verbatim(str):
    """Markdown that is escaped already."""

    __slots__ = ()


def _asset(name: str) -> str:
    path = resources.files("saddlepoint.train").joinpath("templates", name)
    return path.read_text(encoding="utf-8")


def _settings() -> dict[str, Any]:
    from jinja2 import FunctionLoader, StrictUndefined

    return {
        "loader": FunctionLoader(_asset),
        "undefined": StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
    }


def _escape(value: object) -> str:
    """Make text of strangers mean itself in Markdown, in tables too.

    >>> print(_escape("<b> a|b *c*"))
    &lt;b&gt; a\\|b \\*c\\*
    """
    if isinstance(value, Verbatim):
        return value
    text = " ".join(str(value).split())
    return _MARKUP.sub(r"\\\1", text.translate(_ENTITIES))


def _code(text: str) -> Verbatim:
    """A code span where nothing in the text could end it or break a table."""
    plain = text and not re.search(r"[`<>&|\\\s]{2}|[`<>&|\\]", text)
    return Verbatim(f"`{text}`" if plain else _escape(text))


def as_markdown(facts: Mapping[str, Any], curves: bool) -> str:
    """Return ``card.md``; ``curves`` says whether there is a picture beside it."""
    from jinja2 import Environment

    # Every value is escaped on its way out, so that none can be forgotten.
    env = Environment(autoescape=False, finalize=_escape, **_settings())  # noqa: S701
    env.filters.update(code=_code, verbatim=Verbatim)
    text = env.get_template("card.md.j2").render(**facts, curves=curves)
    text = re.sub(r" +$", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def as_html(facts: Mapping[str, Any], svg: str) -> str:
    """Return ``card.html`` with the curves inside it; ``svg`` may be empty."""
    from jinja2 import Environment
    from markupsafe import Markup

    env = Environment(autoescape=True, **_settings())
    drawing = re.sub(r' (?:width|height)="[^"]*"', "", svg[svg.find("<svg") :], count=2)
    own = {"css": Markup(_asset("card.css")), "svg": Markup(drawing)}  # noqa: S704 - made by us
    return env.get_template("card.html").render(**facts, **own)
