"""The model card: what a training run leaves for people, as Markdown and as one HTML page."""

import hashlib
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saddlepoint.core.files import write_bytes
from saddlepoint.train import card_words as words
from saddlepoint.train.card_layout import as_html, as_markdown
from saddlepoint.train.card_read import Record, read_record, undone
from saddlepoint.train.curves import draw_curves

__all__ = ["write_card"]

LONG = 30  # epochs beyond which the page folds the table away
NETWORK = ("arch", "shape", "classes", "options")
LABELS = {
    "attack": "training attack",
    "check": "check attack",
    "check_n": "attacked by the check, at most",
    "lr": "learning rate, peak",
}
OWN_MOVES = "its own: free training moves the perturbation with each backward pass"
# What may stand in a command that people copy: nothing that could be an option or a trick.
_SAFE = re.compile(r"(?!-)[\w.,:=()\[\]/+' -]{1,200}", re.ASCII)


@dataclass(frozen=True)
class Fact:
    """One line of a table; ``code`` for text that machines read."""

    name: str
    text: str
    code: bool = False


def write_card(folder: Path) -> tuple[Path, Path]:
    """Write ``card.md`` and ``card.html`` about the training run in ``folder``; return both paths.

    Reads ``model.json``, hashes the run's files, and draws ``curves.png`` and ``curves.svg`` when
    an epoch was completed. Equal folders give equal bytes. Raises ``BadData`` when ``model.json``
    is missing or damaged, ``OSError`` when the folder cannot be written.

    Example::

        markdown, page = write_card(Path("runs/mnist"))
    """
    folder = Path(folder)
    record = read_record(folder / "model.json")
    curves = draw_curves(record.history, record.events, record.best_epoch)
    facts = _facts(folder, record)
    texts = {
        "card.md": as_markdown(facts, bool(curves)),
        "card.html": as_html(facts, curves.get("curves.svg", b"").decode("utf-8")),
    }
    for name, content in curves.items():
        write_bytes(folder / name, content)
    for name, text in texts.items():
        write_bytes(folder / name, text.encode("utf-8"))
    return folder / "card.md", folder / "card.html"


# -- what the card says ---------------------------------------------------------------------------


def _facts(folder: Path, record: Record) -> dict[str, Any]:
    """Everything both templates lay out."""
    seen = {n: _sha256(folder / n) for n in ("model.safetensors", "model.json", "history.csv")}
    return {
        "title": words.title(record),
        "verdict": words.verdict(record),
        "measured": words.measured(record) if record.audit else "",
        "warnings": _warnings(record, seen["model.safetensors"]),
        "numbers": _numbers(record),
        "guard": [f"G{i}. {words.guard_sentence(e)}" for i, e in enumerate(record.events, 1)],
        "guard_did": "undid" if all(map(undone, record.events)) else "saw",
        "limits": words.limits(record),
        "sections": {
            "Threat model": _threat(record),
            "Audit": _audit(record),
            "Data": _data(record),
            "Network": _named({n: getattr(record, n) or None for n in NETWORK}),
            "Recipe": _recipe(record),
            "Files": [Fact(n, s or "not there", s != "") for n, s in seen.items()],
            "Versions and hardware": _named({**record.versions, **record.hardware}),
        },
        "epochs": _epochs(record),
        "long": len(record.history) > LONG,
        "commands": _commands(record),
        "python": _python(record),
        "trust": _code_arch(record),
    }


