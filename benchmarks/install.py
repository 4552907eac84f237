"""How much an installation brings: sizes, requirements, licence and date, ours and the peers'.

    .venv-bench/bin/python benchmarks/install.py --fetch
    python benchmarks/install.py                             (what is installed here only)

Sizes are those of installed files without byte code. A package's requirements are followed from its
metadata, without extras, to the end; torch and what torch itself requires are left out, since all
have that in common. What is not installed here is put into a temporary folder with ``--fetch`` (by
pip, without its own requirements), or else listed as not counted. ``--fetch`` also asks pip for the
wheel of each package, whose newest file gives the date of the release, and for the newest version
there is.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import record
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SEED, THREADS, MIB = 0, 1, 2**20
PACKAGES = ("saddlepoint", "torchattacks", "foolbox", "adversarial-robustness-toolbox")
SOURCE = Path(__file__).parents[1] / "src" / "saddlepoint"
Known = dict[str, Distribution]


def known(folders: list[str]) -> Known:
    """Distributions by name; the first folder that has one wins."""
    found: Known = {}
    for folder in folders:
        for d in distributions(path=[folder]):
            found.setdefault(canonicalize_name(d.metadata["Name"]), d)
    return found


def needs(d: Distribution) -> Iterator[str]:
    """Names that a plain installation of it requires here."""
    for line in d.requires or ():
        r = Requirement(line)
        if r.marker is None or r.marker.evaluate({"extra": ""}):
            yield canonicalize_name(r.name)


def closure(name: str, there: Known) -> set[str]:
    """All that a package requires, directly or not, itself apart."""
    seen, todo = set(), [name]
    while todo:
        now = todo.pop()
        for other in needs(there[now]) if now in there else ():
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return seen - {name}


def size(name: str, d: Distribution) -> float:
    """MiB of its files, byte code apart; our own are counted where they are written."""
    if name == "saddlepoint":
        paths = [p for p in SOURCE.rglob("*") if p.is_file()]
    else:
        paths = [Path(str(d.locate_file(f))) for f in d.files or ()]
    kept = [p for p in paths if p.suffix != ".pyc" and p.is_file()]
    return sum(p.stat().st_size for p in kept) / MIB


def licence(d: Distribution) -> str:
    """What the metadata say, in a word."""
    said = d.metadata.get("License-Expression") or d.metadata.get("License") or ""
    return re.sub(r" License$", "", said.splitlines()[0]) if said else "unsaid"


def pip(*words: str) -> str:
    """Run pip; what it cannot do is said on its standard error, and costs one entry only."""
    command = [sys.executable, "-m", "pip", *words]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout  # noqa: S603


def fetched(names: set[str], folder: str) -> Known:
    """Install what is missing into a folder, none with its requirements."""
    for name in sorted(names):
        pip("install", "--quiet", "--no-deps", "--target", folder, name)
    return known([folder])


def released(name: str, version: str) -> str | None:
    """The day on which the newest file of the wheel was written."""
    with tempfile.TemporaryDirectory() as folder:
        pip("download", "--quiet", "--no-deps", "--dest", folder, f"{name}=={version}")
        wheels = list(Path(folder).glob("*.whl"))
        if not wheels:
            return None
        with zipfile.ZipFile(wheels[0]) as z:
            day = max(i.date_time[:3] for i in z.infolist())
    return "{}-{:02}-{:02}".format(*day)


def newest(name: str) -> str | None:
    """The newest version that pip knows of."""
    first = re.search(r"\(([\w.]+)\)", pip("index", "versions", name))
    return first[1] if first else None


def row(name: str, there: Known, common: set[str], fetch: bool) -> dict[str, Any]:
    """Everything about one package."""
    d, beyond = there[name], sorted(closure(name, there) - common)
    sizes = {k: size(k, there[k]) for k in beyond if k in there}
    direct = set(needs(d)) - {"torch"}
    ours = name == "saddlepoint"
    return {
        "package": name,
        "version": d.version,
        "newest": newest(name) if fetch and not ours else None,
        "released": released(name, d.version) if fetch and not ours else None,
        "licence": licence(d),
        "own_mib": size(name, d),
        "direct": len(direct),
        "beyond_torch": len(beyond),
        "beyond_torch_mib": sum(sizes.values()),
        "sizes_mib": sizes,
        "not_counted": [k for k in beyond if k not in there],
        "strict": [r for r in d.requires or () if "~=" in r or "==" in r.split(";")[0]],
    }


def main() -> None:
    """Measure what is installed, and fetch what is not if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fetch", action="store_true", help="ask pip for what is missing")
    args = parser.parse_args()
    there = known(sys.path)
    packages = [p for p in PACKAGES if p in there]
    with tempfile.TemporaryDirectory() as folder:
        if args.fetch:
            for _ in range(3):  # what was missing may require more that is
                missing = set().union(*(closure(p, there) for p in packages)) - set(there)
                if missing:
                    there |= {k: d for k, d in fetched(missing, folder).items() if k not in there}
        common = closure("torch", there) | {"torch"}
        rows = [row(p, there, common, args.fetch) for p in packages]
    shown = [{k: v for k, v in r.items() if k not in ("sizes_mib", "strict")} for r in rows]
    record.table("installation, beyond torch and what it requires", shown)
    what = "installed sizes without byte code, requirements followed without extras"
    record.write("install", SEED, THREADS, {"what": what, "common": sorted(common), "rows": rows})


if __name__ == "__main__":
    main()
