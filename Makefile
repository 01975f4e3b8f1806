# Every target sets up what it needs. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help setup parts ahead up down status fix check unit browser test metrics docs bench figures chaos screenshots clean

PYTHON ?= $(or $(shell command -v python3.11),python3)
BIN := .venv/bin
READY = .venv/ready$(if $(filter 0,$(LOCAL)),-without-local)
TESTS ?=
# a process that compiles its modules at each start takes seconds longer
unexport PYTHONDONTWRITEBYTECODE
# 0 leaves out the models of this machine (700 MB), as a key or a server of one's own does
MODEL_IN_ENV := $(shell grep -sE '^(export )?SENSORIUM_OPENAI__(API_KEY|BASE_URL)=.' .env | grep -v '=https://api.openai.com/v1$$')
LOCAL ?= $(if $(SENSORIUM_OPENAI__API_KEY)$(SENSORIUM_OPENAI__BASE_URL)$(MODEL_IN_ENV),0,1)
EXTRAS := --extra dev $(if $(filter 0,$(LOCAL)),,--extra local)
BENCH ?=

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## a venv with the locked dependencies

$(READY): requirements.lock build.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not on PATH: install Python 3.11, or name it: make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r build.lock
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --require-hashes -c requirements.lock -r pyproject.toml $(EXTRAS)
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

parts: $(READY) ## fetch and build the servers and the models' weights (once a machine)
	$(BIN)/sensorium parts

up: ahead $(READY) ## run everything on this machine, then send sample traffic through it; LOCAL=0 without models
	$(BIN)/sensorium up
	$(BIN)/sensorium demo

ahead: # builds the object store while the venv is made; `up` waits for it
	@! command -v $(PYTHON) >/dev/null || $(PYTHON) -m streams.local.ahead &

down: $(READY) ## stop what `make up` started; the data stays
	$(BIN)/sensorium down

status: $(READY) ## what runs
	$(BIN)/sensorium status

fix: $(READY) ## format the code and apply safe fixes
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .

check: $(READY) ## style, types, imports, compose file and Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint Dockerfile docker/objects.Dockerfile

unit: $(READY) ## the quick tests that need no server
	$(BIN)/python -m tests.groups unit

metrics: $(READY) ## sizes of files and functions, docstrings, wide lines
	$(BIN)/python -m tests.layout.sizes

docs: $(READY) ## write docs/reference from settings, metrics, reasons and routes, and the trees of exceptions
	$(BIN)/python -m tests.layout.references
	$(BIN)/python -m tests.layout.exceptions

browser: # for the tests of the console's pages: Debian's chromium, installed where it is missing
	@command -v chromium >/dev/null || { command -v apt-get >/dev/null || { echo "install chromium: the tests of the console use it"; exit 1; }; \
	  as_root=$$([ "$$(id -u)" = 0 ] || echo sudo); $$as_root apt-get update -qq && \
	  $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; }

test: parts $(if $(TESTS),$(findstring browser,$(TESTS)),browser) ## all tests, on real servers of their own; TESTS=tests/unit for some
	TESTS_THOROUGH=1 $(BIN)/python -m $(if $(TESTS),pytest $(TESTS),tests.groups)

bench: parts ## speed and memory beside what one would run instead; BENCH=lanes|dedupe|receiver|sink|recovery|table|receipts|tenants|queue|console|rivals|way|scale for some; BENCH=soak MINUTES=m
	$(BIN)/python -m bench $(BENCH)

figures: $(READY) ## write the last runs of rivals, way and scale from var/bench into docs/benchmarks.md
	$(BIN)/python -m bench.page

chaos: parts ## faults on a stack of its own; FAULT=name,name SEED=n MINUTES=m; FAULT=all for every fault
	$(BIN)/python -m tests.chaos --fault "$(FAULT)" --seed $(or $(SEED),1) --minutes $(or $(MINUTES),0)

screenshots: $(READY) ## pictures of the console into docs/console; SENSORIUM_TEST_STACK names running servers
	$(BIN)/python -m tests.browser.screenshots docs/console

clean: ## remove the venv and caches; the data in var/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
