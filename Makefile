# make demo and make test are all a newcomer needs; each installs what it needs first.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/lock.txt
# Tests start the command line many times: it must not be compiled anew each time.
PYTEST := env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -q

.PHONY: help install dev demo test check docs dist format bench mutants clean

help:            ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

install: .venv/installed   ## create .venv with saddlepoint in it

dev: .venv/developed       ## install what tests and checks need as well

demo: .venv/installed      ## train two nets on digits, audit both, write a report
	$(BIN)/saddlepoint demo --out demo

test: .venv/developed      ## run every test
	$(PYTEST)

check: .venv/developed     ## format, lint, types, import contract, fast tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(PYTEST) -m "not slow"

docs: .venv/documented     ## build the documentation into site/, strictly
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

dist: .venv/developed      ## build sdist and wheel into dist/, and try the wheel in an environment of its own
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	scripts/try_wheel.sh dist/saddlepoint-*.whl

format: .venv/developed    ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench:           ## measure what this machine has not yet, beside the peers; REFRESH=--refresh: all
	benchmarks/setup_peers.sh
	.venv-bench/bin/python benchmarks/side_by_side.py $(REFRESH)

mutants: .venv/developed   ## apply known wrong variants; the laws must kill them all
	$(BIN)/python scripts/mutants.py

clean:           ## remove environments and caches
	rm -rf .venv .venv-bench .mypy_cache .ruff_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "saddlepoint needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml requirements/lock.txt
	$(PIP) -e .
	@touch $@

.venv/developed: .venv/bin/python pyproject.toml requirements/lock.txt
	$(PIP) -e '.[onnx,dev]'
	@touch $@ .venv/installed

.venv/documented: .venv/bin/python pyproject.toml requirements/lock.txt
	$(PIP) -e '.[docs]'
	@touch $@
