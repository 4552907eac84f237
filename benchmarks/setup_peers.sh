#!/bin/sh
# Makes .venv-bench: torch 2.13.0 for the CPU, saddlepoint from this checkout, and the peers.
#
#   benchmarks/setup_peers.sh            (PYTHON=python3.11 to choose the interpreter)
#
# Peers are installed with --no-deps and under a constraint, so none can replace torch; torchvision
# stays away (it does not import beside the CPU build; none of the pinned peers imports it).
set -eu
cd "$(dirname "$0")/.."
venv=.venv-bench
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
printf '*\n' >"$venv/.gitignore" # the environment hides itself from git

constraint=$(mktemp)
trap 'rm -f "$constraint"' EXIT
echo "torch==2.13.0" >"$constraint"
export PIP_CONSTRAINT="$constraint" PIP_DISABLE_PIP_VERSION_CHECK=1

"$venv/bin/pip" install --quiet torch==2.13.0
"$venv/bin/pip" install --quiet --no-deps -r requirements/bench.txt
"$venv/bin/pip" install --quiet --no-deps --editable .

"$venv/bin/python" - <<'PY'
import importlib.metadata as meta
import importlib.util

import torch

assert torch.__version__.split("+")[0] == "2.13.0", torch.__version__
assert importlib.util.find_spec("torchvision") is None, "torchvision must stay away"
import art.attacks.evasion, foolbox, saddlepoint, torchattacks  # noqa: E401

for name in ("torch", "torchattacks", "foolbox", "adversarial-robustness-toolbox"):
    print(name, meta.version(name))
PY
