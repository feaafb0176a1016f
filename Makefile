# Everything runs in .venv, which `make install` makes. PYTHON chooses the interpreter, 3.10 or newer.
PYTHON ?= python3
BIN := .venv/bin
# Threads that wait without spinning: on a machine with other work, spinning makes small models ten times slower.
export OMP_WAIT_POLICY ?= PASSIVE
PIP_INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt
# Two processes of one thread each; the tests of a file share one, as they share what it makes.
TWO := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile
CODE := hf_turkembed recipes tests model_cards

.PHONY: install install-dev demo test test-fast test-all test-hub quality style clean

install: .venv/installed

install-dev: .venv/installed-dev

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP_INSTALL) --editable ".[mteb]"
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP_INSTALL) --editable ".[dev]"
	touch $@

demo: install
	$(BIN)/python recipes/demo.py

test: install-dev
	$(TWO) -m "not slow"

test-fast: install-dev
	$(TWO) -m "not slow and not launch"

test-all: install-dev
	$(BIN)/python -m pytest

test-hub: install-dev
	$(BIN)/python -m pytest -m hub

quality: install-dev
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy

style: install-dev
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

clean:
	rm -rf .venv output outbox build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
