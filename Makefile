# Everything a person or CI runs. `make demo` and `make test` need Python 3.11 and make, nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
RUN := $(VENV)/bin
ARGS ?=
INSTALL = $(RUN)/uv pip install --quiet --compile-bytecode --python $(RUN)/python
# The build backend comes from a lock too, so nothing unpinned runs at set-up.
INSTALL_OURS = $(INSTALL) --require-hashes -r locks/build.txt && $(INSTALL) --no-deps --no-build-isolation -e .
# Kernels are compiled once here, so that nothing compiles while it trades.
WARM = $(RUN)/python -m services.research.engine.warm_up >/dev/null

help:            ## what there is
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(VENV)/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11))' 2>/dev/null \
	  || { echo "Kobe81 needs Python 3.11 or later; install it, or name it: make PYTHON=/path/to/python3.11 demo" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed; on Debian: apt-get install python3-venv" >&2; exit 2; }
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/installer.txt

$(VENV)/.runtime: locks/runtime.txt pyproject.toml | $(VENV)/bin/uv
	@test -f $(VENV)/.dev || $(INSTALL) --require-hashes -r locks/runtime.txt
	@$(INSTALL_OURS)
	@$(WARM)
	@touch $@

$(VENV)/.dev: locks/dev.txt pyproject.toml | $(VENV)/bin/uv
	@$(INSTALL) --require-hashes -r locks/dev.txt
	@$(INSTALL_OURS)
	@$(WARM)
	@touch $@ $(VENV)/.runtime

setup: $(VENV)/.runtime   ## the virtual environment
setup-dev: $(VENV)/.dev   ## the same with what tests and checks need

demo: setup      ## real bars through the whole system, embedded; ARGS="--sessions 50 --pace 1"
	@$(RUN)/kobe demo $(ARGS)

check: setup-dev ## format, lint, types, import contracts, sizes
	$(RUN)/ruff format --check --quiet .
	$(RUN)/ruff check --quiet .
	$(RUN)/mypy
	$(RUN)/lint-imports --no-cache | tail -n 15
	$(RUN)/python -m services.console.reference docs/reference --check
	$(RUN)/python -m pytest -q tests/test_architecture.py

fix: setup-dev   ## format, and mend what the linter can mend
	$(RUN)/ruff check --quiet --fix .
	$(RUN)/ruff format --quiet .

test-fast: setup-dev ## the unit tests that need nothing and take no time
	$(RUN)/python -m pytest -q -n 2 --dist worksteal -m "not slow" tests/unit $(ARGS)

coverage: setup-dev ## the tests with a report of the lines they reach, in htmlcov/
	$(RUN)/python -m pytest -q -m "not e2e" --cov=shared --cov=services --cov-report=html --cov-report=term:skip-covered $(ARGS)

docs: setup-dev  ## the reference pages and the schemas of all messages, made from the code
	$(RUN)/python -m services.console.reference docs/reference

# Files go to two processes: most tests wait for other processes, and their fixtures are per file.
TEST = $(RUN)/python -m pytest -q -n 2 --dist loadfile -m "not e2e"
test: setup-dev  ## everything a fresh machine can run; containers too where Docker answers
	$(TEST) $(ARGS)

e2e: setup-dev   ## the compose stack, end to end (needs Docker)
	$(RUN)/python -m pytest -q -m e2e tests/e2e $(ARGS)

faults: setup-dev ## the tests with their full counts, and docs/FAULTS.md from their report (FULL=0: the quick counts)
	KOBE_FULL=$(or $(FULL),1) $(TEST) --junit-xml=.faults.xml $(ARGS); $(RUN)/python -m tests.faults.table .faults.xml

simulate: setup-dev ## market, signals and trouble drawn from seeds, played by the real services in one process
	$(RUN)/python -m tests.simulate --seeds $(or $(SEEDS),2000)

bench: setup-dev .bench-venv/.ready ## speed and memory, vectorbt and backtesting.py beside; writes docs/BENCHMARKS.md
	$(RUN)/python -m tests.bench.stack
	$(RUN)/python -m tests.bench.research
	$(RUN)/python -m tests.bench.vendors

.bench-venv/.ready: locks/bench.txt | $(VENV)/bin/uv
	@$(RUN)/python -m venv .bench-venv
	@$(RUN)/uv pip install --quiet --python .bench-venv/bin/python --require-hashes -r locks/bench.txt
	@touch $@

secrets: setup   ## passwords, signing keys and the Redis ACL into state/secrets
	@$(RUN)/python -m shared.runtime.provisioning secrets state/secrets

PAPER = docker compose -f docker-compose.yml -f compose/paper.yml
paper:           ## the paper stack; needs keys in .env. Fetches the universe's bars first, and shows how far it is
	$(PAPER) build --quiet init-secrets
	$(PAPER) run --rm data-fetcher kobe data fetch
	$(PAPER) up --detach
	@echo "Starting; docker compose -p kobe-paper run --rm kobe status says when all is well."

live:            ## the live stack; needs keys in .env and an arming file
	docker compose -f docker-compose.yml -f compose/live.yml up --build --detach

LOCK = $(RUN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $(LOCK_ARGS)
lock: | $(VENV)/bin/uv ## resolve the dependencies anew; LOCK_ARGS=--upgrade takes the newest
	$(LOCK) pyproject.toml -o locks/runtime.txt
	$(LOCK) --group installer -o locks/installer.txt
	$(LOCK) --extra dev -c locks/runtime.txt pyproject.toml -o locks/dev.txt
	$(LOCK) --group build -c locks/dev.txt -o locks/build.txt
	$(LOCK) --extra bench -c locks/runtime.txt pyproject.toml -o locks/bench.txt

clean:           ## what can be made again
	rm -rf $(VENV) .bench-venv .mypy_cache .ruff_cache .pytest_cache

.PHONY: help setup setup-dev demo check fix test test-fast coverage docs e2e faults simulate bench secrets paper live lock clean
