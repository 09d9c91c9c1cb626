# Everything a person types. Each target sets up .venv by itself; only python3 (3.11 or newer) and make are needed.
PYTHON ?= python3
VENV ?= .venv
ARGS ?=
WORKERS ?= 3
ARCHITECTURE ?= arm64
BIN := $(VENV)/bin
READY := $(VENV)/.installed
BENCH := .venv-bench
PIP := $(BIN)/python -m pip --disable-pip-version-check
SHOW_PROGRESS = while read -r did name _; do case "$$did" in \
    Collecting) printf ' %s' "$${name%%==*}";; \
    Installing) printf '\n unpacking them …';; \
    Successfully) printf ' done\n';; \
    esac; done
LOCK := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.PHONY: help run serve test check simulate-months bench lock clean package deploy-tools

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 17

run: $(READY) ## send the sample events to a throwaway PostgreSQL (or DB_HOST…) and show the rows
	@$(BIN)/hvac-heartbeat run $(ARGS)

serve: $(READY) ## take heartbeats over HTTP on this machine, into a throwaway PostgreSQL (or DB_HOST…)
	@$(BIN)/hvac-heartbeat serve $(ARGS)

test: $(READY) ## run every test against a real PostgreSQL (ARGS="-m 'not slow'" for the quick ones)
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(READY) ## lint, format, types, import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

simulate-months: $(READY) ## compare the sweep with an independent calculation over 1,000 made-up months (ARGS="--seeds 50")
	@$(BIN)/python -m tests.simulated_month $(ARGS)

bench: $(BENCH)/.installed ## measure speed and cost, beside other ways to do it (ARGS=NAME, ARGS=--quick)
	@PYTHONPATH=src $(BENCH)/bin/python -m benchmarks $(ARGS)

package: $(READY) ## build dist/hvac-heartbeat.zip for Lambda (ARCHITECTURE=x86_64 for another than arm64)
	@$(BIN)/python -m deployment.package --architecture $(ARCHITECTURE) $(ARGS)

deploy-tools: $(READY) ## install what checks and emulates a deployment into .venv-deploy (once; some minutes)
	@$(BIN)/python -m deployment.tools

lock: $(READY) ## pin the newest versions into requirements*.txt
	@$(LOCK) requirements.in -o requirements.txt
	@$(LOCK) requirements-dev.in -o requirements-dev.txt
	@for tools in deployment/requirements/*.in; do $(LOCK) $$tools -o $${tools%.in}.txt; done
	@$(LOCK) requirements-bench.in -o requirements-bench.txt

clean: ## remove what the other targets made
	rm -rf $(VENV) $(BENCH) .venv-deploy build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(READY): requirements.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; name one with: make PYTHON=python3.13" if sys.version_info < (3, 11) else 0)'
	@echo "Installing the pinned requirements into $(VENV) (once; a minute or two):"
	@$(PYTHON) -m venv $(VENV)
	@rm -f $@
	@# The pipe has the exit code of its last part, so the file says whether pip came to its end.
	@{ $(PIP) install --progress-bar off --require-hashes -r requirements.txt -r requirements-dev.txt \
	    && $(PIP) -qq install --no-deps --no-build-isolation --editable . && touch $@; } 2>$(VENV)/pip.log | $(SHOW_PROGRESS)
	@test -e $@ || { cat $(VENV)/pip.log; exit 1; }

$(BENCH)/.installed: requirements.txt requirements-bench.txt
	@$(PYTHON) -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip --disable-pip-version-check -qq install --require-hashes -r requirements.txt -r requirements-bench.txt
	@touch $@
