"""Makes the helpers beside the tests, and those of the model files, importable in every mode."""

import sys
from importlib.util import find_spec
from pathlib import Path

if not (find_spec("onnx") and find_spec("onnxruntime")):
    collect_ignore_glob = ["test_*onnx*.py"]  # the extra is not installed

here = Path(__file__).parent
sys.path[:0] = [str(here), str(here.parent / "models")]
