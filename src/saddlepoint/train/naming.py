"""Names for the parts of a plan that are equal in every process, and differ where the parts do."""

import functools
import hashlib
from types import CodeType

__all__ = ["name_of"]


def name_of(part: object) -> str:
    """Return the repr of a component, or what stands for it where that holds an address.

    A function is its module and name, with a hash of its code where the name is not unique
    (lambdas, functions within functions); a partial is its parts; an object without a repr of its
    own is its class and attributes.

    >>> name_of(hashlib.sha256), name_of(functools.partial(max, 1))
    ('_hashlib:openssl_sha256', 'partial(builtins:max, 1)')
    """
    if isinstance(part, functools.partial):
        named = (f"{k}={name_of(v)}" for k, v in part.keywords.items())
        return f"partial({', '.join([name_of(part.func), *map(name_of, part.args), *named])})"
    if name := getattr(part, "__qualname__", None):
        code = getattr(part, "__code__", None)
        unique = "<" not in name or not isinstance(code, CodeType)
        return f"{getattr(part, '__module__', '')}:{name}" + ("" if unique else f"#{_hash(code)}")
    kind = type(part)
    if kind.__repr__ is object.__repr__:
        named = (f"{k}={name_of(v)}" for k, v in sorted(vars(part).items()))
        return f"{kind.__module__}:{kind.__qualname__}({', '.join(named)})"
    return repr(part)


def _hash(code: object) -> str:
    if not isinstance(code, CodeType):
        return ""
    parts = [code.co_code, repr(code.co_names).encode()]
    parts += [(_hash(c) or repr(c)).encode() for c in code.co_consts]
    return hashlib.sha256(b"|".join(parts)).hexdigest()[:16]
