#!/bin/sh
# The two CIFAR-10 recipes for a GPU, each trained, and audited on all 10,000 test images:
#
#   SADDLEPOINT_DATA=DIR benchmarks/gpu.sh                (cifar10-linf with all its 110 epochs)
#   SADDLEPOINT_DATA=DIR benchmarks/gpu.sh --epochs 33    (results/gpu-cifar10.json, there side by side)
#
# Times are in the model cards and reports in runs/. PYTHON chooses the interpreter; torchattacks'
# AutoAttack is asked where it is installed. benchmarks/epoch_time.py sizes the epochs beforehand.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}

audit() {
    run=$1
    shift
    "$python" -m saddlepoint audit --model "runs/$run" --data cifar10 --threat "Linf(eps=8/255)" \
        --precision bfloat16 --n 10000 "$@"
}

"$python" -m saddlepoint train cifar10-linf-fast-gpu --audit-n 0
audit cifar10-linf-fast-gpu --attack "PGD(steps=50, step_size=0.25)" \
    --out runs/cifar10-linf-fast-gpu/pgd50
audit cifar10-linf-fast-gpu --out runs/cifar10-linf-fast-gpu/audit

"$python" -m saddlepoint train cifar10-linf --audit-n 0 "$@"
audit cifar10-linf --out runs/cifar10-linf/audit

for run in cifar10-linf-fast-gpu cifar10-linf; do
    "$python" -c "import torchattacks" 2>/dev/null || break
    "$python" benchmarks/autoattack.py "runs/$run" --device cuda --chunk 500
done
