"""What the environment has to bring for an endpoint: looked at, never kept."""

import os
from urllib.parse import urlsplit

from saddlepoint.core.errors import BadData
from saddlepoint.models.service.courier.redact import VARIABLE, expand, variables
from saddlepoint.models.service.settings import Endpoint

__all__ = ["check_environment", "host"]


def check_environment(endpoint: Endpoint, source: str) -> None:
    """Raise ``BadData`` for variables that are missing or unfit, or an address that cannot be.

    Names variables and never their values: an address that holds one is not quoted, and no frame
    of the traceback has one among its variables.
    """
    for key, template in (("url", endpoint.url), *endpoint.headers.items()):
        for name in variables(template):
            if not os.environ.get(name):
                raise BadData(f"{source}: {key} needs the environment variable {name}: export it")
            if not _fit(name):
                raise BadData(
                    f"{source}: the environment variable {name} of {key} holds a line break or "
                    "another character that cannot be sent"
                )
    fault = _fault(endpoint.url)
    if fault:
        raise BadData(f"{source}: url: {fault}")


def host(endpoint: Endpoint) -> str:
    """Return the host as the file writes it: a variable in it stays one, user names are left out.

    >>> from saddlepoint.models.service.settings import AnswerSettings
    >>> answer = AnswerSettings(kind="labels", labels="labels")
    >>> host(Endpoint(url="http://a.b/c", shape=(2,), classes=2, body="{instance}", answer=answer))
    'a.b'
    """
    return urlsplit(endpoint.url).netloc.rpartition("@")[2] or endpoint.url


def _fit(name: str) -> bool:
    value = os.environ[name]
    return value.isascii() and value.isprintable()


def _fault(template: str) -> str:
    """Say what is wrong with an address, without a character of it."""
    url = expand(template, os.environ)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is no valid address"
    if parts.scheme not in ("http", "https"):
        return "must begin with https:// or http://"
    if "@" in parts.netloc:
        return 'must hold no user name or password: send headers = {Authorization = "…${TOKEN}"}'
    if not parts.hostname or port == 0:
        return "has no host"
    if parts.fragment or VARIABLE.search(url) or any(c.isspace() or c in "{}" for c in url):
        return "must hold neither #, spaces nor ${ that is no variable"
    return ""
