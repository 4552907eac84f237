"""Started as a script, so that the package around it, and with it torch, is not imported."""

import importlib
import sys
from pathlib import Path

__all__: list[str] = []

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    importlib.import_module("courier.main").main()
