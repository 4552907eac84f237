"""Both sides of docs/coming-from, run as printed: their call, ours, and what each leaves.

    SADDLEPOINT_DATA=DIR .venv-bench/bin/python benchmarks/coming_from.py --demo demo
    .venv-bench/bin/python benchmarks/coming_from.py --demo demo --page art --page foolbox

``--demo`` is the folder that ``make demo`` wrote. Of each page, Python fences with a title are
theirs, the others ours; each side has a namespace of its own, and our fences of the first section
run in both. Where both sides of a section set ``x_adv``, every input is judged here, by nothing of
either library: it breaks a sample if the model errs on it and it lies in ``threat`` (float64, the
box included). Where both set ``robust`` or ``scores``, those are compared. Each ``assert`` of
theirs is a claim of the page, and so is each default in the table of names.

RobustBench does not import beside torch for the CPU (it needs torchvision): benchmarks/stand_in has
a package of its name with the same calls and digits for CIFAR-10. AutoAttack is pyautoattack, as
PyPI has it. Without ``--page`` it writes results/coming_from.json and the pages' last tables.
"""

import argparse
import contextlib
import hashlib
import inspect
import io
import os
import random
import re
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import record
import torch
from torch import Tensor

from saddlepoint import PGD, Linf, load_data, search

ROOT = Path(__file__).parents[1]
PAGES = ("art", "foolbox", "torchattacks", "autoattack", "robustbench")
TOLERANCE = 1e-5  # of a radius, what float32 may round
_HEADING, _FENCE = re.compile(r"^## (.+)$"), re.compile(r"^```(\w+)(.*)$")
_CALL = re.compile(r"^`([\w.]+)\((\w+)\)`$")
_OURS = 'title="saddlepoint'  # ours, but for a reader who has the peer
_MARKER = "<!-- written by benchmarks/coming_from.py -->\n\n"
_COMPARED = ("x_adv", "robust", "scores", "threat", "net", "target")


@dataclass
class Section:
    """What stands below a heading: their fences and ours."""

    heading: str
    theirs: list[str] = field(default_factory=list)
    ours: list[str] = field(default_factory=list)

    @property
    def sha256(self) -> str:
        """Of both sides' snippets: which text a result was measured with."""
        return hashlib.sha256("\n".join([*self.theirs, "", *self.ours]).encode()).hexdigest()


def sections(page: Path) -> list[Section]:
    """Read a page; Python fences only."""
    found: list[Section] = []
    lines = iter(page.read_text(encoding="utf-8").splitlines())
    for line in lines:
        if heading := _HEADING.match(line):
            found.append(Section(heading[1]))
        elif opened := _FENCE.match(line):
            inside = []
            for text in lines:
                if text.strip() == "```":
                    break
                inside.append(text)
            if opened[1] == "python" and found:
                theirs = "title=" in opened[2] and _OURS not in opened[2]
                side = found[-1].theirs if theirs else found[-1].ours
                side.append("\n".join(inside) + "\n")
    return found


def execute(fences: list[str], names: dict[str, Any], where: str) -> float:
    """Run fences in one namespace, seeded; return the seconds."""
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    begin = time.perf_counter()
    for text in fences:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            exec(compile(text, where, "exec"), names)  # noqa: S102 - the pages are ours
    return round(time.perf_counter() - begin, 2)


def tensor(value: Any) -> Tensor:  # noqa: ANN401 - of numpy or torch
    """Return what a side gave as a tensor."""
    return value.detach() if isinstance(value, Tensor) else torch.from_numpy(np.asarray(value))


