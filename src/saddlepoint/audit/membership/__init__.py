"""Independent checks of membership: one file per kind of set, in numpy and float64.

They name sets by their class on purpose, and share no code with them: a mistake in a threat model
must not be able to vouch for itself here.
"""

from typing import Any

import numpy as np

from saddlepoint.audit.membership.combine import by_chain, by_mask, by_union
from saddlepoint.audit.membership.environment import REMADE, by_remaking
from saddlepoint.audit.membership.feature import by_features
from saddlepoint.audit.membership.itself import by_itself
from saddlepoint.audit.membership.kind import Array, Check
from saddlepoint.audit.membership.norms import NORMS, by_norm
from saddlepoint.audit.membership.patch import by_patch
from saddlepoint.audit.membership.spatial import by_turning

__all__ = ["CHECKS", "independent", "inspect"]

CHECKS: dict[str, Check] = {
    **dict.fromkeys(NORMS, by_norm),
    "Features": by_features,
    "Patch": by_patch,
    "Printable": by_patch,
    "RotateTranslate": by_turning,
    "Union": by_union,
    "Chain": by_chain,
    "Masked": by_mask,
    **dict.fromkeys(REMADE, by_remaking),
}


def inspect(
    x: Array,
    x_adv: Array,
    threat: Any,  # noqa: ANN401
    rows: Array,
    u: Array | None = None,
) -> list[str]:
    """Say for each witness what is wrong with it, or "" where it is a member of the set.

    x, x_adv: (B, *F) original and perturbed inputs. rows: (B,) their numbers, for sets with a size
    per sample. u: (B, *P) the parameters that make x_adv, for sets that have some.

    >>> from saddlepoint import Linf
    >>> inspect(np.zeros((1, 2)), np.array([[0.1, 0.3]]), Linf(eps=0.2), np.array([0]))
    ['Linf distance 0.3 exceeds 0.2']
    """
    if x.shape != x_adv.shape:
        return [f"shape {x_adv.shape[1:]} instead of {x.shape[1:]}"] * len(x)
    if not np.issubdtype(x_adv.dtype, np.floating) and x_adv.dtype != np.uint8:
        return [f"dtype {x_adv.dtype} instead of floats or uint8"] * len(x)
    if getattr(threat, "parametric", False) and (u is None or len(u) != len(x)):
        return ["its parameters u are missing"] * len(x)
    return _check_of(threat)(x, u, x_adv, threat, rows)


def independent(threat: Any) -> bool:  # noqa: ANN401
    """Whether members are judged by code that shares nothing with the set's own.

    >>> from saddlepoint import L2
    >>> independent(L2(eps=1.0))
    True
    """
    inside = (*getattr(threat, "sets", ()), *filter(None, [getattr(threat, "base", None)]))
    return _check_of(threat) is not by_itself and all(map(independent, inside))


def _check_of(threat: Any) -> Check:  # noqa: ANN401
    name = type(threat).__name__
    if name == "Quantize" and type(threat.threat).__name__ in NORMS:
        return by_norm  # which looks at the grid as well
    if name == "Masked" and threat.parametric:
        return by_itself  # what is seen of a member says little of it
    return CHECKS.get(name, by_itself)
