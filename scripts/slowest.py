"""Choose the tests that ``make check`` leaves to ``make test``, by what they took.

    OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 --dist worksteal -q -m "not slow" \
        --durations=0 --durations-min=0.02 > durations.log
    .venv/bin/python scripts/slowest.py durations.log --seconds 170

Adds the slowest tests of the log to tests/slow.txt, until the others take ``--seconds`` of one
core. tests/conftest.py marks what the file names as slow. A fixture is counted where it was first
set up; when that test goes, the next one pays, so that a second look may be needed.
"""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

LIST = Path(__file__).parents[1] / "tests" / "slow.txt"
_LINE = re.compile(r"([0-9.]+)s (?:call|setup|teardown) +(tests/\S.*)$")


def main() -> None:
    """Read the log, write the list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path)
    parser.add_argument("--seconds", type=float, default=170.0)
    args = parser.parse_args()
    taken: Counter[str] = Counter()
    for line in args.log.read_text().splitlines():
        if found := _LINE.match(line):
            taken[found[2].strip()] += float(found[1])
    left, chosen = sum(taken.values()), set(LIST.read_text().splitlines())
    for name, seconds in taken.most_common():
        if left <= args.seconds:
            break
        chosen.add(name)
        left -= seconds
    LIST.write_text("".join(f"{name}\n" for name in sorted(chosen - {""})))
    sys.stdout.write(f"{len(chosen)} slow tests; the others take {left:.0f} s of one core\n")


if __name__ == "__main__":
    main()