def _sha256(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _warnings(record: Record, weights: str) -> list[str]:
    found = [words.warning(record)]
    if record.sha256 and weights != record.sha256:
        found.append(
            "model.safetensors is missing or is not the file that model.json describes (its sha256 "
            "differs). Do not rely on this card."
        )
    return [text for text in (*found, words.collapse_warning(record)) if text]


def _numbers(record: Record) -> list[tuple[str, str, str]]:
    """The figures at the top: name, number, and what it was measured on."""
    audit, row, end = record.audit, record.kept, record.plan.get("epochs")
    seconds = sum(e["seconds"] or 0 for e in (*record.history, *record.events))
    kept = f"held out, epoch {row['epoch']}" if row else "not measured"
    proved = [("Certified, at least", words.percent(row.get("certified")), kept)]
    shown = [
        ("Clean accuracy", words.percent(row.get("clean")), kept),
        ("Robust, at most", words.percent(row.get("robust")), kept),
        ("Epochs", str(len(record.history)), f"of {end}" if end else ""),
        ("Training time", words.duration(seconds), "with measurements"),
    ]
    if audit:
        on = f"audit, {words.count(audit['n'], 'sample')}"
        shown[:2] = [
            ("Clean accuracy", words.percent(audit["clean"]), on),
            ("Robust, at most", words.percent(audit["robust_at_most"]), on),
        ]
    shown[2:2] = proved if record.bounded else []
    return shown


def _threat(record: Record) -> list[Fact]:
    said = [Fact("May change", words.short(_text(record.plan.get("threat"))), True)]
    if meaning := words.in_words(record):
        said.append(Fact("Which means", meaning))
    return [
        *said,
        Fact("May see", "Everything: weights, scores and gradients (white box)."),
        Fact("Wants", words.goal(record)),
    ]


def _audit(record: Record) -> list[Fact]:
    audit = record.audit
    if not audit:
        return []
    folder = _text(audit.get("folder"))
    attacks = [Fact(f"Attack {i}", a, True) for i, a in enumerate(audit["attacks"], 1)]
    return [
        *attacks,
        *(Fact("Health check", text) for text in audit["findings"]),
        Fact("Time", words.duration(audit["seconds"])),
        Fact("Report and evidence", f"{folder}/report.html", True),
    ]


def _data(record: Record) -> list[Fact]:
    held_out = record.plan.get("held_out")
    if isinstance(held_out, float):
        held_out = f"{words.percent(held_out)} of the training samples"
    if there := record.measured.get("held_out"):
        share = f" ({held_out})" if isinstance(held_out, str) else ""
        held_out = words.count(there, "sample") + share
    plain = {"data set": record.data or "not recorded", "held out": held_out}
    hashes = {"data set, sha256": record.data_sha256, "samples, sha256": record.samples_sha256}
    return [*_named(plain), *(Fact(n, h, True) for n, h in hashes.items() if h)]


def _recipe(record: Record) -> list[Fact]:
    kept = {k: v for k, v in record.plan.items() if k not in (*NETWORK, "threat", "held_out")}
    drawn = record.noisy or record.sampled
    rows, asked = [], not (record.natural or drawn or record.free or record.unasked)
    if not asked:
        kept = {k: v for k, v in kept.items() if k not in ("attack", "keep")}
        rows.append(Fact("training attack", OWN_MOVES if record.free else "none"))
    texts = ("attack", "check", "loss")
    rows += [
        Fact(LABELS.get(k, k), words.short(_text(kept.pop(k))), True) for k in texts if k in kept
    ]
    if record.events and asked:
        rows.append(Fact("training attack at the end", words.short(_last_attack(record)), True))
    digest = [Fact("plan, sha256", record.plan_sha256, True)] if record.plan_sha256 else []
    return [*rows, *_named(kept), *digest]


def _last_attack(record: Record) -> str:
    """What training asked when it ended: where the guard changed nothing, what it asked before."""
    last = record.events[-1]
    return _text(last.get("stronger") or last.get("weaker") or record.plan.get("attack"))


def _named(values: Mapping[str, Any]) -> list[Fact]:
    return [Fact(LABELS.get(k, k.replace("_", " ")), _text(v)) for k, v in values.items()]


def _text(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    if value is None or value in ("", {}, []):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _epochs(record: Record) -> dict[str, Any]:
    """The table of epochs; a column that nothing was written into is left out."""
    columns = {
        "loss": lambda v: words.NONE if v is None else f"{v:.4f}",
        "clean": words.percent,
        "robust": words.percent,
        "own": words.percent,
        "certified": words.percent,
        "lr": lambda v: words.NONE if v is None else f"{v:.3g}",
        "seconds": words.duration,
    }
    heads = {"robust": "check attack", "own": "training attack", "seconds": "time"}
    shown = [name for name in columns if any(row[name] is not None for row in record.history)]
    rows = []
    for row in record.history:
        note = ", ".join(filter(None, ("kept" if row is record.kept else "", _note(record, row))))
        rows.append([str(row["epoch"]), *(columns[n](row[n]) for n in shown), note])
    return {"head": ["epoch", *(heads.get(n, n) for n in shown), ""], "rows": rows}


def _note(record: Record, row: Mapping[str, Any]) -> str:
    """What became of an epoch that collapsed: the one in the table was learnt after its undoing."""
    events = [(f"G{i}", e) for i, e in enumerate(record.events, 1) if e["epoch"] == row["epoch"]]
    relearnt = ", ".join(name for name, event in events if undone(event))
    stayed = ", ".join(name for name, event in events if not undone(event))
    said = (f"relearnt after {relearnt}" if relearnt else "", stayed and f"collapsed ({stayed})")
    return ", ".join(filter(None, said))


# -- how to check ---------------------------------------------------------------------------------


def _safe(text: object, otherwise: str) -> str:
    """The text if it may stand in a command that people copy."""
    return text if isinstance(text, str) and _SAFE.fullmatch(text) else otherwise


def _code_arch(record: Record) -> str:
    """The architecture where it is code, which is imported only when a person names it."""
    if ":" not in record.arch:
        return ""
    return record.arch if re.fullmatch(r"[\w.]+:[\w.]+", record.arch, re.ASCII) else "ARCH"


def _commands(record: Record) -> list[str]:
    threat = _safe(words.short(_text(record.plan.get("threat"))), "THREAT")
    subject = ["--model", "."]
    if arch := _code_arch(record):
        subject += ["--arch", arch]
    # A file of the user's own lies where training ran, and not beside the card.
    data = record.data.replace("\\", "/")
    data = f"PATH/TO/{data.rpartition('/')[2]}" if data.endswith(".npz") else data
    audit = ["saddlepoint", "audit", *subject, "--data", _safe(data, "DATA")]
    audit += ["--threat", threat]
    if (target := record.plan.get("target")) is not None:
        audit += ["--target", _safe(str(target), "TARGET")]
    commands = [["sha256sum", "model.safetensors"], [*audit, "--out", "check"]]
    if record.audit and (folder := _safe(record.audit.get("folder"), "")):
        commands.append(["saddlepoint", "replay", folder, *subject])
    return [shlex.join(command) for command in commands]


def _python(record: Record) -> list[str]:
    arch = _code_arch(record)
    named = f", arch={arch!r}" if arch else ""
    lines = ["from saddlepoint.models import load_model", "", f'loaded = load_model("."{named})']
    if re.fullmatch(r"[0-9a-f]{64}", record.sha256):
        lines.append(f'assert loaded.sha256 == "{record.sha256}"')
    return [*lines, "scores = loaded.model(x)  # x (B, *shape) in [0, 1]"]
