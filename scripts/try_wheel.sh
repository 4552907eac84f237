#!/bin/sh
# Installs a wheel into an empty environment, away from the clone, and uses it as a newcomer does.
#
#   scripts/try_wheel.sh dist/saddlepoint-*.whl        (PYTHON=python3.12 to choose the interpreter)
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
wheel=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
unset PYTHONPATH PYTHONDONTWRITEBYTECODE
export PIP_DISABLE_PIP_VERSION_CHECK=1 OMP_NUM_THREADS=1

"${PYTHON:-python3}" -m venv "$place/env"
pip="$place/env/bin/python -m pip"
# Only what is used is compiled, when it is used.
$pip install --quiet --no-compile -c "$root/requirements/lock.txt" "$wheel"
$pip check
cd "$place"
PATH="$place/env/bin:$PATH"

case $(python -c 'import saddlepoint; print(saddlepoint.__file__)') in
    "$place"/env/*) ;;
    *) echo "another saddlepoint was imported" && exit 1 ;;
esac
saddlepoint doctor >doctor.txt
cat doctor.txt
for extra in http onnx environment track bench docs; do
    grep -q "pip install 'saddlepoint\[$extra\]' adds" doctor.txt
done
saddlepoint recipes digits | grep -q '^threat'
saddlepoint demo --quick --out demo
test -s demo/report.html
saddlepoint replay demo/robust --model demo/robust-model