def judged(names: dict[str, Any], x_adv: Tensor, threat: Any) -> dict[str, Any]:  # noqa: ANN401
    """Which samples are broken within the threat model, and how large the breaks are."""
    x, y, goal = names["x"], names["y"], names.get("target")
    with torch.no_grad():
        answer = names["model"](x_adv.float()).argmax(1)
    hit = answer.ne(y) if goal is None else answer.eq(goal)
    moved, pixels = (x_adv.double() - x.double()).flatten(1), x_adv.flatten(1)
    size = torch.linalg.vector_norm(moved, threat.order, dim=1)
    low, high = threat.box
    inside = ((pixels >= low - TOLERANCE) & (pixels <= high + TOLERANCE)).all(1)
    inside &= size <= threat.eps * (1 + TOLERANCE) + TOLERANCE
    broken = hit & inside
    typical = size[broken].median().item() if bool(broken.any()) else None
    return {"broken": broken, "typical": typical, "outside": int((~inside).sum())}


def robust_of(net: Any) -> float:  # noqa: ANN401
    """Return the accuracy of a trained net on 300 digits under one attack, the same for all."""
    x, y = load_data("digits").split("test").batch(slice(300))
    return search(PGD(steps=40), net.eval(), x, y, Linf(0.1)).robust_accuracy


