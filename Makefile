# Two commands matter: `make run` and `make test`. Everything they need they install into .venv and node_modules.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# the first that runs and is of a supported version: a shim of pyenv may be there without the Python behind it
PYTHON ?= $(shell for python in python3.12 python3.11 python3 python; do \
	"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && echo "$$python" && break; done)
BIN := .venv/bin
STAMPS := .stamps
FRONTEND_SOURCES := $(shell find frontend/src widgets -type f 2>/dev/null) $(wildcard frontend/*.json frontend/*.ts frontend/*.js frontend/*.html frontend/scripts/*) schema.graphql
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
# npm's own note of what it installed
NODE_MODULES := frontend/node_modules/.package-lock.json
# two workers, one for each core of the smallest machine; tests of one whole stack stay together
PYTEST_ARGS ?= -n 2 --dist loadgroup
NPM := npm --prefix frontend --no-update-notifier --loglevel=error
NPM_CI := npm ci --no-audit --no-fund --no-update-notifier --loglevel=error
# clients and servers of others that the tests and the benches are run against
TEST_PEERS := tests/peers/node_modules/.package-lock.json
BENCH_PEERS := bench/peers/node_modules/.package-lock.json

.PHONY: help run test check format bench frontend schema lock clean test-python test-frontend test-tools audit-deps

help:
	@echo "make run      installs, builds and starts Okno with its demo company; PORT=8000, OKNO_DATA_DIR=.okno"
	@echo "make test     installs the tests' tools and runs all tests"
	@echo "make check    format, lint, types, import rules, schema, migrations, manifests, policies: in seconds"
	@echo "make format   formats and mends what the linters can mend"
	@echo "make bench    measures, and prints ratios to limits of the same run"
	@echo "make audit-deps  known vulnerabilities, licences and age of all that Okno stands on; 2 when nobody could be asked"
	@echo "make schema   writes schema.graphql anew from the code"
	@echo "make lock     pins Python's packages anew (needs uv)"

run: $(STAMPS)/python frontend/dist/index.html
	@exec $(BIN)/okno up

test: test-tools $(STAMPS)/python-dev frontend/dist/index.html test-frontend test-python

test-python: $(STAMPS)/python-dev frontend/dist/index.html $(TEST_PEERS)
	@$(BIN)/pytest $(PYTEST_ARGS)

test-frontend: $(NODE_MODULES)
	@$(NPM) test

# Debian packages of the tests: a browser and a real directory server
test-tools:
	@tests/install-tools.sh

check: $(STAMPS)/python-dev $(NODE_MODULES)
	@$(BIN)/ruff format --check --quiet . && echo "format        ok"
	@$(BIN)/ruff check --quiet . && echo "lint          ok"
	@$(BIN)/mypy --no-error-summary && echo "types         ok"
	@$(BIN)/lint-imports --no-cache >$(STAMPS)/imports.log 2>&1 && echo "import rules  ok" || { cat $(STAMPS)/imports.log; exit 1; }
	@$(BIN)/okno check && echo "deployment    ok"
	@node frontend/scripts/schema-changes.mjs >$(STAMPS)/schema-changes.log 2>&1 && echo "schema changes ok" || { cat $(STAMPS)/schema-changes.log; exit 1; }
	@$(NPM) run --silent check && echo "front end     ok"

audit-deps: $(STAMPS)/python-dev
	@$(BIN)/python -W ignore -m tests.audit_deps

format: $(STAMPS)/python-dev $(NODE_MODULES)
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix . && $(NPM) run --silent format

bench: $(STAMPS)/python-dev frontend/dist/index.html $(BENCH_PEERS)
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
	rm -rf .venv $(STAMPS) frontend/node_modules frontend/dist tests/peers/node_modules bench/peers/node_modules build

# not .venv/bin/python: that is a link, and its time is that of the Python it leads to
.venv/pyvenv.cfg:
	@[ -n "$(PYTHON)" ] || { echo "Okno needs Python 3.11 or 3.12; none was found. Install one, or set PYTHON=/path/to/python3.12." >&2; exit 1; }
	@echo "Making a Python environment in .venv …"
	@"$(PYTHON)" -m venv .venv

$(STAMPS)/python: requirements.lock pyproject.toml .venv/pyvenv.cfg
	@echo "Installing Python packages (about a minute) …"
	@$(PIP) --require-hashes --requirement requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/python-dev: requirements-dev.lock $(STAMPS)/python
	@echo "Installing Python packages of the tests …"
	@$(PIP) --require-hashes --requirement requirements-dev.lock
	@touch $@

$(NODE_MODULES): frontend/package-lock.json
	@command -v node >/dev/null || { echo "Okno needs Node 20 or newer to build its web application; none was found." >&2; exit 1; }
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || { echo "Okno needs Node 20 or newer to build its web application; $$(command -v node) is $$(node --version)." >&2; exit 1; }
	@echo "Installing npm packages (about a minute) …"
	@$(NPM) ci --no-audit --no-fund >/dev/null
	@touch $@

$(TEST_PEERS) $(BENCH_PEERS): %/node_modules/.package-lock.json: %/package-lock.json
	@echo "Installing npm packages of $* …"
	@$(NPM_CI) --prefix $* >/dev/null
	@touch $@

frontend/dist/index.html: $(NODE_MODULES) $(FRONTEND_SOURCES)
	@echo "Building the web application …"
	@mkdir -p $(STAMPS) && $(NPM) run --silent build >$(STAMPS)/frontend.log 2>&1 || { cat $(STAMPS)/frontend.log; exit 1; }
	@touch $@
