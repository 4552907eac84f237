"""Values from the environment: put where a description names them, kept out of everything else."""

import base64
import binascii
import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

__all__ = ["VARIABLE", "Redactor", "expand", "secrets_of", "variables"]

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
HIDDEN = "[redacted]"
_LITERAL = 8  # characters from which a value in the URL's query, or a number, may be a secret


def variables(template: str) -> list[str]:
    """Return the names of the variables in ``template``.

    >>> variables("Bearer ${TOKEN}")
    ['TOKEN']
    """
    return VARIABLE.findall(template)


def expand(template: str, env: Mapping[str, str]) -> str:
    """Put the values of variables in their places; raises ``KeyError`` with a missing name.

    >>> expand("Bearer ${TOKEN}", {"TOKEN": "abc"})
    'Bearer abc'
    """
    return VARIABLE.sub(lambda found: env[found.group(1)], template)


def secrets_of(url: str, headers: Mapping[str, str], env: Mapping[str, str]) -> list[str]:
    """Return everything that must not be seen: what variables hold, also of a proxy's address.

    url, headers: templates. A long value in the URL's query counts although it is written out.
    """
    texts = [url, *headers.values()]
    found = [env[name] for text in texts for name in variables(text) if name in env]
    found += [value for _, value in parse_qsl(urlsplit(url).query) if len(value) >= _LITERAL]
    for name, value in env.items():
        if name.lower().endswith("_proxy") and "@" in value:
            found += value.rpartition("@")[0].rpartition("/")[2].split(":")
    return [text for text in found if text and not VARIABLE.search(text)]


class Redactor:
    """Replaces secrets in text, in every form in which a service may send them back.

    >>> Redactor(["s3cret/"])("you sent s3cret/ or s3cret%2F")
    'you sent [redacted] or [redacted]'
    """

    def __init__(self, secrets: Iterable[str], public: Iterable[str] = ()) -> None:
        """public: texts that are no secrets as a whole, such as the names of classes."""
        forms = {form for secret in secrets for form in _forms(secret) if form}
        longest_first = sorted(forms, key=len, reverse=True)
        self._public = frozenset(public)
        self._plain, self._escaped = None, None
        if forms:
            self._plain = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)
            self._escaped = re.compile("|".join(map(_escapes, longest_first)), re.IGNORECASE)

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        if self._plain is None or self._escaped is None:
            return text
        text = self._plain.sub(HIDDEN, text)
        return self._escaped.sub(HIDDEN, text) if any(c in text for c in "\\%&") else text

    def inside(self, value: Any) -> Any:  # noqa: ANN401 - anything that JSON can hold
        """Return the same JSON value with every text in it redacted; numbers that are no secret
        stay as they are.
        """
        if isinstance(value, str):
            return value if value in self._public else self(value)
        if isinstance(value, list):
            return [self.inside(v) for v in value]
        if isinstance(value, dict):
            return {k if k in self._public else self(k): self.inside(v) for k, v in value.items()}
        return HIDDEN if self._is_secret(value) else value

    def _is_secret(self, value: Any) -> bool:  # noqa: ANN401
        """Whether a number is a secret as a whole; short ones are too likely to be scores."""
        if self._plain is None or isinstance(value, bool) or not isinstance(value, int | float):
            return False
        text = str(value)
        return len(text) >= _LITERAL and self._plain.fullmatch(text) is not None


def _escapes(secret: str) -> str:
    """Return a pattern for a secret of which any character may be escaped, in any common way."""
    return "".join(
        rf"(?:{re.escape(c)}|\\+{re.escape(c)}|\\+u00{ord(c):02x}|\\+x{ord(c):02x}|%{ord(c):02x}"
        rf"|&\#0*{ord(c)};|&\#x0*{ord(c):x};)"
        for c in secret
    )


def _forms(secret: str) -> list[str]:
    plain = [secret]
    # Basic authentication: what is given in base64 may come back as user:password.
    try:
        decoded = base64.b64decode(secret, validate=True).decode()
        plain += [decoded, decoded.partition(":")[2]] if ":" in decoded else []
    except (binascii.Error, ValueError):
        pass
    forms = []
    for text in plain:
        in_json = json.dumps(text)[1:-1]
        forms += [text, in_json, in_json.replace("/", "\\/"), quote(text, safe=""), quote(text)]
        forms += [quote_plus(text), html.escape(text), repr(text)[1:-1]]
        forms.append(base64.b64encode(text.encode()).decode())
    return forms