def compared(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Return one row of the result."""
    row: dict[str, Any] = {}
    if "x_adv" in theirs and "x_adv" in ours:
        sides = [judged(ours, tensor(n["x_adv"]), ours["threat"]) for n in (theirs, ours)]
        for name, side in zip(("theirs", "ours"), sides, strict=True):
            row[name] = 1 - side["broken"].double().mean().item()
            row[f"median size of {name}"] = side["typical"]
            row[f"outside of {name}"] = side["outside"]
        row["same verdict"] = sides[0]["broken"].eq(sides[1]["broken"]).double().mean().item()
    if "robust" in theirs and "robust" in ours:
        row["robust of theirs"], row["robust of ours"] = (
            np.asarray(n["robust"], dtype=float).round(4).tolist() for n in (theirs, ours)
        )
    if "net" in theirs and "net" in ours:
        row["net of theirs"], row["net of ours"] = (robust_of(n["net"]) for n in (theirs, ours))
    if "scores" in theirs and "scores" in ours:
        gap = (tensor(theirs["scores"]) - tensor(ours["scores"])).abs().max()
        row["largest difference of scores"] = gap.item()
    return row


def stated(page: Path) -> list[tuple[bool, str, str, Any]]:
    """Return the table of names: whether it is ours, the call, its argument and the default."""
    found = []
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:5]]
        if line.startswith("| `") and len(cells) == 4:
            for ours, named, value in ((False, *cells[:2]), (True, *cells[2:])):
                if call := _CALL.match(named):
                    default = eval(value.strip("`"), {})  # noqa: S307 - the pages are ours
                    found.append((ours, call[1], call[2], default))
    return found


def check_default(names: dict[str, Any], call: str, argument: str, value: Any) -> None:  # noqa: ANN401
    """Raise ``AssertionError`` unless that is the default of ``call``'s argument."""
    signature = inspect.signature(eval(call, names))  # noqa: S307
    found = signature.parameters[argument].default
    same = found == value or (isinstance(found, float) and abs(found - value) < 1e-9)
    assert same, f"{call}({argument}) is {found!r}, not {value!r}"


def run_page(name: str) -> list[dict[str, Any]]:
    """Run both sides of every section."""
    first, *rest = sections(ROOT / f"docs/coming-from/{name}.md")
    theirs: dict[str, Any] = {"__name__": "theirs"}
    ours: dict[str, Any] = {"__name__": "ours"}
    execute(first.ours, ours, name)
    execute(first.ours + first.theirs, theirs, name)
    rows = []
    for section in rest:
        if not section.theirs:  # nothing to compare with; the tests run it
            continue
        for names in (theirs, ours):
            for known in _COMPARED:
                names.pop(known, None)
        row: dict[str, Any] = {"page": name, "section": section.heading}
        row["snippets_sha256"] = section.sha256
        row["seconds of ours"] = execute(section.ours, ours, f"{name}, {section.heading}, ours")
        row["seconds of theirs"] = execute(section.theirs, theirs, f"{name}, {section.heading}")
        row |= compared(theirs, ours)
        row["claims"] = sum(text.count("assert ") for text in section.theirs)
        rows.append(row)
        print(f"{name:13} {section.heading:38} {said(row)}", flush=True)
    table = stated(ROOT / f"docs/coming-from/{name}.md")
    for mine, call, argument, value in table:
        check_default(ours if mine else theirs, call, argument, value)
    rows.append({"page": name, "section": "Names and defaults", "claims": len(table)})
    print(f"{name:13} {len(table)} defaults are as stated", flush=True)
    return rows


def said(row: dict[str, Any]) -> str:
    """A row in words."""
    parts = []
    if "theirs" in row:
        parts.append(f"robust {row['theirs']:.2f}, ours {row['ours']:.2f}")
        parts.append(f"same verdict {row['same verdict']:.0%}")
        sizes = [row[f"median size of {side}"] for side in ("theirs", "ours")]
        parts.append("median break " + ", ".join("-" if s is None else f"{s:.3f}" for s in sizes))
        parts.append(f"outside {row['outside of theirs']}, {row['outside of ours']}")
    if "robust of theirs" in row:
        parts.append(f"said {row['robust of theirs']}, ours {row['robust of ours']}")
    if "net of theirs" in row:
        parts.append(f"nets withstand {row['net of theirs']:.2f}, ours {row['net of ours']:.2f}")
    if "largest difference of scores" in row:
        parts.append(f"scores differ by {row['largest difference of scores']:.1e}")
    if row["claims"]:
        parts.append(f"{row['claims']} claims hold")
    return "; ".join([*parts, f"{row['seconds of theirs']} s, ours {row['seconds of ours']} s"])


def table_of(page: str, rows: list[dict[str, Any]]) -> str:
    """Return the lines of the page's last table."""
    lines = [
        "| task | robust accuracy, theirs | ours | same verdict | median break, theirs | ours |",
        "|---|---|---|---|---|---|",
    ]
    for row in (r for r in rows if r["page"] == page):
        cells = _cells(row)
        if cells:
            lines.append("| " + " | ".join([row["section"], *cells]) + " |")
    return "\n".join(lines) + "\n"


def _cells(row: dict[str, Any]) -> list[str]:
    if "same verdict" in row:
        sizes = [row[f"median size of {side}"] for side in ("theirs", "ours")]
        shown = ["" if size is None else f"{size:.3f}" for size in sizes]
        shares = [f"{row[side]:.1%}" for side in ("theirs", "ours")]
        return [*shares, f"{row['same verdict']:.1%}", *shown]
    for name in ("net", "robust"):
        if f"{name} of theirs" in row:
            both = (np.atleast_1d(row[f"{name} of {side}"]) for side in ("theirs", "ours"))
            return [*(", ".join(f"{v:.1%}" for v in values) for values in both), "", "", ""]
    return []


def write_tables(rows: list[dict[str, Any]]) -> None:
    """Put what was found at the end of each page."""
    for page in PAGES:
        path = ROOT / f"docs/coming-from/{page}.md"
        text = path.read_text(encoding="utf-8")
        before, marker, _ = text.partition(_MARKER)
        path.write_text(before + marker + table_of(page, rows), encoding="utf-8")


def main() -> None:
    """Run the pages that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, default=Path("demo"), help="written by make demo")
    parser.add_argument("--page", action="append", choices=PAGES, help="default: all")
    args = parser.parse_args()
    if not (args.demo / "robust-model").is_dir():
        parser.error(f"{args.demo} holds no robust-model: make demo, and give its folder")
    demo, pages = args.demo.resolve(), args.page or PAGES
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    sys.path.insert(0, str(ROOT / "benchmarks/stand_in"))
    rows = []
    for page in pages:
        with tempfile.TemporaryDirectory() as folder:
            os.symlink(demo, Path(folder) / "demo")
            with contextlib.chdir(folder):
                rows += run_page(page)
    if tuple(pages) == PAGES:
        record.write("coming_from", 0, 1, {"model": "demo/robust-model", "rows": rows})
        write_tables(rows)


if __name__ == "__main__":
    main()
