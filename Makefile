# `make help` lists the targets. Everything is made inside the checkout: .venv/, build/, .chassis/.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv/bin
BOOTSTRAP := host_tools/bootstrap
CC ?= cc
SEEDS ?= 1-20
SECONDS ?= 30

WARNINGS := -std=c99 -O2 -Wall -Wextra -Werror -pedantic -Wconversion
FASTPATH := $(wildcard firmware/fastpath/sipfast*.c)
DATAPLANE := $(if $(filter Linux,$(shell uname -s)),build/libsipplane.so)
SIPLOAD := $(wildcard host_tools/sipload/*.c)
NEED_CC = @command -v $(firstword $(CC)) >/dev/null || { echo "setup: no C compiler $(CC) found;" \
	"install gcc, or name yours with \`make CC=...\`." >&2; exit 1; }

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: run
run: setup micropython ## bring up the emulated demo chassis in the foreground (Ctrl-C ends it)
	$(VENV)/chassis up --demo 100

.PHONY: setup
setup: .venv/.project build/libsipfast.so $(DATAPLANE) build/sipload ## .venv with .venv/bin/chassis, and the C fast path

.venv/.project: pyproject.toml $(BOOTSTRAP)/make_venv.py
	@test -n "$(PYTHON)" || { echo "setup: no Python 3.11 or newer found; install python3." >&2; exit 1; }
	@echo "setup: making .venv; the first time takes half a minute"
	@$(PYTHON) $(BOOTSTRAP)/make_venv.py
	@touch $@

.venv/.test: .venv/.project
	@echo "setup: adding what the tests need to .venv"
	@$(PYTHON) $(BOOTSTRAP)/make_venv.py test
	@touch $@

build/libsipfast.so: $(FASTPATH) $(wildcard firmware/fastpath/*.h)
	$(NEED_CC)
	@mkdir -p build
	$(CC) $(WARNINGS) -shared -fPIC -o $@.new $(FASTPATH)
	@mv $@.new $@

build/libsipplane.so: firmware/fastpath/dataplane_linux.c build/libsipfast.so
	$(NEED_CC)
	@mkdir -p build
	$(CC) $(WARNINGS) -shared -fPIC -o $@.new $< $(FASTPATH)
	@mv $@.new $@

build/sipload: $(SIPLOAD) $(wildcard host_tools/sipload/*.h)
	$(NEED_CC)
	@mkdir -p build
	$(CC) $(WARNINGS) -D_GNU_SOURCE -o $@.new $(SIPLOAD)
	@mv $@.new $@

.PHONY: micropython
micropython: ## build/micropython/micropython, where it can be had without root
	@$(PYTHON) $(BOOTSTRAP)/fetch_micropython.py --optional

.PHONY: micropython-wasm
micropython-wasm:
	@$(PYTHON) $(BOOTSTRAP)/fetch_micropython_wasm.py

.PHONY: test-setup
test-setup:
	@$(PYTHON) $(BOOTSTRAP)/install_peers.py
	@$(PYTHON) $(BOOTSTRAP)/fetch_micropython_wasm.py --optional
	@$(MAKE) --silent --no-print-directory .venv/.test setup micropython

.PHONY: test
test: test-setup ## set up all that is needed and pass every test (portable-wasm where node and npm are)
	$(VENV)/python tests/tools/run_suites.py

.PHONY: test-all
test-all: test-setup ## make test; with CI=true it fails when there is no node or npm
	$(VENV)/python tests/tools/run_suites.py --all

.PHONY: bench
bench: test-setup ## benchmarks beside their peers and limits, as ratios; writes bench.json
	$(VENV)/python -m tests.bench

.PHONY: lint
lint: .venv/.test ## ruff
	$(VENV)/ruff check

.PHONY: sim
sim: test-setup ## the deterministic simulator; SEEDS=A-B
	$(VENV)/python -m tests.sim --seeds $(SEEDS)

.PHONY: fuzz
fuzz: test-setup ## hostile input to every parser; SECONDS=N
	$(VENV)/python -m tests.fuzz --seconds $(SECONDS)

.PHONY: clean
clean: ## remove what was built, but not a chassis's state
	rm -rf build .venv bench.json *.egg-info
