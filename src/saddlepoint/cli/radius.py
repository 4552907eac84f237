"""``verify --radius``: the largest certified size of each sample, kept as it is found."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from rich.text import Text
from torch import Tensor

from saddlepoint.audit import Audit, Radii, Radius, RadiusSearch, certified_radii
from saddlepoint.audit.radius import check_sizes
from saddlepoint.cli.console import OUT, AuditProgress, percent
from saddlepoint.core.door import Model
from saddlepoint.core.errors import Invalid, Unsound
from saddlepoint.core.files import write_bytes

__all__ = ["columns", "find_radii", "print_radii", "search_of"]

FILE = "radii.json"
_SHARES = (0.25, 0.5, 1.0, 1.5, 2.0)  # of the threat's size, where accuracy is printed
_ROUNDING = 1e-5  # of sizes that were computed in float32


def search_of(
    threat: object, tolerance: float, seconds: float, subproblems: int | None
) -> RadiusSearch:
    """Say how to search before any work; raises ``Unsupported`` for a threat without sizes."""
    check_sizes(threat)
    if not seconds > 0:
        raise Invalid("seconds", seconds, "a number above 0 with --radius")
    return RadiusSearch(tolerance, seconds, subproblems)


def find_radii(
    result: Audit, model: Model, data: tuple[Tensor, Tensor], search: RadiusSearch, folder: Path
) -> Radii:
    """Search for what the folder lacks, and write each radius when it is there."""
    threat: Any = result.evidence.plan.threat
    said = result.document
    header = {k: said[k] for k in ("saddlepoint", "model_sha256", "data_sha256", "n")}
    header |= {"threat": repr(threat), "search": repr(search), "seed": said["seed"]}
    fates = result.table()["proof"].tolist()
    own = [float(threat.eps) if fate == "certified" else 0.0 for fate in fates]
    proved = torch.tensor(own, dtype=torch.float64)

    def keep(found: Sequence[Radius], todo: int) -> None:
        content = {"run": header, "samples": [asdict(r) for r in found]}
        write_bytes(folder / FILE, (json.dumps(content) + "\n").encode())
        bar("radius", len(found), todo, 0)

    done = _earlier(folder / FILE, header)
    with AuditProgress(said["n"]) as bar:
        bar("radius", len(done), said["n"], 0)
        radii = certified_radii(
            model,
            *data,
            threat,
            search,
            seed=said["seed"],
            certified=proved,
            done=done,
            progress=keep,
        )
    pairs = enumerate(zip(radii.samples, fates, strict=True))
    return Radii(tuple(_agreed(i, r, fate, float(threat.eps)) for i, (r, fate) in pairs))


def _earlier(path: Path, header: dict[str, Any]) -> list[Radius]:
    """Read the radii of an interrupted call with the same settings."""
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text())
        same = content["run"] == json.loads(json.dumps(header))
        return [Radius(**r) for r in content["samples"]] if same else []
    except (ValueError, KeyError, TypeError):
        return []  # it is computed anew


def _agreed(row: int, found: Radius, fate: str, eps: float) -> Radius:
    """Let the verdict at eps count: its witness is a known break."""
    if fate == "wrong":
        return Radius(0.0, 0.0, "wrong")
    if fate != "broken":
        return found
    if found.radius > eps * (1 + _ROUNDING):
        raise Unsound(
            f"sample {row}: size {found.radius:.6g} is certified, but a witness breaks it at "
            f"{eps:.6g}. One of the two is wrong, so no result of this run can be relied on"
        )
    above = eps if found.breaks_at is None else min(eps, found.breaks_at)
    return Radius(min(found.radius, above), above, found.state)


def columns(result: Audit, radii: Radii) -> dict[str, list[Any]]:
    """Return columns for verify.json.

    radius_by: ``certificate`` where nothing above the verdict's own size was proved, ``search``
    for float64 bounds without a certificate, null for a radius of 0.
    """
    threat: Any = result.evidence.plan.threat
    fates = result.table()["proof"].tolist()
    by = [
        None
        if r.radius == 0
        else ("certificate" if fate == "certified" and r.radius <= float(threat.eps) else "search")
        for r, fate in zip(radii.samples, fates, strict=True)
    ]
    return {
        "radius": [r.radius for r in radii.samples],
        "radius_by": by,
        "breaks_at": [r.breaks_at for r in radii.samples],
        "radius_state": [r.state for r in radii.samples],
    }


def print_radii(result: Audit, radii: Radii) -> None:
    """Print accuracy at a few sizes from both sides, then median and mean."""
    threat: Any = result.evidence.plan.threat
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("size", "certified", "no break known"):
        table.add_column(name, justify="right", no_wrap=True)
    for eps in (share * float(threat.eps) for share in _SHARES):
        both = radii.certified_accuracy(eps), radii.robust_accuracy(eps)
        table.add_row(f"{eps:.4g}", *map(percent, both))
    OUT.print()
    OUT.print(table)
    ends = [r.state for r in radii.samples]
    OUT.print(
        Text(
            f"certified radius: median {radii.median:.4g}, mean {radii.mean:.4g} over all samples, "
            f"wrong ones at 0; {ends.count('limit')} of {len(ends)} brackets are wider than "
            "asked for: more --seconds narrow them"
        )
    )
