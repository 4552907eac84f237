"""What Tab offers, by the protocol that the shells' scripts speak."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from saddlepoint.cli.main import app
from saddlepoint.presets import ATTACKS, THREATS


def offered(line: str) -> list[str]:
    """Complete the last word of a line as bash asks for it."""
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    asked["_SADDLEPOINT_COMPLETE"] = "complete_bash"
    done = CliRunner().invoke(app, [], env=asked, prog_name="saddlepoint")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("saddlepoint au", ["audit"]),
        ("saddlepoint audit --fail-u", ["--fail-under", "--fail-under-certified"]),
        ("saddlepoint audit --threat Li", ["Linf"]),
        ('saddlepoint audit --threat "Rot', ["RotateTranslate"]),
        ("saddlepoint attack --attack FG", ["FGSM"]),
        ("saddlepoint replay run --threat Li", ["Linf"]),
        ("saddlepoint audit --data mn", ["mnist"]),
        ("saddlepoint audit --arch conv-", ["conv-small", "conv-medium"]),
        ("saddlepoint audit --access s", ["scores"]),
        ("saddlepoint audit --effort ", ["quick", "standard", "thorough"]),
        ("saddlepoint train mnist-l2", ["mnist-l2"]),
        ("saddlepoint recipes dig", ["digits"]),
        ("saddlepoint train --loss tr", ["trades"]),
        ("saddlepoint audit --logger ", ["tensorboard", "csv", "wandb", "mlflow"]),
        ("saddlepoint train --logger w", ["wandb"]),
        ("saddlepoint audit --model ne", []),  # the shell goes on with files
    ],
)
def test_tab_offers(line: str, some: list[str]) -> None:
    assert offered(line) == some


def test_every_threat_model_and_attack_is_offered() -> None:
    assert offered("saddlepoint audit --threat ") == list(THREATS)
    assert offered("saddlepoint audit --attack ") == list(ATTACKS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell: str) -> None:
    asked = {"_SADDLEPOINT_COMPLETE": f"source_{shell}"}
    script = CliRunner().invoke(app, [], env=asked, prog_name="saddlepoint").stdout
    assert f"_SADDLEPOINT_COMPLETE=complete_{shell}" in script


def test_zsh_and_fish_are_told_what_each_is() -> None:
    line = {"_TYPER_COMPLETE_ARGS": "saddlepoint audit --attack FGS"}
    line["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    for shell in ("zsh", "fish"):
        asked = {**line, "_SADDLEPOINT_COMPLETE": f"complete_{shell}"}
        said = CliRunner().invoke(app, [], env=asked, prog_name="saddlepoint").stdout
        assert "FGSM" in said
        assert "exact step" in said


@pytest.mark.slow  # each Tab starts Python and imports torch
def test_bash_itself_completes(tmp_path: Path) -> None:
    """--install-completion in an empty home, then Tab in a shell that reads its startup file."""
    tool = tmp_path / "saddlepoint"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m saddlepoint "$@"\n')
    tool.chmod(0o755)
    source = str(Path(__file__).parents[2] / "src")
    env = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": source, "OMP_NUM_THREADS": "1"}
    env["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    asked = """
        saddlepoint --install-completion bash
        . ~/.bashrc
        complete -p saddlepoint
        COMP_WORDS=(saddlepoint audit --threat Li) COMP_CWORD=3
        _saddlepoint_completion saddlepoint
        echo "offered: ${COMPREPLY[*]}"
    """
    done = subprocess.run(
        ["/bin/bash", "--norc", "-c", asked], env=env, capture_output=True, text=True, check=True
    )
    assert "offered: Linf" in done.stdout, done.stdout + done.stderr
