"""What is run otherwise than it is printed, and why: the shorter these tables, the better."""

import re
from dataclasses import dataclass

from .fences import Fence


@dataclass(frozen=True)
class Smaller:
    """Run ``run`` wherever ``page`` prints ``printed``; ``*`` stands for every page."""

    page: str
    printed: str
    run: str
    why: str


@dataclass(frozen=True)
class NotRun:
    """A line of a snippet, as printed (a shell's with its continuation lines), that is left out."""

    page: str
    line: str
    why: str


@dataclass(frozen=True)
class Ends:
    """A script whose last command ends with another code than 0, told by a part of its text."""

    page: str
    part: str
    code: int
    why: str


SMALLER: tuple[Smaller, ...] = (
    Smaller("README.md", "digits.toml", "digits.toml --epochs 3 --audit-n 20", "30 s"),
    Smaller("README.md", "--n 1000", "--n 20 --effort quick", "30 s"),
    Smaller("README.md", "slice(0, 100)", "slice(0, 20)", "20 s"),
    Smaller("README.md", "n=200", "n=20", "20 s"),
    Smaller("docs/access.md", "--n 100", "--n 24", "a minute"),
    Smaller("docs/audit.md", "--n 1000", "--n 20 --effort quick", "30 s"),
    Smaller("docs/audit.md", "n = 200", "n = 20", "20 s"),
    Smaller("docs/audit.md", "--n 200", "--n 20 --effort quick", "20 s"),
    Smaller("docs/audit.md", "--verify-seconds 900", "--verify-seconds 2", "15 minutes"),
    Smaller("docs/audit.md", "--eot 20 --votes 21", "--eot 2 --votes 3", "minutes"),
    Smaller("docs/certificates.md", "--n 50 --verify", "--n 20 --verify-seconds 2", "5 minutes"),
    Smaller("docs/combine.md", "--n 200", "--n 20 --effort quick", "30 s"),
    Smaller("docs/decisions.md", "--n 200", "--n 50", "10 s"),
    Smaller("docs/environment.md", "--n 200", "--n 20 --effort quick", "30 s"),
    Smaller("docs/environment.md", "corruptions --model", "corruptions --quick --model", "20 s"),
    Smaller("docs/eot.md", "--data digits", "--data digits --n 20 --effort quick", "minutes"),
    Smaller("docs/feature.md", "--n 200", "--n 12 --effort quick --probes 4", "minutes"),
    Smaller("docs/index.md", "--n 200", "--n 20 --effort quick", "10 s"),
    Smaller("docs/index.md", "slice(0, 100)", "slice(0, 20)", "10 s"),
    Smaller("docs/minnorm.md", "n=200", "n=50", "10 s"),
    Smaller("docs/minnorm.md", "--n 300", "--n 50", "10 s"),
    Smaller("docs/patch.md", "--n 300", "--n 20 --effort quick", "30 s"),
    Smaller("docs/smoothing.md", "digits.toml", "digits.toml --epochs 3", "10 s"),
    Smaller("docs/smoothing.md", "--samples 100", "--samples 10", "minutes"),
    Smaller("docs/spatial.md", "--out run", "--n 20 --effort quick --out run", "30 s"),
    Smaller("docs/spatial.md", "--quick", "--quick --data digits", "two minutes, and MNIST"),
    Smaller("docs/targets.md", "--n 200", "--n 20 --effort quick", "30 s"),
    Smaller("docs/training.md", "digits.toml", "digits.toml --epochs 3 --audit-n 20", "30 s"),
    Smaller("docs/transfer.md", "--n 100", "--n 30", "20 s"),
    Smaller("docs/transfer.md", "--epochs 15", "--epochs 5", "20 s"),
    Smaller("docs/universal.md", "--out run-universal", "--n 50 --out run-universal", "10 s"),
    Smaller("docs/verify.md", "--n 100 --seconds 10", "--n 10 --seconds 1", "a quarter of an hour"),
    Smaller("docs/verify.md", "--n 8 --seconds 20", "--n 3 --seconds 1", "minutes"),
    Smaller("docs/verify.md", "slice(0, 8)", "slice(0, 2)", "a minute"),
    Smaller("docs/verify.md", "seconds=10", "seconds=1", "a minute"),
    Smaller("docs/verify.md", "n=200, verify=900", "n=20, verify=2", "15 minutes"),
)

NOT_RUN: tuple[NotRun, ...] = (
    NotRun("README.md", "make demo", "makes an environment; tests/docs/conftest.py makes demo/"),
    NotRun("README.md", "make test", "this is one of its tests"),
    NotRun("docs/index.md", "pip install saddlepoint", "needs the network; pip is not ours"),
    NotRun("docs/environment.md", "pip install 'saddlepoint[environment]'", "needs the network"),
    NotRun(
        "docs/exact.md",
        "saddlepoint study exact --quick --out exact",
        "five minutes on MNIST; tests/studies/test_exact.py runs it small",
    ),
    NotRun(
        "docs/environment.md",
        "saddlepoint study corruptions --data mnist --out corruptions",
        "minutes on MNIST; tests/studies/test_corruptions.py runs it small",
    ),
    NotRun(
        "docs/training.md",
        "saddlepoint study capacity --quick",
        "six minutes on MNIST; tests/studies/test_capacity.py runs it small",
    ),
    NotRun(
        "docs/arms-race.md",
        "saddlepoint study arms-race --out arms-race",
        "seven minutes on MNIST; tests/studies/test_arms.py runs it small",
    ),
    NotRun(
        "docs/arms-race.md",
        'saddlepoint audit --model arms-race/nets/detector --data mnist --threat "L2(2.0)"'
        ' --attack "FGSM(loss=Unaware())"',
        "needs the nets of that study",
    ),
    NotRun(
        "docs/arms-race.md",
        'saddlepoint audit --model arms-race/nets/detector --data mnist --threat "L2(2.0)"',
        "needs the nets of that study",
    ),
)

ENDS: tuple[Ends, ...] = (
    Ends("docs/verify-vnnlib.md", "--timeout 60", 10, "the answer is sat, whose code is 10"),
)

# Packages without which a page is skipped.
NEEDS: dict[str, tuple[str, ...]] = {
    "docs/environment.md": ("kornia",),
    "docs/service.md": ("httpx", "jmespath"),
    "docs/verify-vnnlib.md": ("onnx", "onnxruntime"),
}

TODO: tuple[str, ...] = ("docs/ci.md", "docs/service.md")


def ends(fence: Fence) -> int:
    """The code that the fence's last command ends with."""
    for end in ENDS:
        if end.page == fence.page and end.part in fence.text:
            return end.code
    return 0


def of_page(page: str) -> list[Smaller]:
    return [c for c in SMALLER if c.page in (page, "*")]


def as_run(fence: Fence) -> str:
    """The text of a fence after the substitutions of its page."""
    text = fence.text
    for change in (c for c in NOT_RUN if c.page == fence.page):
        text = without(text, change.line)
    for smaller in of_page(fence.page):
        text = text.replace(smaller.printed, smaller.run)
    return text


def without(text: str, line: str) -> str:
    """Leave out a line, however it is indented and continued.

    >>> without("pip install \\\\\\n  this\\npython -V\\n", "pip install this")
    'python -V\\n'
    """
    words = r"(?:[ \t]|\\\n)+".join(re.escape(word) for word in line.split())
    return re.sub(rf"^[ \t]*{words}[ \t]*(?:#.*)?\n", "", text, flags=re.MULTILINE)
