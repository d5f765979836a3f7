# The same commands for everyone. `make demo` needs the runtime dependencies only; the rest adds the development ones.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt

# One more than there are processors: some tests wait for a process of their own.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min((os.cpu_count() or 1) + 1, 9))')

# A browser takes a processor of its own beside the servers that it is shown.
BROWSERS ?= 2

# Hundreds of processes are started by the tests: what they import is compiled once.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo desk test e2e toolkits screenshots check faults replicas bench scale conversations questions format clean definitions bundle release versions

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 15

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "positions-mcp needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "The venv module is incomplete. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.runtime: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing positions-mcp into $(VENV) …"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo "Installing the development tools into $(VENV) …"
	@$(PIP) --editable '.[dev]'
	@touch $@

# Toolkits of their own versions of the SDK, apart from the development tools.
$(VENV)-toolkits/.installed: tests/toolkits/requirements.txt tests/toolkits/package-lock.json
	@$(PYTHON) -m venv $(VENV)-toolkits
	@$(VENV)-toolkits/bin/python -m pip install -qq --disable-pip-version-check --requirement tests/toolkits/requirements.txt
	@npm ci --prefix tests/toolkits --silent --no-audit --no-fund --ignore-scripts
	@touch $@

$(VENV)/.e2e: $(VENV)/.dev tests/e2e/install-chromium
	@tests/e2e/install-chromium
	@$(PIP) --editable '.[e2e]'
	@touch $@

demo: $(VENV)/.runtime ## watch an MCP client work with the server on the paper exchange
	@$(BIN)/positions-mcp demo

desk: $(VENV)/.runtime ## decide what a demo agent asks for, on the supervisor's page (paper)
	@$(BIN)/positions-mcp demo --desk --open

test: $(VENV)/.dev ## run every test, on all processors (needs node and npm)
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

e2e: $(VENV)/.e2e ## drive the supervisor's page and the views with a real browser (needs npm; installs Debian's Chromium where it is missing)
	@$(BIN)/python -m pytest -q -n $(BROWSERS) tests/e2e --ignore tests/e2e/measured
	@$(BIN)/python -m pytest -q -s tests/e2e/measured

toolkits: $(VENV)/.dev $(VENV)-toolkits/.installed ## give the tools to toolkits that convert their schemas (needs node and npm)
	@$(BIN)/python -m pytest -q tests/toolkits

screenshots: $(VENV)/.e2e ## the same pages and measures, written into docs
	@$(BIN)/python -m pytest -q -s tests/e2e/measured tests/e2e/test_pages.py --write
	@$(BIN)/python -m pytest -q -k 'manual_shows or desks_page' tests/e2e/test_views.py --write

check: $(VENV)/.dev ## lint, format, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy --platform win32 -m positions_mcp.platforms.windows
	@$(BIN)/python -m pytest -q tests/test_layout.py

bench: $(VENV)/.runtime ## measure what answers cost (needs node and npm); writes benchmarks/RESULTS.md
	@$(BIN)/python -m benchmarks

scale: $(VENV)/.dev ## measure what must stay flat, on both databases; writes benchmarks/SCALE.md (ROWS="close start" for some)
	@$(BIN)/python -m benchmarks scale $(ROWS)

conversations: $(VENV)/.runtime ## play the demo and write the conversations of README and docs (needs node and npm)
	@$(BIN)/python -m benchmarks.conversations

questions: $(VENV)/.dev ## put a catalogue of questions to the server, check the answers, write the sums into README (needs node and npm)
	@cd tests && PYTHONPATH=.. ../$(BIN)/python -m questions

faults: $(VENV)/.dev ## a thousand runs with faults and crashes, sixty killed processes, three replicas, random cases; prints the tables
	@cd tests && ../$(BIN)/python -m faults
	@cd tests && ../$(BIN)/python -m replicas
	@PROJECTION_EXAMPLES=5000 MANDATE_EXAMPLES=300 $(BIN)/python -m pytest -q tests/domain/test_projection_properties.py tests/guard/test_mandate_property.py

replicas: $(VENV)/.dev ## the suites of tools and of self-approval over three servers and PostgreSQL; says what could not be run so
	@$(BIN)/python -m pytest -q -n $(WORKERS) --replicas tests/tools tests/self_approval

format: $(VENV)/.dev ## format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

definitions: $(VENV)/.dev ## write what is published of every tool, one file each
	@cd tests && ../$(BIN)/python -m tools.definitions

bundle: $(VENV)/.dev ## build the bundle that Claude Desktop opens into dist (needs node and npm)
	@$(BIN)/python -m release bundle

release: $(VENV)/.dev ## build and check everything that is released into dist; publishes nothing (needs node and npm)
	@$(BIN)/python -m release

versions: $(VENV)/.dev ## write the program's version into every file that names it
	@$(BIN)/python -m release versions

clean: ## remove the environment and everything built
	@rm -rf $(VENV) .venv-peer build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
