# Two commands matter: `make run` and `make test`. Everything they need they install into .venv and node_modules.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.12 || command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMPS := .stamps
FRONTEND_SOURCES := $(shell find frontend/src widgets -type f 2>/dev/null) $(wildcard frontend/*.json frontend/*.ts frontend/*.js frontend/*.html frontend/scripts/*) schema.graphql
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
NPM := npm --prefix frontend --no-update-notifier --loglevel=error

.PHONY: help run test check format bench frontend schema lock clean test-python test-frontend test-tools

help:
	@echo "make run      installs, builds and starts Okno with its demo company; PORT=8000, OKNO_DATA_DIR=.okno"
	@echo "make test     installs the tests' tools and runs all tests"
	@echo "make check    format, lint, types, import rules, schema, migrations, manifests, policies: in seconds"
	@echo "make format   formats and mends what the linters can mend"
	@echo "make bench    measures, and prints ratios to limits of the same run"
	@echo "make schema   writes schema.graphql anew from the code"
	@echo "make lock     pins Python's packages anew (needs uv)"

run: $(STAMPS)/python frontend/dist/index.html
	@exec $(BIN)/okno up

test: test-tools $(STAMPS)/python-dev frontend/dist/index.html test-frontend test-python

test-python: $(STAMPS)/python-dev frontend/dist/index.html
	@$(BIN)/pytest $(PYTEST_ARGS)

test-frontend: $(STAMPS)/npm
	@$(NPM) test

# Debian packages of the tests: a browser and a real directory server
test-tools:
	@tests/install-tools.sh

check: $(STAMPS)/python-dev $(STAMPS)/npm
	@$(BIN)/ruff format --check --quiet . && echo "format        ok"
	@$(BIN)/ruff check --quiet . && echo "lint          ok"
	@$(BIN)/mypy --no-error-summary && echo "types         ok"
	@$(BIN)/lint-imports --no-cache >$(STAMPS)/imports.log 2>&1 && echo "import rules  ok" || { cat $(STAMPS)/imports.log; exit 1; }
	@$(BIN)/okno check && echo "deployment    ok"
	@$(NPM) run --silent check && echo "front end     ok"

format: $(STAMPS)/python-dev $(STAMPS)/npm
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix . && $(NPM) run --silent format

bench: $(STAMPS)/python-dev frontend/dist/index.html
	@$(BIN)/python -m bench.run

schema: $(STAMPS)/python
	@$(BIN)/okno schema print > schema.graphql.new && mv schema.graphql.new schema.graphql

# uv resolves for both Pythons and knows no addresses when it exports
lock:
	@uv lock --quiet
	@uv export --quiet --frozen --no-emit-project --no-header --no-annotate --extra build --format requirements-txt > requirements.lock
	@uv export --quiet --frozen --no-emit-project --no-header --no-annotate --extra build --extra dev --format requirements-txt > requirements-dev.lock
	@rm -f uv.lock

frontend: frontend/dist/index.html

clean:
	rm -rf .venv $(STAMPS) frontend/node_modules frontend/dist build

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 13) else f"Okno needs Python 3.11 or 3.12, {sys.executable} is {sys.version.split()[0]}; set PYTHON=/path/to/python3.11")'
	@echo "Making a Python environment in .venv …"
	@$(PYTHON) -m venv .venv

$(STAMPS)/python: requirements.lock pyproject.toml | .venv/bin/python
	@echo "Installing Python packages (about a minute) …"
	@$(PIP) --require-hashes --requirement requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/python-dev: requirements-dev.lock $(STAMPS)/python
	@echo "Installing Python packages of the tests …"
	@$(PIP) --require-hashes --requirement requirements-dev.lock
	@touch $@

$(STAMPS)/npm: frontend/package-lock.json
	@command -v node >/dev/null || { echo "Okno needs Node 20 or newer to build its web application; none was found." >&2; exit 1; }
	@echo "Installing npm packages (about a minute) …"
	@$(NPM) ci --no-audit --no-fund >/dev/null
	@mkdir -p $(STAMPS) && touch $@

frontend/dist/index.html: $(STAMPS)/npm $(FRONTEND_SOURCES)
	@echo "Building the web application …"
	@mkdir -p $(STAMPS) && $(NPM) run --silent build >$(STAMPS)/frontend.log 2>&1 || { cat $(STAMPS)/frontend.log; exit 1; }
	@touch $@
