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
    Smaller("README.md", "train digits", "train digits --epochs 3 --audit-n 20", "30 s"),
    Smaller(
        "README.md",
        "--n 200 --verify-seconds 30",
        "--n 20 --effort quick --verify-seconds 1",
        "a minute",
    ),
    Smaller("README.md", "slice(0, 100)", "slice(0, 20)", "20 s"),
    Smaller("README.md", "n=200", "n=20", "20 s"),
    Smaller("docs/access.md", "--n 100", "--n 12", "a minute"),
    Smaller("docs/audit.md", "--n 1000", "--n 20 --effort quick", "30 s"),
    Smaller("docs/audit.md", "slice(0, 200)", "slice(0, 40)", "20 s"),
    Smaller("docs/audit.md", "n = 200", "n = 20", "20 s"),
    Smaller("docs/audit.md", "--n 200", "--n 20 --effort quick", "20 s"),
    Smaller("docs/audit.md", "--verify-seconds 900", "--verify-seconds 2", "15 minutes"),
    Smaller("docs/audit.md", "--eot 20 --votes 21", "--eot 2 --votes 3", "minutes"),
    Smaller("docs/certificates.md", "--n 50 --verify", "--n 20 --verify-seconds 2", "5 minutes"),
    Smaller("docs/coming-from/art.md", "slice(30)", "slice(6)", "a minute"),
    Smaller("docs/coming-from/autoattack.md", "slice(30)", "slice(6)", "a minute"),
    Smaller("docs/coming-from/autoattack.md", "n_queries=5000", "n_queries=200", "10 s"),
    Smaller("docs/coming-from/autoattack.md", "figures=0", "n=2, figures=0", "20 s"),
    Smaller("docs/coming-from/foolbox.md", "slice(30)", "slice(6)", "a minute"),
    Smaller("docs/coming-from/torchattacks.md", "slice(30)", "slice(6)", "a minute"),
    Smaller("docs/combine.md", "--n 200", "--n 20 --effort quick", "30 s"),
    Smaller("docs/concepts/bounds.md", "n=50", "n=20, probes=0", "a minute"),
    Smaller("docs/concepts/bounds.md", "verify=5.0", "verify=1.0", "a minute"),
    Smaller("docs/decisions.md", "--n 200", "--n 50", "10 s"),
    Smaller("docs/environment.md", "epochs = 5", "epochs = 1\naudit_n = 0", "20 s"),
    Smaller("docs/environment.md", "--n 200", "--n 20 --effort quick", "30 s"),
    Smaller("docs/environment.md", "corruptions --model", "corruptions --quick --model", "20 s"),
    Smaller(
        "docs/eot.md",
        "--data digits",
        "--data digits --n 8 --attack 'PGD(steps=2)' --probes 0 --figures 0",
        "minutes",
    ),
    Smaller("docs/eot.md", "torch.rand(8,", "torch.rand(2,", "20 s"),
    Smaller("docs/eot.md", "draws=16", "draws=2", "20 s"),
    Smaller(
        "docs/feature.md",
        "--n 200",
        "--n 8 --attack 'PGD(steps=2)' --probes 0 --figures 0",
        "minutes",
    ),
    Smaller("docs/guides/onnx.md", "--n 50", "--n 20 --probes 0", "20 s"),
    Smaller("docs/guides/onnx.md", "--n 10 --seconds 1", "--n 2 --seconds 1", "20 s"),
    Smaller("docs/guides/onnx.md", "n=30", "n=20, probes=0", "10 s"),
    Smaller("docs/guides/scale.md", "--n 60", "--n 20 --probes 0", "20 s"),
    Smaller("docs/guides/scale.md", "n=30", "n=20, probes=0", "10 s"),
    Smaller("docs/guides/scikit-learn.md", "n=20,", "n=20, probes=0, figures=0,", "20 s"),
    Smaller("docs/minnorm.md", "n=200", "n=50", "10 s"),
    Smaller("docs/minnorm.md", "--n 300", "--n 50", "10 s"),
    Smaller("docs/patch.md", "--n 300", "--n 20 --effort quick", "30 s"),
    Smaller(
        "docs/report.md",
        "--n 200 --survivors 60 --verify-seconds 20",
        "--n 20 --effort quick --verify-seconds 1",
        "two minutes",
    ),
    Smaller("docs/service.md", "--max-queries 200 --n 100", "--max-queries 20 --n 20", "20 s"),
    Smaller("docs/smoothing.md", "digits.toml", "digits.toml --epochs 3", "10 s"),
    Smaller("docs/smoothing.md", "--samples 100", "--samples 10", "minutes"),
    Smaller("docs/spatial.md", "--out run", "--n 20 --effort quick --out run", "30 s"),
    Smaller("docs/spatial.md", "--quick", "--quick --data digits", "two minutes, and MNIST"),
    Smaller("docs/targets.md", "--n 200", "--n 20 --effort quick", "30 s"),
    Smaller("docs/training.md", "digits.toml", "digits.toml --epochs 2 --audit-n 20", "30 s"),
    Smaller("docs/transfer.md", "--n 100", "--n 12 --probes 0 --figures 0", "30 s"),
    Smaller("docs/transfer.md", "--epochs 15", "--epochs 3 --audit-n 0", "30 s"),
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
    NotRun("docs/index.md", "pip install .", "needs the network; pip is not ours"),
    NotRun("docs/first-hour.md", "make demo", "makes an environment; conftest.py makes demo/"),
    NotRun("docs/first-hour.md", "source .venv/bin/activate", "the environment is ours"),
    NotRun("docs/demo.md", "make demo", "makes an environment; tests/docs/conftest.py makes demo/"),
    NotRun("docs/guides/onnx.md", "pip install '.[onnx]'", "needs the network"),
    NotRun(
        "docs/guides/onnx.md",
        'torch.onnx.export(model.eval(), (example,), "exported.onnx", dynamo=False, **names)',
        "warns that it is old; the new exporter needs onnxscript",
    ),
    NotRun("docs/install.md", "pip install .", "scripts/try_wheel.sh does"),
    NotRun(
        "docs/install.md",
        "pip install torch --index-url https://download.pytorch.org/whl/cpu",
        "needs the network; pip is not ours",
    ),
    NotRun("docs/install.md", "pip uninstall saddlepoint", "it is still needed"),
    NotRun("docs/install.md", "rm -rf ~/.cache/saddlepoint", "the user's own"),
    NotRun(
        "docs/install.md",
        "saddlepoint --install-completion",
        "changes a startup file; tests/cli/test_completion.py does it in an empty home",
    ),
    NotRun(
        "docs/install.md",
        "saddlepoint demo --quick --out try",
        "15 s; scripts/try_wheel.sh runs it",
    ),
    NotRun(
        "docs/install.md",
        "saddlepoint replay try/robust --model try/robust-model",
        "scripts/try_wheel.sh runs it",
    ),
    NotRun("docs/environment.md", "pip install '.[environment]'", "needs the network"),
    NotRun(
        "docs/coming-from/robustbench.md",
        "pip install robustbench git+https://github.com/fra31/auto-attack",
        "needs the network",
    ),
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
    Ends("docs/first-hour.md", "--fail-under 0.95", 1, "a promise that does not hold"),
    Ends("docs/verify-vnnlib.md", "--timeout 60", 10, "the answer is sat, whose code is 10"),
)

