# What one does with this working copy. `make` alone lists it.
# `make test`, `make run` and `make check` install what is missing (scripts/install-*) and say so.

CARGO ?= cargo
DATA ?= .rowhouse
PORT ?= 7080

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.NOTPARALLEL:
.DEFAULT_GOAL := help

# One search for the server, in scripts/install-postgres; the programs are told what it found.
ON_SYSTEM_SERVER = ROWHOUSE_POSTGRES_BIN=$$(scripts/install-postgres) && export ROWHOUSE_POSTGRES_BIN &&
ON_SERVER_18 = ROWHOUSE_POSTGRES_BIN=$$(scripts/install-postgres-18) && export ROWHOUSE_POSTGRES_BIN &&
WITH_PGBOUNCER = ROWHOUSE_PGBOUNCER=$$(scripts/install-pgbouncer) && export ROWHOUSE_PGBOUNCER &&
IN_MEMORY = TMPDIR=$$(scripts/test-folder) && export TMPDIR &&
# Tests wait for servers and for clocks: two for each core leave less of it idle.
SIDE_BY_SIDE = RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((2 * $$(getconf _NPROCESSORS_ONLN)))} && export RUST_TEST_THREADS &&
WITH_TOOLS = PATH=$$(scripts/install-tools):$$PATH &&

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  DATA=$(DATA) is where the local server keeps its data, PORT=$(PORT) is where it answers."

# --- Using it -----------------------------------------------------------------------------------------------------------

# A development build: from nothing it takes three quarters of a release build's time, and `make test` uses the same one.
# What serves customers, and what is measured, is built with --release.
.PHONY: run
run: ## Start Rowhouse with its own PostgreSQL at http://localhost:7080
	$(ON_SYSTEM_SERVER) $(CARGO) run --locked -p rowhouse-server -- up --data $(DATA) --port $(PORT)

.PHONY: db.seed
db.seed: ## Fill the local server with two tenants to play with
	$(ON_SYSTEM_SERVER) $(CARGO) run --locked -p rowhouse-server -- seed --data $(DATA)

# --- Changing it --------------------------------------------------------------------------------------------------------

.PHONY: test
test: ## Run the tests against the system's PostgreSQL
	$(ON_SYSTEM_SERVER) $(WITH_PGBOUNCER) $(IN_MEMORY) $(SIDE_BY_SIDE) $(CARGO) test --locked --workspace

.PHONY: test.18
test.18: ## Run the tests against PostgreSQL 18
	$(ON_SERVER_18) $(WITH_PGBOUNCER) $(IN_MEMORY) $(SIDE_BY_SIDE) $(CARGO) test --locked --workspace

# `make test` is for while one works: the wall and what callers see of it, in a minute and a half. Those marked as long are what
# it leaves out: servers that fall, mail and its clocks, guides and commands walked through, what doctor and probe find.
FALLS ?= 4
.PHONY: test.long
test.long: ## Run the tests that take minutes (FALLS=50: as many kills of a service at work)
	$(ON_SYSTEM_SERVER) $(WITH_PGBOUNCER) $(IN_MEMORY) $(SIDE_BY_SIDE) ROWHOUSE_FALLS=$(FALLS) $(CARGO) test --locked --workspace --test it -- --ignored $(LONG)
LONG = --skip doctor::mutants --skip doctor::referees

# That a test is green says little until it was seen to turn red.
.PHONY: mutants
mutants: ## Take the wall down piece by piece, and doctor's rules too, and see that a test notices
	$(ON_SYSTEM_SERVER) $(IN_MEMORY) $(CARGO) test --locked -p rowhouse --test mutants -- --ignored
	$(ON_SYSTEM_SERVER) $(IN_MEMORY) $(CARGO) test --locked -p rowhouse --test it doctor::mutants -- --ignored

# Nothing else should run beside it. ONLY=latency, cpu, tenants, lists, enter, api, foreign or probe measures that part and writes no file.
.PHONY: bench
bench: ## Measure what the wall costs beside its alternatives (writes bench/RESULTS.md)
	$(CARGO) build --release --locked -p rowhouse-server
	$(ON_SYSTEM_SERVER) $(CARGO) run --release --locked -p rowhouse-bench -- $(ONLY)

# The same holds here. MANY=50 SIDE=5 sets up so many and writes no file.
.PHONY: bench.provisioning
bench.provisioning: ## Measure how fast tenants are set up, beside django-tenants (writes bench/PROVISIONING.md)
	$(CARGO) build --release --locked -p rowhouse-server
	$(ON_SYSTEM_SERVER) bench/provisioning $(MANY) $(SIDE)

.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt --all

# Also the second run of all tests, the long ones too, on the newest server: instrumented, they are the same tests.
.PHONY: coverage
coverage: ## Run every test against PostgreSQL 18 and fail below 85 % of lines covered
	$(ON_SERVER_18) $(WITH_PGBOUNCER) $(IN_MEMORY) scripts/coverage -- --include-ignored $(LONG)

.PHONY: check
check: check.begin check.static test test.long check.api check.referees mutants coverage check.clean ## Everything that CI runs, and the mutants

.PHONY: check.static
check.static: ## Only what needs no server: format, clippy, docs, dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps
	$(WITH_TOOLS) $(CARGO) deny --locked check licenses bans sources
	$(WITH_TOOLS) $(CARGO) shear --locked

# An outside tool makes up the requests; the seed is fixed.
.PHONY: check.api
check.api: ## Send 10,000 made-up requests of two tenants and an operator to a running service
	$(ON_SYSTEM_SERVER) $(CARGO) build --locked -p rowhouse-server
	$(ON_SYSTEM_SERVER) scripts/probe-api

.PHONY: check.referees
check.referees: ## Let outside tools judge our schema: pgrls lints and proves, splinter lints
	$(ON_SYSTEM_SERVER) scripts/referees

.PHONY: referees.table
referees.table: ## Compare outside tools with doctor, hole by hole (writes docs/doctor-side-by-side.md)
	$(ON_SYSTEM_SERVER) scripts/referees --table

# Outside of `check`: the answer changes with the day, not with the commit (deny.toml).
.PHONY: advisories
advisories: ## Look for known holes in the dependencies (fetches the advisory database)
	$(WITH_TOOLS) $(CARGO) deny --locked check advisories

# What the tests and the build write beside target/ is generated and committed: it must come out as it was. A change
# of one's own that is not committed yet does not count. The first half writes down the state, the second compares.
TREE_STATE = git status --porcelain && git diff HEAD

.PHONY: check.begin check.clean
check.begin:
	@mkdir -p target && { $(TREE_STATE); } > target/tree-state
check.clean:
	@{ $(TREE_STATE); } | diff target/tree-state - || \
		{ echo "Generated files were not up to date: commit what has changed."; exit 1; }
