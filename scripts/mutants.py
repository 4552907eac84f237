"""Apply known wrong variants to a copy of the source; the law suite must kill every one.

The list is scripts/mutants.toml; ``mutants.py [word ...]`` runs those whose name holds a word.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NO_TESTS = 5  # what pytest ends with where a file has no test of a kind


@dataclass(frozen=True)
class Mutant:
    """A wrong variant: ``old`` becomes ``new`` in ``file``, and ``tests`` must notice."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


def known() -> list[Mutant]:
    """Read the list beside this script."""
    listed = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())["mutant"]
    return [Mutant(**{**m, "tests": tuple(m["tests"])}) for m in listed]


def plant(mutant: Mutant, copy: Path) -> None:
    """Write the mutant into the copy; fail loudly where its pattern is gone."""
    path = copy / "saddlepoint" / mutant.file
    text = path.read_text()
    if text.count(mutant.old) != 1:
        raise SystemExit(
            f"{mutant.name}: pattern found {text.count(mutant.old)} times, not once, in "
            f"{mutant.file}: update scripts/mutants.py\n{mutant.old}"
        )
    path.write_text(text.replace(mutant.old, mutant.new))


def killed(mutant: Mutant) -> bool:
    """Whether the suite fails on a copy of the source with the mutant in it.

    Fast tests first; what they let live meets the slow ones of the same files.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "src"
        shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("__pycache__"))
        plant(mutant, copy)
        return any(fails(mutant, copy, kind) for kind in ("not slow", "slow"))


def fails(mutant: Mutant, copy: Path, kind: str) -> bool:
    """Whether tests of one kind fail on the copy."""
    options = ("-x", "-q", "-m", kind, "-p", "no:cacheprovider")
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", *options, *mutant.tests],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode not in (0, 1, NO_TESTS):
        raise SystemExit(f"{mutant.name}: the tests did not run\n{done.stdout}\n{done.stderr}")
    return done.returncode == 1


def main(words: list[str]) -> int:
    """Print one line per mutant; return 1 when any survives."""
    chosen = [m for m in known() if not words or any(w in m.name for w in words)]
    if not words and not baseline(sorted({t for m in chosen for t in m.tests})):
        print("the suite fails without any mutant: nothing can be learned")  # noqa: T201
        return 1
    survivors = 0
    for mutant in chosen:
        begun = time.perf_counter()
        dead = killed(mutant)
        survivors += not dead
        verdict, spent = "killed  " if dead else "SURVIVED", time.perf_counter() - begun
        print(f"{verdict}  {spent:5.1f} s  {mutant.name}", flush=True)  # noqa: T201
    print(f"{len(chosen) - survivors} of {len(chosen)} killed")  # noqa: T201
    return int(survivors > 0)


def baseline(tests: list[str]) -> bool:
    """Whether the suite passes on the source as it is."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not slow", *tests],
        cwd=ROOT,
        capture_output=True,
    )
    return done.returncode == 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
