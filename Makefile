# Everything a developer or a first user runs. `make` alone lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
STAMP := .venv/.installed

# make up SIMULATE=3 UP_ARGS="--name lab"      make test PYTEST_ARGS="-k breaker"      make bench BENCH_ARGS="--json out.json"
SIMULATE ?=
UP_ARGS ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=
MUTANTS_ARGS ?=
SOAK_ARGS ?=

.PHONY: help setup up check test mutants soak lint format types arch generate bench pictures screenshots lock clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

setup: $(STAMP) ## Make .venv with everything, as locked; does nothing when that is done

$(STAMP): requirements/dev.txt pyproject.toml scripts/setup.sh
	@bash scripts/setup.sh
	@touch $@

up: setup ## Run a controller and an agent for this machine's Docker Engine (SIMULATE=3: simulated hosts)
	@exec $(BIN)/seawall up $(if $(SIMULATE),--simulate $(SIMULATE)) $(UP_ARGS)

# Half as many again as there are processors: many tests wait for a Docker Engine or for processes of their own.
WORKERS ?= $(shell echo $$(( ($$(nproc 2>/dev/null || echo 2) * 3 + 1) / 2 )))

# One after the other, the quick ones first, also under make -j.
check: setup ## Everything that has to be green: lint, types, architecture, tests
	@$(MAKE) lint
	@$(MAKE) types
	@$(MAKE) arch
	@$(MAKE) test

test: setup ## All tests, those against a real Docker Engine of their own included
	$(BIN)/pytest -n $(WORKERS) $(PYTEST_ARGS)

# What `test` tries some dozens or hundreds of times; the figures at the end are what docs/guarantees.md may claim.
soak: export SEAWALL_SIMULATION_SEEDS ?= 50000
soak: export SEAWALL_POWER_LOSSES ?= 200000
soak: export SEAWALL_KILLS ?= 2000
soak: export SEAWALL_DOCKER_FAULTS ?= 300
soak: export SEAWALL_SEQUENCES ?= 5000
soak: export SEAWALL_UPDATE_STEPS ?= 10
soak: export SEAWALL_GATE_SEEDS ?= 1000
soak: export SEAWALL_LEAK_COMMANDS ?= 1000000
soak: setup ## The tests of delivery and of the gates ten times as often and more; takes hours, ends with its figures
	$(BIN)/pytest -n auto --timeout=86400 tests/simulation tests/simulator tests/chaos tests/engine/test_leaks.py tests/system/test_projections.py $(SOAK_ARGS)

mutants: setup ## Small errors put into the core one by one: its tests notice nine of ten, or it fails; takes minutes
	$(BIN)/python scripts/mutants.py $(MUTANTS_ARGS)

lint: setup ## Style and likely bugs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: setup ## Put the code into the one format
	$(BIN)/ruff check --fix --select I .
	$(BIN)/ruff format .

types: setup ## Strict type check of src
	$(BIN)/mypy

arch: setup ## Who may import whom, what is pure, what is public
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -q tests/architecture

generate: setup ## Write what is made from the declarations of operations: the client's methods, tables of the documentation
	$(BIN)/python scripts/generate.py

bench: setup ## What a command costs, beside the bare round trip of the same run
	$(BIN)/python -m bench $(BENCH_ARGS)

# The experiments of docs/explain/resilience.md. The seeds are fixed, so they change only with the code.
pictures: setup ## Draw the pictures of the documentation anew
	for scenario in overload dead outage very-flaky; do \
		$(BIN)/seawall simulate $$scenario --against naive --seeds 1 --plot docs/explain/$$scenario.png; \
	done

# Real pages of a controller with simulated hosts, in Debian's Chromium.
screenshots: setup ## Draw the pictures of the dashboard anew
	PYTHONPATH=. $(BIN)/python scripts/screenshots.py

# The newest versions that pyproject.toml allows, each with its hashes, for every supported Python and platform.
lock: setup ## Lock the requirements anew
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --quiet \
		--output-file requirements/dev.txt

clean: ## Remove what can be made again, .venv included
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find src tests compat bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
