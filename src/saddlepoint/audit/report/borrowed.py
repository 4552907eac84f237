"""What came from elsewhere, in words: surrogates, earlier runs, and what broke by them."""

from collections.abc import Mapping
from typing import Any

from saddlepoint.audit.report.numerals import percent, plural
from saddlepoint.audit.report.words import noun

__all__ = ["borrowed_words"]


def borrowed_words(audit: Mapping[str, Any]) -> str:
    """Say which models and runs the adversary had, and how far their points got; "" without any."""
    said, kind = audit.get("borrowed"), noun(audit)
    if not said:
        return ""
    parts = [
        f"{one['name']} ({one['sha256'][:8]}): right on {percent(one['clean_accuracy'])} of the "
        f"clean {kind}s, answers {percent(one['agreement'])} of them as the model does"
        for one in said["surrogates"]
    ]
    parts += [
        f"{one['run']}, an earlier run on {one['model'] or 'a model'} under {one['threat']}, with "
        f"{plural(one['witnesses'], 'witness')}"
        for one in said["runs"]
    ]
    for key, what in (("transfer", "Points made on surrogates"), ("earlier", "Earlier witnesses")):
        if said[key]["rounds"]:
            parts.append(f"{what} alone broke {plural(said[key]['broken'], kind)}")
    return ". ".join(parts) + "."
