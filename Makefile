# Every target that runs something first runs .ci/prepare, which makes .venv and finds
# or fetches slapd, and says one line when nothing is left to do. The tools it found
# are on PATH for that one command only. 389 Directory Server and Samba, 100 MB to fetch,
# Chromium, 180 MB, and JupyterHub, 100 MB, are for "make test" alone.

# The interpreter that .venv is made with, and those that "make matrix" looks for.
PYTHON ?= python3
PYTHONS ?= 3.9 3.10 3.11 3.12 3.13
# Passed on to pytest, such as: make test PYTEST_ARGS='-k cache -x --vendors ad'
PYTEST_ARGS ?=
# So many processes share the tests of "make test" and "make test-fast"; 0 for one, without others.
PYTEST_WORKERS ?= 2
export PYTHON PYTEST_ARGS

READY = bash .ci/prepare && . ./.cache/env.sh
comma := ,
# Which test holds on which server; docs/directories.md has a copy.
MATRIX = .cache/matrix.md

READY_ALL = bash .ci/prepare machine browser && . ./.cache/env.sh

# One environment, one target at a time: two cores are busy with that.
.NOTPARALLEL:
.PHONY: help demo test test-next compose-test test-fast soak fuzz oracle bench bench-site bench-watch bench-import bench-operations lint docs man wheel matrix clean distclean

help: ## Say what there is
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
	    printf '  make %-11s %s\n' "$$name" "$$text"; done

demo: ## Start a directory with sample data and show ldapdb at work
	@$(READY) && ldapdb demo

test: ## Run all tests on all servers, with a table of them; the pure core must be covered
	@$(READY_ALL) && rm -f $(MATRIX) && passed=0 && \
	    { python -m pytest -n $(PYTEST_WORKERS) --dist loadgroup --cov --cov-report=term-missing:skip-covered --matrix $(MATRIX) $(PYTEST_ARGS) || passed=$$?; } && \
	    if [ -e $(MATRIX) ]; then cat $(MATRIX); fi && exit $$passed

test-fast: ## Run the tests that take no time, on OpenLDAP, without coverage, in less than a minute
	@$(READY) && python -m pytest -n $(PYTEST_WORKERS) --dist loadgroup -m 'not slow and not lengthy' --vendors openldap $(PYTEST_ARGS)

# What a release of ldap3 can change: its inner names, logins, TLS, and how long it waits.
NEXT_LDAP3 = ldap3>=2.10.2rc4
NEXT_TESTS = $(addprefix tests/live/test_,client.py contract.py tls.py deadlines.py kerberos.py)

test-next: ## Run the tests of the LDAP client with the newest pre-release of ldap3
	@$(READY_ALL) && rm -rf .cache/next && \
	    pip install --quiet --disable-pip-version-check --no-input --target .cache/next '$(NEXT_LDAP3)' && \
	    export PYTHONPATH="$$PWD/.cache/next" && python -c 'import ldap3; print("with ldap3", ldap3.__version__)' && \
	    python -m pytest -n $(PYTEST_WORKERS) --dist loadgroup $(NEXT_TESTS) $(PYTEST_ARGS)

# Which profiles of compose/compose.yaml are tested, such as: make compose-test PROFILES=openldap,ha
PROFILES ?= all

compose-test: ## Build the images of compose/, start them in a Docker engine and test them
	@bash .ci/prepare $(if $(filter all admin,$(subst $(comma), ,$(PROFILES))),browser) && . ./.cache/env.sh && bash .ci/docker python -m pytest tests/compose --profiles $(PROFILES) $(PYTEST_ARGS)

# Servers are killed, frozen and restarted for so many seconds, and so many inputs are random.
SOAK_SECONDS ?= 900
FUZZ_CASES ?= 100000
# So many answers on each server; ORACLE_ARGS such as '--vendors ad --seed 7'.
ORACLE_COMPARISONS ?= 20000

soak: ## Read and write in eight processes while servers fail, and look for what is lost
	@$(READY) && PYTHONPATH=tests python -m soak --seconds $(SOAK_SECONDS) $(SOAK_ARGS)

fuzz: ## Read random entries and broken answers
	@$(READY) && python -m pytest tests/fuzz --fuzz-cases $(FUZZ_CASES) $(PYTEST_ARGS)

oracle: ## Compare answers about random directories with those of an independent program
	@bash .ci/prepare machine && . ./.cache/env.sh && PYTHONPATH=tests python -m oracle --comparisons $(ORACLE_COMPARISONS) $(ORACLE_ARGS)

BENCH_USERS ?= 100000
BENCH_SECONDS ?= 10
BENCH_ROWS ?= 100000

bench: ## Measure ldapdb beside python-ldap, bonsai, ldap3 and SQLite
	@bash .ci/prepare peers && . ./.cache/env.sh && PATH="$$PWD/.cache/peers-venv/bin:$$PATH" && \
	    export PATH && PYTHONPATH=tests \
	    python -m benchmarks --users $(BENCH_USERS) --seconds $(BENCH_SECONDS) $(BENCH_ARGS)

bench-site: ## Play a site's sessions at a slapd, find how many it carries, draw it
	@bash .ci/prepare peers && . ./.cache/env.sh && PATH="$$PWD/.cache/peers-venv/bin:$$PATH" && \
	    export PATH && PYTHONPATH=tests python -m benchmarks.site --users $(BENCH_USERS) $(BENCH_ARGS) && \
	    python -m benchmarks.plots

bench-watch: ## Measure how soon changes are seen, and that none is missed
	@$(READY_ALL) && PYTHONPATH=tests python -m benchmarks.watch $(BENCH_ARGS)

bench-import: ## Move a database of the host into a slapd, and see what it takes
	@$(READY) && python -m benchmarks.moving --rows $(BENCH_ROWS)

bench-operations: ## Count what each call sends, and fail if it is more than before
	@$(READY) && PYTHONPATH=tests python -m benchmarks --operations

# All shell scripts; .ci/prepare reads the other files of .ci/.
SCRIPTS = $$(grep -lsE '^\#!.*(bash|/sh)$$' .ci/* compose/*/*)

lint: ## Check style and types
	@$(READY) && ruff check . && ruff format --check . && shellcheck --external-sources $(SCRIPTS) && mypy

# Its makers print an advertisement otherwise.
docs: ## Build the pages of docs/ as a site into .cache/site; a warning is an error
	@bash .ci/prepare venv .cache/docs-venv $(PYTHON) --editable '.[cli,docs]' && \
	    NO_MKDOCS_2_WARNING=1 .cache/docs-venv/bin/mkdocs build --strict --quiet

man: ## Write the manual page, docs/ldapdb.1, from the help of the commands
	@$(READY) && PYTHONPATH=tests python -m support.reference

wheel: ## Build the source distribution and the wheel into dist/
	@rm -rf dist && $(READY) && python -m build

matrix: wheel ## Run the fast tests against the wheel on every supported Python found here, on OpenLDAP
	@$(READY) && bash .ci/matrix $(PYTHONS)

clean: ## Remove what builds and tests leave behind
	rm -rf build dist *.egg-info .coverage .coverage.* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./.venv -prune -o -path ./.cache -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove the environment and the fetched servers too
	rm -rf .venv .cache