# Python under these titles is not run: it needs the peer. benchmarks/coming_from.py runs it.
PEERS: dict[str, str] = {
    "ART": "adversarial-robustness-toolbox is in .venv-bench alone",
    "AutoAttack": "pyautoattack is in .venv-bench alone",
    "Foolbox": "foolbox is in .venv-bench alone",
    # Nothing runs this one. CI has no lightning either (neither dev nor the lock does), so there
    # tests/test_lightning.py has stand-ins only and skips its real trainer.
    "Lightning": "lightning is in no environment of ours",
    "RobustBench": "does not import beside torch for the CPU",
    "saddlepoint, where RobustBench is installed": "the same",
    "torchattacks": "torchattacks is in .venv-bench alone",
}

# Packages without which a page is skipped.
NEEDS: dict[str, tuple[str, ...]] = {
    "docs/environment.md": ("kornia",),
    "docs/guides/onnx.md": ("onnx", "onnxruntime"),
    "docs/service.md": ("httpx", "jmespath"),
    "docs/verify-vnnlib.md": ("onnx", "onnxruntime"),
}

# Pages that cannot be read from top to bottom; the test that reads them its own way.
OWN: dict[str, str] = {
    "docs/access.md": "test_access.py",  # asserts what the runs hold
    "docs/ci.md": "test_ci.py",  # a job that is run until a gate fails
    "docs/service.md": "test_service.py",  # the server's port must be free
}


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
