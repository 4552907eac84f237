"""What the files of a run must hold before a report may be written about them."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from saddlepoint.audit.report.files import Arrays
from saddlepoint.core.errors import BadData

__all__ = ["check_audit", "check_evidence", "check_figures", "check_gallery"]

NEWEST = 1  # the highest major version of audit.json that this code understands


def _number(v: object) -> bool:
    return isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)


def _is_numbers(v: object) -> bool:
    return isinstance(v, list) and all(map(_number, v))


def _interval(v: object) -> bool:
    return isinstance(v, list) and _is_numbers(v) and len(v) == 2 and 0 <= v[0] <= v[1] <= 1


_KINDS: dict[str, Callable[[Any], bool]] = {
    "a text": lambda v: isinstance(v, str),
    "a number": _number,
    "a number in [0, 1]": lambda v: _number(v) and 0 <= v <= 1,
    "a count": lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= 0,
    "a count above 0": lambda v: isinstance(v, int) and not isinstance(v, bool) and v > 0,
    "an ordered pair in [0, 1]": _interval,
    "an ordered pair": lambda v: _is_numbers(v) and len(v) == 2 and v[0] <= v[1],
    "two numbers in order": lambda v: _is_numbers(v) and len(v) == 2 and v[0] < v[1],
    "a list of whole numbers": lambda v: isinstance(v, list) and all(type(i) is int for i in v),
    "a list": lambda v: isinstance(v, list),
    "a list of numbers": _is_numbers,
    "an object": lambda v: isinstance(v, dict),
}
_AUDIT = {
    "status": "a text",
    "created": "a text",
    "model": "an object",
    "model.name": "a text",
    "data": "an object",
    "data.name": "a text",
    "threat": "an object",
    "threat.spec": "a text",
    "n": "a count above 0",
    "clean_accuracy": "a number in [0, 1]",
    "robust_accuracy": "an object",
    "robust_accuracy.upper": "a number in [0, 1]",
    "robust_accuracy.lower": "a number in [0, 1]",
    "counts": "an object",
    "counts.broken": "a count",
    "counts.survived": "a count",
    "attacks": "a list",
    "cost": "an object",
    "cost.forward": "a number",
    "cost.backward": "a number",
    "findings": "a list",
}
_OPTIONAL = {
    "clean_interval": "an ordered pair in [0, 1]",
    "robust_accuracy.interval": "an ordered pair in [0, 1]",
    "robust_accuracy.confidence": "a number in [0, 1]",
    "robust_accuracy.incompleteness": "an object",
    "robust_accuracy.incompleteness.audited": "a count",
    "robust_accuracy.incompleteness.broken": "a count",
    "robust_accuracy.incompleteness.share_at_most": "a number in [0, 1]",
    "robust_accuracy.incompleteness.upper_if_complete": "a number in [0, 1]",
    "robust_accuracy.incompleteness.low": "a number in [0, 1]",
    "robust_accuracy.incompleteness.words": "a text",
    "robust_accuracy.incompleteness.residual": "an object",
    "robust_accuracy.incompleteness.residual.seen_once": "a count",
    "robust_accuracy.incompleteness.residual.seen_twice": "a count",
    "robust_accuracy.incompleteness.residual.unseen": "a number",
    "robust_accuracy.incompleteness.residual.interval": "an ordered pair",
    "robust_accuracy.bracket": "an ordered pair in [0, 1]",
    "verification": "an object",
    "verification.reason": "a text",
    "counts.error": "a count",
    "counts.not_run": "a count",
    "counts.clean_wrong": "a count",
    "threat.eps": "a number",
    "threat.box": "two numbers in order",
    "threat.name": "a text",
    "threat.access": "a text",
    "threat.goal": "a text",
    "threat.description": "a text",
    "data.shape": "a list of whole numbers",
    "data.split": "a text",
    "model.arch": "a text",
    "model.parameters": "a count",
    "cost.rows_forward": "a number",
    "cost.seconds": "a number",
    "model_sha256": "a text",
    "data_sha256": "a text",
    "environment": "an object",
    "plan": "an object",
    "borrowed": "an object",
    "borrowed.surrogates": "a list",
    "borrowed.runs": "a list",
    "perceptual": "an object",
    "perceptual.network": "a text",
    "perceptual.witnesses": "a count",
    "perceptual.quartiles": "a list of numbers",
}
_VERIFICATION = {
    "counts": "an object",
    **{f"counts.{k}": "a count" for k in ("certified", "broken", "undecided", "wrong")},
    "certified_by": "an object",
    **{f"certified_by.{k}": "a count" for k in ("IBP", "CROWN", "ALPHA", "BRANCH")},
    "certified_interval": "an ordered pair in [0, 1]",
    "broken_by_search": "a count",
    "undecided": "a list of whole numbers",
    "seconds": "an object",
    "sandwich": "an object",
}
_ATTACK = {"spec": "a text", "broken": "a count", "survived": "a count", "evaluated": "a count"}
_ATTACK_OPTIONAL = {
    "arm": "a text",
    "stage": "a text",
    "newly_broken": "a count",
    "error": "a count",
    "not_run": "a count",
    "robust_accuracy_after": "a number in [0, 1]",
    "forward": "a number",
    "backward": "a number",
    "seconds": "a number",
    "message": "a text",
}
_FINDING = {"check": "a text", "verdict": "a text", "measured": "a text", "meaning": "a text"}
_ROWS = {"sample": "iu", "attack": "iu", "status": "iu", "margin": "f"}
_GALLERY = {
    "index": "iu",
    "label": "iu",
    "pred_before": "iu",
    "pred_after": "iu",
    "conf_before": "f",
    "conf_after": "f",
    "attack": "U",
}


def _at(table: object, path: str) -> object:
    value = table
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _expect(table: object, fields: Mapping[str, str], where: str, optional: bool = False) -> None:
    for name, kind in fields.items():
        value = _at(table, name)
        if (value is None and optional) or _KINDS[kind](value):
            continue
        raise BadData(
            f"{where}: {name} must be {kind}" + ("" if value is None else f", is {value!r:.80}")
        )


def check_audit(audit: Mapping[str, Any], path: Path) -> None:
    """Raise BadData when ``audit`` lacks what a report needs, or is of a newer schema."""
    version = str(audit.get("schema_version", ""))
    major = version.split(".")[0]
    if not major.isdecimal():
        raise BadData(f"{path}: schema_version is {version!r}; this is no audit of saddlepoint")
    if int(major) > NEWEST:
        raise BadData(
            f"{path}: written by a newer saddlepoint (schema {version}, this one reads "
            f"{NEWEST}.x): upgrade with pip install -U saddlepoint"
        )
    _expect(audit, _AUDIT, str(path))
    _expect(audit, _OPTIONAL, str(path), optional=True)
    if audit.get("verification"):
        _expect(audit["verification"], _VERIFICATION, f"{path}: verification")
    for i, row in enumerate(audit["attacks"]):
        _expect(row, _ATTACK, f"{path}: attacks[{i}]")
        _expect(row, _ATTACK_OPTIONAL, f"{path}: attacks[{i}]", optional=True)
    for i, row in enumerate(audit["findings"]):
        _expect(row, _FINDING, f"{path}: findings[{i}]")


def _vectors(arrays: Arrays, wanted: Mapping[str, str], path: Path) -> dict[str, int]:
    """Return the length of each."""
    lengths = {}
    for name, kinds in wanted.items():
        column = arrays.get(name)  # once: each look may read a file
        if column is None or column.ndim != 1:
            raise BadData(f"{path}: {name} must be there, with one axis")
        if column.dtype.kind not in kinds:
            raise BadData(f"{path}: {name} has type {column.dtype}")
        lengths[name] = len(column)
    return lengths


def check_evidence(evidence: Arrays, n: int, path: Path) -> None:
    """Raise BadData when the arrays of evidence.npz do not fit together or not fit ``n``."""
    rounds = ["attacks", *(k for k in ("arms", "stages") if k in evidence)]
    wanted = {**_ROWS, **dict.fromkeys(rounds, "U"), "label": "iu", "index": "iu"}
    lengths = _vectors(evidence, wanted, path)
    for columns in (_ROWS, rounds):
        if len({lengths[name] for name in columns}) > 1:
            raise BadData(f"{path}: {', '.join(columns)} differ in length")
    if {lengths["label"], lengths["index"]} != {n}:
        raise BadData(f"{path}: label and index must have n = {n} entries")
    for name, limit in (("sample", n), ("attack", lengths["attacks"]), ("status", 4)):
        rows = evidence[name]
        if len(rows) and not (rows.min() >= 0 and rows.max() < limit):
            raise BadData(f"{path}: {name} must lie in 0..{limit - 1}")


def check_gallery(gallery: Arrays, path: Path) -> None:
    """Raise BadData when the arrays of gallery.npz do not fit together."""
    missing = [k for k in ("x", "x_adv", *_GALLERY) if k not in gallery]
    if missing:
        raise BadData(f"{path}: lacks {', '.join(missing)}")
    x, x_adv = gallery["x"], gallery["x_adv"]
    if x.shape != x_adv.shape or x.ndim < 2 or x.dtype.kind != "f" or x_adv.dtype.kind != "f":
        raise BadData(f"{path}: x and x_adv must be float arrays of one shape (g, ...)")
    told = {"told": "U"} if "told" in gallery else {}
    for name, kinds in {**_GALLERY, **told}.items():
        if gallery[name].shape != (len(x),) or gallery[name].dtype.kind not in kinds:
            raise BadData(f"{path}: {name} must have one entry per witness, of its type")
    if "perceptual" in gallery and gallery["perceptual"].shape != (len(x),):
        raise BadData(f"{path}: perceptual must have one entry per witness")


def _numbers(table: object, names: tuple[str, ...], where: str) -> None:
    columns = [table.get(k) if isinstance(table, Mapping) else None for k in names]
    for name, column in zip(names, columns, strict=True):
        if not isinstance(column, list) or not all(v is None or _number(v) for v in column):
            raise BadData(f"{where}.{name}: must be a list of numbers")
    if len({len(c) for c in columns if c is not None}) > 1:
        raise BadData(f"{where}: {', '.join(names)} differ in length")


def _check_landscape(land: dict[str, Any], where: str) -> None:
    _numbers(land, ("t",), where)
    for name in ("fgsm", "pgd"):
        _numbers(land.get(name), ("mean", "low", "high"), f"{where}.{name}")
        if len(land[name]["mean"]) != len(land["t"]):
            raise BadData(f"{where}.{name}: must have one value per t")
    _expect(land, {"t": "a list of numbers"}, where)


def _check_maxima(maxima: dict[str, Any], where: str) -> None:
    _expect(maxima, {"index": "a list of whole numbers", "values": "a list"}, where)
    if len(maxima["values"]) != len(maxima["index"]):
        raise BadData(f"{where}: index and values differ in length")
    for i, row in enumerate(maxima["values"]):
        _numbers({"values": row}, ("values",), f"{where}[{i}]")


def check_figures(figures: Mapping[str, Any], path: Path) -> None:
    """Raise BadData when a figure that is present in figures.json cannot be drawn."""
    for part in ("eps_curve", "steps_curve", "landscape", "maxima"):
        _expect(figures, {part: "an object"}, str(path), optional=True)
    for axis in ("eps", "steps"):
        if curve := figures.get(f"{axis}_curve"):
            where = f"{path}: {axis}_curve"
            _numbers(curve, (axis, "accuracy", "low", "high"), where)
            _expect(curve, {axis: "a list of numbers"}, where)
    if land := figures.get("landscape"):
        _check_landscape(land, f"{path}: landscape")
    if maxima := figures.get("maxima"):
        _check_maxima(maxima, f"{path}: maxima")
