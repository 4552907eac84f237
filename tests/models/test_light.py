"""Importing the package stays quick: what is heavy is imported where it is used."""

import subprocess
import sys

import pytest

HEAVY = ("sklearn", "PIL", "onnx", "onnxruntime", "rich", "scipy", "matplotlib")


@pytest.mark.slow
def test_nothing_heavy_is_imported_with_the_packages() -> None:
    code = (
        "import sys, torch\n"
        "before = set(sys.modules)\n"
        "import saddlepoint.data, saddlepoint.models\n"
        f"print(*(set({HEAVY!r}) & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
