# The commands of the project. `make demo` and `make test` set up all they need.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help

help:  ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null 2>&1 && $(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; rm -rf $(VENV); exit 1; }
	@$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.serve: $(BIN)/python pyproject.toml
	@echo "installing the runtime (no torch) ..."
	@$(BIN)/python -m pip install --quiet --editable '.[serve]'
	@touch $@

$(VENV)/.test: $(VENV)/.serve
	@echo "installing the test and training tools ..."
	@$(BIN)/python -m pip install --quiet --editable '.[serve,train,test]'
	@touch $@

setup: $(VENV)/.serve  ## create .venv with the runtime
setup-test: $(VENV)/.test  ## create .venv with all that tests and training need

demo: setup  ## run the main job on a simulated company, embedded database, and say where it is served
	@$(BIN)/python -m examples.demo

demo-stop:  ## stop what the demo serves
	@$(BIN)/python -m examples.demo --stop

check: setup-test  ## format, lint, types, import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: setup-test  ## all tests
	$(BIN)/python -m pytest

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: help setup setup-test demo demo-stop check test clean
