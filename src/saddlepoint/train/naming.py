"""Names for the parts of a plan that are equal in every process, and differ where the parts do."""

import functools
from types import FunctionType

from saddlepoint.core.origin import fingerprint

__all__ = ["name_of"]


def name_of(part: object) -> str:
    """Return the repr of a component, or what stands for it where that holds an address.

    A function is its module and name, with a hash of its code, defaults and what it encloses where
    the name is not unique (lambdas, functions within functions); a partial is its parts; an object
    without a repr of its own is its class and attributes.

    >>> import hashlib
    >>> name_of(hashlib.sha256), name_of(functools.partial(max, 1))
    ('_hashlib:openssl_sha256', 'partial(builtins:max, 1)')
    """
    if isinstance(part, functools.partial):
        named = (f"{k}={name_of(v)}" for k, v in part.keywords.items())
        return f"partial({', '.join([name_of(part.func), *map(name_of, part.args), *named])})"
    if name := getattr(part, "__qualname__", None):
        where = f"{getattr(part, '__module__', '')}:{name}"
        if "<" in name and isinstance(part, FunctionType):
            return f"{where}#{fingerprint(part)}"
        return where
    kind = type(part)
    if kind.__repr__ is object.__repr__:
        named = (f"{k}={name_of(v)}" for k, v in sorted(vars(part).items()))
        return f"{kind.__module__}:{kind.__qualname__}({', '.join(named)})"
    return repr(part)
