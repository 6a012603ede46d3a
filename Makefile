# Two commands matter: `make run` and `make test`. Both set up all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash

.PHONY: help run demo test lint types contracts unit soak bench docs pictures golden clean

help: ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

run: $(VENV)/.run ## start the daemon; CONFIG=file.yaml uses a configuration
	@exec $(BIN)/breakeven run $(if $(CONFIG),--config.file "$(CONFIG)")

demo: $(VENV)/.run ## start the daemon on the bundled simulator
	@exec $(BIN)/breakeven demo

test: $(VENV)/.dev ## set up and run lint, types, contracts and all tests
	@.ci/tools
	@$(MAKE) --no-print-directory lint types contracts unit

lint: $(VENV)/.dev ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## types
	$(BIN)/mypy

contracts: $(VENV)/.dev ## who may import whom
	$(BIN)/lint-imports

# What computes runs beside what waits for real processes; either alone leaves a core idle.
unit: $(VENV)/.dev ## the tests alone
	@mkdir -p .cache
	@export PATH="$(CURDIR)/.cache/tools/usr/bin:$(CURDIR)/$(BIN):$$PATH"; \
	$(BIN)/pytest --ignore=tests/e2e -o cache_dir=.cache/pytest >.cache/unit.log 2>&1 & others=$$!; \
	trap 'kill $$others' INT TERM; \
	$(BIN)/pytest tests/e2e; status=$$?; \
	wait $$others || status=1; \
	cat .cache/unit.log; exit $$status

soak: $(VENV)/.dev ## over an hour: misery, kills, long fuzzing, TimescaleDB, a real vLLM (3.4 GB), a llama.cpp compiled here; PART=misery for some
	@.ci/tools soak
	@PART="$(PART)" .ci/soak

bench: $(VENV)/.dev ## what the daemon costs, into tests/bench/BENCHMARKS.md; half an hour; PART=store for one part, PART=later for what two hours show
	@.ci/tools
	PATH="$(CURDIR)/.cache/tools/usr/bin:$$PATH" $(BIN)/python -m tests.bench $(addprefix --part ,$(PART))

golden: $(VENV)/.dev ## regenerate golden results; review the diff
	$(BIN)/pytest -q tests/contract --update-golden

docs: $(VENV)/.dev ## regenerate METRICS, CONFIG, MONEY, ALERTS, COMMANDS and RELIABILITY.md and the dashboards
	$(BIN)/python -m collector.export.docs deploy
	$(BIN)/python -m collector.cli.docs deploy/COMMANDS.md
	$(BIN)/python -m tests.reliability
	$(BIN)/python grafana/generate.py

pictures: $(VENV)/.dev ## take the pictures of the page anew, from the demo, with Chromium
	@.ci/tools
	PATH="$(CURDIR)/.cache/tools/usr/bin:$$PATH" $(BIN)/python -m tests.pictures

clean: ## remove what was installed here; your data in ./var stays
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist

$(VENV)/.run: pyproject.toml deploy/constraints.txt .ci/venv
	@.ci/venv $(PYTHON) $(VENV) run

$(VENV)/.dev: pyproject.toml deploy/constraints.txt .ci/venv
	@.ci/venv $(PYTHON) $(VENV) dev
