"""Makes the helpers beside the tests importable in every import mode."""

import sys
from importlib.util import find_spec
from pathlib import Path

if not (find_spec("onnx") and find_spec("onnxruntime")):
    collect_ignore_glob = ["graphs.py", "test_onnx_*.py"]  # the extra is not installed

sys.path.insert(0, str(Path(__file__).parent))
