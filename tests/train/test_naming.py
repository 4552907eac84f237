"""Custom parts of a plan are named alike in every process, and apart from each other."""

import functools
import subprocess
import sys

from saddlepoint.train.naming import name_of


class Half:
    def __init__(self, share: float) -> None:
        self.share = share


def test_names_hold_no_address_and_tell_parts_apart() -> None:
    code = (
        "import functools; from saddlepoint.train.naming import name_of\n"
        "class Half: pass\n"
        "h = Half(); h.share = 0.5\n"
        "print(name_of(lambda x: x + 1), name_of(functools.partial(max, key=abs)), name_of(h))"
    )
    said = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert said[0].stdout == said[1].stdout
    assert "0x" not in said[0].stdout
    assert name_of(lambda x: x + 1) != name_of(lambda x: x + 2)
    assert name_of(functools.partial(max, 1)) != name_of(functools.partial(max, 2))
    assert name_of(Half(0.5)) != name_of(Half(0.25))
    assert name_of(Half(0.5)) == name_of(Half(0.5))
