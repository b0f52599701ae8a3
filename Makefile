PYTHON ?= python3
# What `make check` runs after the static checks; `make check SUITE=` runs those alone.
SUITE ?= test

python := .venv/bin/python
# Shaped like production, and good for nothing.
deployed := env -u LOCAL -u EMAIL_DIGEST_KEY DATABASE_URL=postgresql:///petition EMAIL_URL=smtp://localhost:25 SITE_URL=https://example.org \
	CONTACT_EMAIL=a@example.org CONTROLLER=Us HOSTING_COUNTRY=IS DONATE_URL=https://example.org ALLOWED_HOSTS=example.org \
	SECRET_KEY=check-0123456789-abcdefghijklmnopqrstuvwxyz-0123456789
compile := $(python) -m uv pip compile pyproject.toml --quiet --generate-hashes --universal --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate

# Languages without the admin, and what is read there alone.
PARTLY := de fr es
FOR_STAFF := 'templates/admin/*' 'petition/admin/*' 'petition/staff/*' 'petition/moderation/*' 'petition/models/*' 'petition/management/*' \
	'campaign/admin.py' 'campaign/models.py' 'petition/retention.py' 'petition/organisation.py' 'petition/live_settings.py' 'config/*'
collect := $(python) manage.py makemessages --no-obsolete --no-location --ignore var --ignore tests --ignore .venv

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

run: export LOCAL := 1
run: venv ## Run the product on http://127.0.0.1:8000 (PORT=…), with database, worker and example content
	@$(python) -m config.local run

test: export LOCAL := 1
test: venv ## Run the test suite, side by side (ARGS=tests/counts)
	@$(python) -m config.local test $(ARGS)

coverage: export LOCAL := 1
coverage: export COVERAGE_FILE := $(CURDIR)/var/coverage/data
coverage: venv ## Run the test suite and tell which lines of the product it does not reach (ARGS=tests/counts)
	@rm -rf var/coverage && mkdir -p var/coverage
	@COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml $(python) -m config.local test $(ARGS)
	@$(python) -m coverage combine --quiet && $(python) -m coverage report

check: lint $(SUITE) ## Run everything that CI runs: style, types, migrations, deployment settings, tests

lint: venv
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy .
	$(python) -m djhtml --tabwidth 2 --check $$(find templates -name '*.html')
	LOCAL=1 VAR_DIR=var/lint $(python) -m config.local manage makemigrations --check --dry-run
	@echo manage.py check --deploy; $(deployed) $(python) manage.py check --deploy --fail-level WARNING

manage: export LOCAL := 1
manage: venv ## Run a manage.py command on the local product (CMD="recount")
	@$(python) -m config.local manage $(CMD)

bench: export LOCAL := 1
bench: venv ## Measure speed beside the ceilings of this machine (ARGS="--quick"); needs wrk and nginx
	@$(python) -m bench $(ARGS)

spike: export LOCAL := 1
spike: venv ## Simulate the busiest afternoon (ARGS="--minutes 1"); needs wrk and nginx
	@$(python) -m bench.spike $(ARGS)

nodes: venv ## Rehearse the site on several machines, and kill one of each (ARGS="--seconds 60"); needs root, pgbouncer
	@$(python) -m bench.nodes $(ARGS)

soak: export LOCAL := 1
soak: venv ## Prove the count under load and against a model (ARGS="--minutes 1 --operations 1000")
	@$(python) -m bench.soak $(ARGS)
	@$(python) -m config.local test tests/counts/test_state_machine.py --hypothesis-profile=soak --numprocesses 0

faults: export LOCAL := 1
faults: venv ## Break every part under load and tell what people noticed (ARGS="-k mail"); an hour; needs nginx and Debian's PostgreSQL
	@$(python) -m config.local test tests/faults --override-ini python_files='*.py' --numprocesses 0 --tb short $(ARGS)

lighthouse: export LOCAL := 1
lighthouse: export LIGHTHOUSE_SPEED := 1
lighthouse: venv tests/web/lighthouse/node_modules ## Have Lighthouse judge every page, speed too; needs npm and Chromium
	@$(python) -m config.local test tests/web/test_lighthouse.py --numprocesses 0 -s

tests/web/lighthouse/node_modules: tests/web/lighthouse/package-lock.json
	npm ci --prefix tests/web/lighthouse --ignore-scripts --no-audit --no-fund
	@touch $@

messages: venv ## Collect and compile the translations; needs GNU gettext
	$(collect) --locale ru
	$(collect) $(PARTLY:%=--locale %) $(FOR_STAFF:%=--ignore %)
	$(python) manage.py compilemessages --ignore .venv --ignore var

lock: venv ## Pin all dependencies anew, in deploy/ and tests/web/lighthouse/
	$(compile) -o deploy/requirements.txt
	$(compile) --extra redis -o deploy/requirements-redis.txt
	$(compile) --extra dev -o deploy/requirements-dev.txt
	$(compile) --extra release -o deploy/requirements-release.txt
	if command -v npm > /dev/null; then npm install --prefix tests/web/lighthouse --package-lock-only --ignore-scripts \
		--omit-lockfile-registry-resolved --no-audit --no-fund; fi

# Of what is committed, and the same bytes whenever and wherever it is made (docs/releasing.md).
release: version = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
release: folder := var/release
release: var/tools ## Make the archive of this version with its list of packages (SBOM) in var/release
	@test -z "$$(git status --porcelain)" || { echo "make release: what is not committed would be left out; commit it first."; exit 1; }
	@rm -rf $(folder) && mkdir -p $(folder)
	@git -c tar.umask=0022 archive --format=tar --prefix=petition-$(version)/ HEAD | gzip -9n > $(folder)/petition-$(version).tar.gz
	@var/tools/bin/python -W ignore -m cyclonedx_py requirements --output-reproducible --pyproject pyproject.toml \
		--output-file $(folder)/petition-$(version).cdx.json deploy/requirements.txt
	@cd $(folder) && sha256sum petition-* > SHA256SUMS && cat SHA256SUMS

audit: var/tools ## Ask the advisory database of PyPI about every package that is locked; needs the network
	@for lock in deploy/requirements*.txt; do echo $$lock; \
		var/tools/bin/python -m pip_audit --strict --require-hashes --disable-pip --progress-spinner off --requirement $$lock || \
		{ echo "make audit: either a package above has a known fault, or PyPI's advisories could not be asked: then nothing is known."; \
			exit 1; }; done

var/tools: deploy/requirements-release.txt
	@rm -rf $@ && $(PYTHON) -m venv $@
	@$@/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	@touch $@

# By content, since a checkout changes times.
venv:
	@if ! test -x $(python) || ! cmp -s deploy/requirements-dev.txt .venv/installed.txt; then \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
			{ echo "Python 3.11 or newer is needed; name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }; \
		echo "Installing Python packages into .venv, which takes a minute ..."; \
		$(python) -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear .venv && \
		$(python) -m pip install --quiet --disable-pip-version-check --require-hashes -r deploy/requirements-dev.txt && \
		cp deploy/requirements-dev.txt .venv/installed.txt; \
	fi

.PHONY: help run test coverage check lint manage bench spike nodes soak faults lighthouse messages lock release audit venv
