"""What the recipes reach: training, our audit, and attacks from outside, in one table.

    .venv/bin/python benchmarks/recipes.py runs/mnist-linf-fast runs/mnist-linf \
        runs/cifar10-linf-fast
    .venv/bin/python benchmarks/recipes.py runs/mnist-linf --audit checks/mnist-linf

Each run folder was written by ``saddlepoint train``. Its audit is looked for in RUN/audit and in
every ``--audit`` folder, the outside attacks in results/*.json as benchmarks/autoattack.py writes
them. All are matched by hashes of the weights, never by name: what is about other weights or
another set is left out, and standard error says so where it lies in the run's own folder. Prints a
Markdown table, writes results/recipes.json.

Training time is the sum over the epochs that were kept, measurements included; epochs that the
guard took back are in no curve and not in the sum. Robust accuracies are upper bounds, each on as
many images as stand behind it.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import record

from saddlepoint import load_model
from saddlepoint.core.door import state_hash
from saddlepoint.core.errors import BadData

COLUMNS = (
    "recipe",
    "threat",
    "epochs",
    "training",
    "hardware",
    "clean",
    "robust, our audit",
    "AutoAttack",
    "PGD-50",
)
OUTSIDE = {"autoattack": "AutoAttack", "pgd50": "PGD-50"}


def _read(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"{path} cannot be read: {error}")
    if not isinstance(said, dict):
        sys.exit(f"{path} holds no object")
    return said


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def trained(folder: Path) -> dict[str, Any]:
    """Return what model.json says; its sha256 is compared with the weights as they are now."""
    said = _read(folder / "model.json")
    plan, history, hardware = said["plan"], said["history"], said.get("hardware") or {}
    loaded = load_model(folder)
    if loaded.sha256 != said.get("sha256"):
        sys.exit(f"{folder}: model.json describes other weights: its sha256 differs")
    if said["status"] != "complete":
        _warn(f"{folder} is not complete but {said['status']}, after {len(history)} epochs")
    best = next((e for e in history if e["epoch"] == said["best_epoch"]), {})
    return {
        "recipe": folder.resolve().name,
        "status": said["status"],
        "data": said.get("data"),
        "arch": plan["arch"],
        "options": plan["options"],
        "threat": plan["threat"],
        "attack": plan["attack"],
        "precision": plan["precision"],
        "epochs": len(history),
        "planned_epochs": plan["epochs"],
        "best_epoch": said["best_epoch"],
        "events": len(said.get("events", [])),
        "seconds": sum(e["seconds"] for e in history),
        "cpu": hardware.get("cpu"),
        "gpu": hardware.get("gpu"),
        "threads": hardware.get("threads"),
        "held_out_clean": best.get("clean"),
        "held_out_robust": best.get("robust"),
        "model_sha256": loaded.sha256,
        "state_sha256": state_hash(loaded.model),
    }


def audits(folders: Sequence[Path]) -> list[tuple[Path, dict[str, Any]]]:
    """Return audit.json of every folder that holds one."""
    paths = [folder / "audit.json" for folder in folders]
    return [(path, _read(path)) for path in paths if path.is_file()]


def audited(run: Mapping[str, Any], own: Path, more: Sequence[Path]) -> dict[str, Any] | None:
    """Return the audit of these weights against the set they were trained for."""
    for path, said in audits([own, *more]):
        # An audit hashes parameters and buffers, not the file they came from.
        same = said["model_sha256"] == run["state_sha256"]
        if same and said["threat"]["spec"] == run["threat"]:
            robust, seconds = said["robust_accuracy"], said["cost"]["seconds"]
            odd = [f["check"] for f in said["findings"] if f["verdict"] != "ok"]
            return {
                "file": str(path),
                "n": said["n"],
                "clean": said["clean_accuracy"],
                "robust_at_most": robust["upper"],
                "interval": robust["interval"],
                "confidence": robust["confidence"],
                "attacks": [attack["spec"] for attack in said["attacks"]],
                "counts": said["counts"],
                "not_ok": odd,
                "seconds": seconds,
                "threads": said["environment"]["threads"],
            }
        if path.parent == own:
            other = f"another set, {said['threat']['spec']}" if same else "other weights"
            _warn(f"{path} is about {other}, and left out")
    return None


def _norm_and_eps(threat: str) -> tuple[str, float] | None:
    found = re.fullmatch(r"(Linf|L2)\(eps=([0-9.e-]+)\)", threat)
    return (found[1], float(found[2])) if found else None


def attacked(run: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the outside attacks on these weights and this set; of several the largest."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(record.RESULTS.glob("[!.]*.json")):
        said = _read(path)
        settings = said.get("settings", {})
        if said.get("model_sha256") != run["model_sha256"] or settings.get("attack") not in OUTSIDE:
            continue
        if (settings["norm"], settings["eps"]) != _norm_and_eps(run["threat"]):
            _warn(f"{path} is about {settings['norm']} {settings['eps']:g}, and left out")
            continue
        names = ("n", "clean_accuracy", "robust_accuracy", "outside", "violations", "seconds")
        row = {"file": path.name, "settings": settings, **{name: said[name] for name in names}}
        name = settings["attack"]
        if name not in found or row["n"] > found[name]["n"]:
            found[name] = row
    return found


# -- the table ------------------------------------------------------------------------------------


def _threat(text: str) -> str:
    """Write 0.03137254901960784 as the 8/255 it was meant as."""

    def short(match: re.Match[str]) -> str:
        value = Fraction(match[0]) * 255
        whole = round(value)
        return f"{whole}/255" if abs(value - whole) < Fraction(1, 10**9) else match[0]

    return re.sub(r"0\.\d{6,}", short, text)


def _share(value: float | None, n: int | None = None) -> str:
    if value is None:
        return "-"
    return f"{value:.1%}" + (f" ({n:,})" if n else "")


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _hardware(run: Mapping[str, Any]) -> str:
    threads = run["threads"]
    return run["gpu"] or f"{run['cpu'] or 'unknown CPU'}, {threads or '?'} thread(s)"


def cells(run: Mapping[str, Any]) -> list[str]:
    """Return one line of the table, in the order of ``COLUMNS``."""
    audit, outside = run["audit"] or {}, run["outside"]
    clean = _share(audit.get("clean"), audit.get("n"))
    if not audit:
        clean = f"{_share(run['held_out_clean'])} held out"
    epochs = f"{run['epochs']} of {run['planned_epochs']}, kept {run['best_epoch']}"
    tried = {k: outside.get(k, {}) for k in OUTSIDE}
    return [
        run["recipe"],
        f"`{_threat(run['threat'])}`",
        epochs,
        _time(run["seconds"]),
        _hardware(run),
        clean,
        _share(audit.get("robust_at_most"), audit.get("n")),
        *(_share(row.get("robust_accuracy"), row.get("n")) for row in tried.values()),
    ]


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(c.replace("|", r"\|") for c in line) + " |" for line in lines
    )


def main() -> None:
    """Collect, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--audit", type=Path, action="append", default=[], metavar="DIR")
    parser.add_argument("--out", default="recipes")
    args = parser.parse_args()
    for folder in args.audit:
        if not (folder / "audit.json").is_file():
            parser.error(f"--audit {folder}: no audit.json in it")
    runs = []
    for folder in args.runs:
        try:
            run = trained(folder)
        except BadData as error:
            sys.exit(str(error))
        run["audit"] = audited(run, folder / "audit", args.audit)
        runs.append({**run, "outside": attacked(run)})
    print(markdown(COLUMNS, [cells(run) for run in runs]))
    what = "training runs of recipes/, our audit of each, and attacks from outside"
    threads = max((run["threads"] or 0 for run in runs), default=0)
    record.write(args.out, 0, threads, {"what": what, "runs": runs})


if __name__ == "__main__":
    main()
