"""Write docs/peers.md: its tables from the files in results/, its words from peers.md.in.

    python benchmarks/tables.py              (also draws the figures, where matplotlib is there)
    python benchmarks/tables.py --check      (exit 1 where the page is not what the files say)

Every number of the page comes from a file; a test writes it again and compares.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from string import Template
from typing import Any

import record

ROOT = Path(__file__).parents[1]
PAGE, WORDS = ROOT / "docs" / "peers.md", Path(__file__).parent / "peers.md.in"
NAMES = {"art": "ART", "foolbox": "Foolbox", "adversarial-robustness-toolbox": "ART"}
NETS = ("mnist-fgsm", "mnist-pgd", "cifar-small")
STRENGTH = (  # library, family, budget, what the table calls it
    ("saddlepoint", "PGD", "100 steps", "saddlepoint `PGD(steps=100)`"),
    ("saddlepoint", "APGD", "100 steps", "saddlepoint `APGD()`"),
    ("saddlepoint", "cascade", "quick", "saddlepoint audit, quick"),
    ("saddlepoint", "cascade", "standard", "saddlepoint audit, standard"),
    ("saddlepoint", "cascade", "thorough", "saddlepoint audit, thorough"),
    ("torchattacks", "PGD", "100 steps", "torchattacks PGD, 100 steps"),
    ("torchattacks", "APGD", "100 steps", "torchattacks APGD, 100 steps"),
    ("torchattacks", "AutoAttack", "standard", "torchattacks AutoAttack"),
    ("foolbox", "PGD", "100 steps", "Foolbox PGD, 100 steps"),
    ("art", "PGD", "100 steps", "ART PGD, 100 steps"),
    ("art", "APGD", "100 steps", "ART APGD, 100 steps, 5 starts"),
    ("art", "AutoAttack", "Square once", "ART AutoAttack, Square once"),
)
Rows = list[dict[str, Any]]


def read(name: str) -> dict[str, Any]:
    """Return one file of results/."""
    said: dict[str, Any] = json.loads((record.RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return said


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    head = list(head)
    lines = [head, ["---"] * len(head), *map(list, rows)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def called(name: str) -> str:
    """How the page writes a contestant or package."""
    for short, proper in sorted(NAMES.items(), key=lambda kv: -len(kv[0])):
        if name.startswith(short):
            name = proper + name[len(short) :]
    return (
        name.replace("ours", "saddlepoint").replace("fp32", "float32").replace("bf16", "bfloat16")
    )


def games() -> Rows:
    """Rows of the strength benchmark, all nets."""
    return [row for net in NETS for row in read(f"strength-{net}")["rows"]]


def strength(norm: str) -> str:
    """What each leaves, with passes and seconds; the least of a column is bold."""
    rows = [r for r in games() if r["norm"] == norm and r["left"] is not None]
    by = {(r["net"], r["library"], r["family"], r["budget"]): r for r in rows}
    least = {net: min(r["left"] for r in rows if r["net"] == net) for net in NETS}
    size = {r["net"]: (r["eps"], r["n"], r["clean"]) for r in rows}
    head = ["", *(f"{net}, {_eps(size[net][0])}, n = {size[net][1]}" for net in NETS)]
    lines = [["clean", *(f"{size[net][2]:.0%}".replace("%", " %") for net in NETS)]]
    for library, family, budget, name in STRENGTH:
        cells = [_cell(by.get((net, library, family, budget)), least[net]) for net in NETS]
        lines.append([name, *cells])
    return table(head, lines)


def _eps(eps: float) -> str:
    return "8/255" if abs(eps - 8 / 255) < 1e-9 else f"{eps:g}"


def _cell(row: dict[str, Any] | None, least: float) -> str:
    if row is None:
        return "not run"
    left = f"{100 * row['left']:.0f} %"
    left = f"**{left}**" if row["left"] <= least + 1e-9 else left
    return f"{left}; {row['forward']:,.0f} / {row['backward']:,.0f}; {row['cpu_seconds']:.1f} s"


def speed(name: str) -> str:
    """Ratios to the bare loop."""
    (game,) = read(name)["games"]
    rows = [
        [called(r["contestant"]), f"{r['median_ratio']:.2f} ({r['min_ratio']:.2f})", _left(r)]
        for r in game["rows"]
        if "chunks" not in r["contestant"]
    ]
    return table(["", "time, bare loop = 1", "accuracy left"], rows)


def _left(row: dict[str, Any]) -> str:
    left = row["robust_accuracy"]
    return "" if left is None else f"{100 * left:.1f} %"


def closed_form() -> str:
    """Least share of the optimum over dimensions and inputs, by attack and norm."""
    rows, norms = read("closed_form")["rows"], ("Linf", "L2", "L1")
    lines = []
    for attack in dict.fromkeys(r["attack"] for r in rows):
        mine = {n: [r for r in rows if (r["attack"], r["norm"]) == (attack, n)] for n in norms}
        name = attack.replace("ours ", "saddlepoint `") + ("`" if attack.startswith("ours") else "")
        lines.append([called(name), *(_share(mine[n]) for n in norms)])
    return table(["", "L∞", "L2", "L1"], lines)


def _share(rows: Rows) -> str:
    if not rows:
        return "none"
    if any(r["error"] for r in rows):
        return "fails"
    if any(r["outside"] for r in rows):
        return f"leaves the set ({max(r['outside'] for r in rows):.0%})".replace("%", " %")
    low, mean = min(r["min_share"] for r in rows), sum(r["mean_share"] for r in rows) / len(rows)
    return f"{low:.3f} ({mean:.3f})"


def startup() -> str:
    """Imports and commands."""
    rows = [
        [_said(r["what"]), f"{r['cpu_seconds']:.2f}", f"{r['ratio']:.2f}", _peak(r["peak_mib"])]
        for r in read("startup")["rows"]
    ]
    return table(["", "CPU s", "torch = 1", "peak MiB"], rows)


def _said(what: str) -> str:
    return f"`{what}`" if " " in what and "alone" not in what else called(what)


def _peak(mib: float) -> str:
    return f"{mib:.0f}" if mib else ""


def install() -> str:
    """Sizes and requirements."""
    rows = [
        [
            f"{called(r['package'])} {r['version']}",
            f"{r['own_mib']:.1f}",
            str(r["direct"]),
            f"{r['beyond_torch']}, {r['beyond_torch_mib']:.0f} MiB",
            r["licence"],
            r["released"] or "not yet",
        ]
        for r in read("install")["rows"]
    ]
    head = [
        "",
        "itself, MiB",
        "requires, beside torch",
        "all that brings",
        "licence",
        "wheel built",
    ]
    return table(head, rows)


def memory() -> str:
    """Peaks."""
    rows = [
        [called(r["contestant"]), f"{r['peak_mib']:.0f}", f"{r['added_mib']:.0f}"]
        for r in read("memory")["rows"]
    ]
    return table(["", "peak MiB", "of which the attack"], rows)


def named() -> dict[str, str]:
    """Single numbers by name, such as ``mnist_fgsm_L2_torchattacks_AutoAttack_standard_left``."""
    found: dict[str, str] = {}
    for r in (r for r in games() if r["left"] is not None):
        words = (r["net"], r["norm"], r["library"], r["family"], r["budget"])
        name = re.sub(r"\W", "_", "_".join(words))
        found[f"{name}_left"] = f"{100 * r['left']:.0f} %"
        found[f"{name}_passes"] = f"{r['forward'] + r['backward']:,.0f}"
        found[f"{name}_seconds"] = f"{r['cpu_seconds']:.1f} s"
    found |= {f"start_{r['what']}": f"{r['ratio']:.2f}" for r in read("startup")["rows"]}
    for r in read("install")["rows"]:
        name = called(r["package"])
        found |= {
            f"mib_{name}": f"{r['beyond_torch_mib']:.0f}",
            f"count_{name}": str(r["beyond_torch"]),
        }
    for r in read("memory")["rows"]:
        found["peak_" + re.sub(r"\W", "_", r["contestant"])] = f"{r['added_mib']:.0f} MiB"
    return found


def facts() -> dict[str, str]:
    """Everything that the words of the page name."""
    head, first = read("startup"), read("strength-mnist-fgsm")
    versions = {called(k): v for k, v in head["versions"].items() if k != "saddlepoint"}
    return named() | {
        "versions": ", ".join(f"{k} {v}" for k, v in versions.items() if v),
        "cpu": f"{head['hardware']['cpu']}, {head['hardware']['cores']} cores",
        "date": first["date"][:10],
        "strength_linf": strength("Linf"),
        "strength_l2": strength("L2"),
        "speed_pgd": speed("speed-cpu"),
        "speed_apgd": speed("speed-apgd"),
        "closed_form": closed_form(),
        "startup": startup(),
        "install": install(),
        "memory": memory(),
    }


def page() -> str:
    """The whole page."""
    return Template(WORDS.read_text(encoding="utf-8")).substitute(facts())


def main() -> None:
    """Write the page and its figures, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    text = page()
    if args.check:
        sys.exit(0 if PAGE.read_text(encoding="utf-8") == text else f"{PAGE} is out of date")
    PAGE.write_text(text, encoding="utf-8")
    print(f"-> {PAGE}")
    try:
        from figures import draw
    except ImportError as error:
        print(f"no figures: {error}")
        return
    draw(games(), ROOT / "docs" / "images")


if __name__ == "__main__":
    main()
