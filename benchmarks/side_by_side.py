"""Everything beside the peers, part by part: what ``make bench`` runs.

    .venv-bench/bin/python benchmarks/side_by_side.py       (what this machine has not measured yet)
    .venv-bench/bin/python benchmarks/side_by_side.py --refresh strength startup
    .venv-bench/bin/python benchmarks/side_by_side.py --refresh                      (all of it)
    python benchmarks/side_by_side.py --quick --no-peers                      (does it all run?)

Each part is a benchmark of its own and writes its own files in results/. A part is skipped when its
files say that they were measured on a machine like this one with the versions that are installed
here; an interrupted part goes on or starts again. ``--quick`` measures next to nothing, on digits,
into a temporary folder or the one that ``--results`` names. At the end docs/peers.md and its
figures are written from the files.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import record

HERE = Path(__file__).parent
NETS = ("mnist-fgsm", "mnist-pgd", "cifar-small")


@dataclass(frozen=True)
class Part:
    """A script, its options, those of a quick run, the files it writes, and roughly its minutes."""

    script: str
    options: tuple[str, ...]
    quick: tuple[str, ...]
    files: tuple[str, ...]
    minutes: float
    peers: bool = True  # whether it takes --no-peers


_SPEED = ("--clock", "cpu", "--nets", "mnist-pgd", "--images", "512", "--repeats", "3")
_FAST = ("--clock", "cpu", "--nets", "digits-plain", "--images", "32", "--repeats", "1")
PARTS = {
    "startup": Part("startup.py", (), ("--repeats", "1"), ("startup",), 5, peers=False),
    "install": Part("install.py", ("--fetch",), (), ("install",), 1, peers=False),
    "memory": Part(
        "memory.py",
        (),
        ("--repeats", "1", "--net", "digits-plain", "--images", "32"),
        ("memory",),
        4,
    ),
    "closed form": Part(
        "closed_form.py",
        ("--skip", "RandomSearch()"),
        ("--skip", "RandomSearch()", "--dims", "20"),
        ("closed_form",),
        1,
    ),
    "speed of PGD": Part(
        "speed.py",
        (*_SPEED, "--out", "speed-cpu"),
        (*_FAST, "--out", "speed-cpu"),
        ("speed-cpu",),
        2,
    ),
    "speed of APGD": Part(
        "speed.py",
        (*_SPEED, "--attack", "apgd", "--out", "speed-apgd"),
        (*_FAST, "--attack", "apgd", "--out", "speed-apgd"),
        ("speed-apgd",),
        2,
    ),
    "strength": Part("strength.py", (), ("--quick",), tuple(f"strength-{net}" for net in NETS), 25),
}


def measured(part: Part) -> bool:
    """Whether a machine like this one, with these versions, has written all of its files."""
    now = record.head(0, 1)
    for name in part.files:
        path = record.RESULTS / f"{name}.json"
        if not path.exists():
            return False
        then = json.loads(path.read_text(encoding="utf-8"))
        if then["versions"] != now["versions"]:
            return False
        if any(then["hardware"][k] != now["hardware"][k] for k in ("cpu", "cores")):
            return False
    return True


def run(part: Part, args: argparse.Namespace, results: Path) -> bool:
    """Run one part with what it prints going where ours goes; whether it ended well."""
    words = list(part.quick if args.quick else part.options)
    words += ["--no-peers"] if part.peers and not args.peers else []
    words += ["--refresh"] if part.script == "strength.py" and args.refresh is not None else []
    words += ["--nets", str(args.nets)] if part.script == "strength.py" and args.nets else []
    env = {**os.environ, "SADDLEPOINT_RESULTS": str(results), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(HERE / part.script), *words]
    return subprocess.run(command, env=env, check=False).returncode == 0  # noqa: S603


def chosen(args: argparse.Namespace) -> dict[str, Part]:
    """Return the parts to be run."""
    asked = args.refresh or (list(PARTS) if args.refresh == [] or args.quick else None)
    if asked is not None:
        return {name: PARTS[name] for name in PARTS if name in asked}
    todo = {name: part for name, part in PARTS.items() if not measured(part)}
    for name in PARTS:
        if name not in todo:
            print(f"{name}: measured on this machine already (--refresh {name!r} does it again)")
    return todo


def main() -> None:
    """Run what is to be run, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--refresh", nargs="*", choices=list(PARTS), help="measure these, or all")
    parser.add_argument("--quick", action="store_true", help="does it all run?")
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    parser.add_argument("--results", type=Path, help="where a quick run writes")
    parser.add_argument("--nets", type=Path, help="folder of the CIFAR-10 net, such as runs")
    args = parser.parse_args()
    todo, failed = chosen(args), []
    with tempfile.TemporaryDirectory() as folder:
        results = (args.results or Path(folder)) if args.quick else record.RESULTS
        for k, (name, part) in enumerate(todo.items(), 1):
            rough = "" if args.quick else f", about {part.minutes:g} min on an idle core"
            print(f"\n[{k}/{len(todo)}] {name}{rough}", flush=True)
            begin = time.monotonic()
            if not run(part, args, results):
                failed.append(name)
            print(f"[{k}/{len(todo)}] {name}: {time.monotonic() - begin:.0f} s", flush=True)
        absent = [f for p in todo.values() for f in p.files if not args.quick and not there(f)]
    if not args.quick:
        subprocess.run([sys.executable, str(HERE / "tables.py")], check=False)  # noqa: S603
    if failed or absent:
        sys.exit(f"not measured: {', '.join([*failed, *absent])}")


def there(name: str) -> bool:
    """Whether a result has been written."""
    return (record.RESULTS / f"{name}.json").exists()


if __name__ == "__main__":
    main()
