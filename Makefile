# Every task of this repository. `make` lists the targets.
# Needs `make` and `python3` (3.11 or newer, with its venv module). The lock files bring every other tool.

PYTHON ?= python3
PORT ?= 3000
PARAMS ?=
TESTS ?= tests client/tests
PROFILE ?= long
ARCH ?= arm64

# The architecture of this machine, by Lambda's name.
host_arch := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)

venv := .venv
bin := $(venv)/bin
venv_stamp := $(venv)/.locked
run_stamp := $(venv)/.run-locked
bench_stamp := $(venv)/.bench-locked
docs_stamp := $(venv)/.docs-locked
checkov := build/checkov
checkov_stamp := $(checkov)/.locked
awscli := build/aws-cli
awscli_stamp := $(awscli)/.locked
locks := layers/common/requirements.txt requirements/dev.txt
sources := admin client dev functions layers/common tests

# Programs find the virtual environment's Python as `python3`, ahead of the machine's own.
# `exec` replaces the shell, so that a SIGTERM to make reaches the program.
tool := exec env PATH="$(CURDIR)/$(bin):$$PATH"

pytest := $(bin)/python -m pytest

# Each target starts many processes that load the same modules: bytecode is written even where the environment forbids it.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Every target with a help text is phony.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))
export PORT PARAMS INSTANCES QUIET CLEAN NETWORK

help:  ## list these targets
	@awk 'BEGIN {FS = ":.*?## "; print "make TARGET, where TARGET is one of"} \
	  /^[a-z-]+:.*## / {printf "  %-20s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo 'Variables: PORT=3000 and PARAMS="TokenTtlSeconds=60 ..." for run and sam-local, QUIET=1 and CLEAN=1 for run,'
	@echo '           INSTANCES=2 for run: instances of each function, NETWORK=aws for run and bench-api: a model of delays,'
	@echo '           TESTS=tests/unit for test, PROFILE=default for a short test-stress,'
	@echo '           ARCH=arm64 (default) or x86_64 for build and layer, PYTHON=python3.13 for venv.'

run: $(run_stamp)  ## run the whole service on this machine, in the foreground (Ctrl-C stops it; CLEAN=1 deletes all state first)
	@$(bin)/python -m dev.local --exit-with-parent

demo: $(run_stamp)  ## show an upload that is killed half way, resumed, completed and compared
	@$(bin)/python -m dev.local.demo

# Tests of the local service as processes: under kills, faults, full disks and expired times, and every client over HTTP.
local_suites := tests/e2e tests/examples/test_browser.py tests/examples/test_local_exposure.py tests/examples/test_python.py \
  tests/integration/test_local_command.py tests/integration/test_local_unusable_state.py

# A run of all tests leaves these out: `make test-local` and `make test-stress` run them.
test: $(venv_stamp)  ## run the tests of a change: units, contracts, functions, template, every route over HTTP; coverage floor (TESTS=path: those only, no floor)
	$(pytest) $(TESTS) $(if $(filter tests,$(TESTS)),$(addprefix --ignore=,$(local_suites)) --numprocesses=3 --dist=loadfile \
	  --hypothesis-profile=commit --cov --cov-report=term)

test-local: $(venv_stamp)  ## run the end-to-end tests: the local service under kills, faults and full disks, and its clients
	$(pytest) $(local_suites) --numprocesses=4 --dist=loadfile

test-quick: $(venv_stamp)  ## run the fast unit tests: no server, no stress test, under 20 seconds
	$(pytest) tests/unit -m "not stress and not slow" --numprocesses=2 --dist=loadfile --hypothesis-profile=commit -q

# A quarter of an hour each. `make prove-kill` runs the first; the second: TESTS="-m stress tests/e2e/test_damaged_state.py".
long_proofs := tests/e2e/test_kill_rounds.py tests/e2e/test_damaged_state.py

test-stress: $(venv_stamp)  ## run stress and property tests with thousands of examples (minutes; PROFILE=default: fewer)
	$(pytest) tests client/tests -m "stress or hypothesis" --numprocesses=3 --dist=loadfile --hypothesis-profile=$(PROFILE) $(addprefix --ignore=,$(long_proofs))

test-backends: $(venv_stamp)  ## run contract and race tests on SeaweedFS, DynamoDB Local, LocalStack (Java, npm, Python 3.13)
	@$(tool) PYTHONPATH=.:layers/common sh -c '. dev/layer/runtime-python.sh && exec "$(bin)/python" -m tests.backends $(if $(ROUNDS),--rounds=$(ROUNDS)) $(ARGS)'

test-clients: $(venv_stamp)  ## download with curl, wget, aria2, requests and Chromium, upload with clients of tus, over lines that break
	$(pytest) tests/clients --numprocesses=2 --dist=loadfile

fuzz: $(venv_stamp)  ## check generated requests to the local service against the OpenAPI document for two minutes (FUZZ_SECONDS=60: shorter)
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.fuzz.run $(if $(SEED),--seed $(SEED)) $(if $(FUZZ_SECONDS),--seconds $(FUZZ_SECONDS))

audit-deps: $(venv_stamp)  ## check that every pin has a hash, show pin ages, run pip-audit where it is installed
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.dependency_audit

lint: $(venv_stamp)  ## check formatting, lint rules, types, the direction of imports, file lengths and the words in use
	$(bin)/ruff format --check .
	$(bin)/ruff check .
	$(bin)/mypy
	PYTHONPATH=.:client/src:layers/common $(bin)/lint-imports
	$(bin)/python -m dev.lint.structure
	$(bin)/python -m dev.lint.words

# Compiler, rules and formatter of the console's scripts, pinned with hashes. npm installs them on first use.
web_tools := dev/lint/web
web_scripts := functions/web/static web/uppy/src web/uppy/examples web/uppy/tests web/uppy/build.mjs
web_stamp := $(web_tools)/node_modules/.locked

lint-web: $(web_stamp)  ## check types, rules and formatting of the console's and the Uppy plugin's scripts (npm)
	$(web_tools)/node_modules/.bin/tsc --project $(web_tools)
	$(web_tools)/node_modules/.bin/eslint --config $(web_tools)/eslint.config.js --max-warnings 0 $(web_scripts)
	$(web_tools)/node_modules/.bin/prettier --config $(web_tools)/.prettierrc.json --log-level warn --check $(web_scripts)

format: $(venv_stamp)  ## format the code and apply the automatic lint fixes
	$(bin)/ruff check --fix-only --exit-zero --quiet .
	$(bin)/ruff format .

openapi: $(venv_stamp)  ## write docs/openapi.json from the routes and their models
	PYTHONPATH=.:layers/common $(bin)/python -m dev.openapi.document

openapi-check: $(venv_stamp)  ## fail if docs/openapi.json differs from the routes and their models
	PYTHONPATH=.:layers/common $(bin)/python -m dev.openapi.document --check

docs: $(docs_stamp)  ## build the documentation site into build/docs; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(bin)/python -m mkdocs build --strict --site-dir build/docs

build: $(venv_stamp)  ## run sam build for ARCH
	@$(tool) FERRY_ARCHITECTURE=$(ARCH) sh dev/layer/build.sh

layer: $(venv_stamp)  ## build the layer alone for ARCH, in build/layer
	@$(tool) FERRY_ARCHITECTURE=$(ARCH) sh -c '. dev/layer/runtime-python.sh && \
	  ARTIFACTS_DIR="$(CURDIR)/build/layer" $(MAKE) --no-print-directory -C layers/common build-CommonLayer'

lint-template: $(venv_stamp) $(checkov_stamp)  ## lint the templates, then check them with a security linter (checkov)
	@$(tool) PYTHONPATH=.:layers/common sh -c '$(bin)/python -m dev.template.validate template.yaml monitoring.yaml & validation=$$!; \
	  $(bin)/python -m dev.template.checkov $(checkov)/bin/python; checked=$$?; wait $$validation && exit $$checked'

verify-layer: $(venv_stamp)  ## build the layer twice for each architecture: equal bytes, size limit, every function imports
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.layer.verify

deploy-check: $(venv_stamp)  ## deploy to a CloudFormation emulator and compare the created stack with the template
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.deploy_check

runtime-image: $(venv_stamp)  ## build an emulator of Lambda's container image without a registry (Debian, Docker, root)
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.docker image

sam-local: $(venv_stamp)  ## run the built functions in Docker containers behind sam local start-api
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.docker

sam-smoke: $(venv_stamp)  ## build, start in Docker, move files, compare every byte, stop
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.docker smoke

test-sam: $(venv_stamp)  ## type the documented sam commands, then run the events and the end-to-end tests on functions in Docker
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.docker test

lock: $(venv_stamp)  ## resolve the dependencies and write the lock files (UPGRADE=1: to the latest versions)
	@$(tool) sh -c 'compile() { uv pip compile --quiet --no-config --universal --python-version $${python:-3.11} --generate-hashes \
	    --no-emit-index-url --no-header $(if $(UPGRADE),--upgrade) "$$@"; }; unset PIP_FIND_LINKS; \
	  compile layers/common/requirements.in --output-file layers/common/requirements.txt && \
	  compile requirements/dev.in --constraint layers/common/requirements.txt --output-file requirements/dev.txt && \
	  compile requirements/run.in --constraint requirements/dev.txt --output-file requirements/run.txt && \
	  compile requirements/bench.in --constraint requirements/dev.txt --output-file requirements/bench.txt && \
	  compile requirements/docs.in --constraint requirements/dev.txt --output-file requirements/docs.txt && \
	  compile requirements/checkov.in --output-file requirements/checkov.txt && \
	  compile requirements/awscli.in --output-file requirements/awscli.txt && \
	  python=3.13 compile requirements/localstack.in --output-file requirements/localstack.txt'

venv: $(venv_stamp)  ## create the virtual environment from the lock files (every target that needs it does so first)

define check_python
	@command -v $(PYTHON) >/dev/null || { echo "Ferry needs Python 3.11 or newer, and '$(PYTHON)' was not found. Name its path: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Ferry needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name another one: make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$$($(PYTHON) -V) has no venv module. On Debian and Ubuntu run: apt-get install python3-venv" >&2; exit 1; }
endef

# `$(call install,ENVIRONMENT,LOCK)` installs the packages of a lock file into an environment.
install = sh dev/install_lock.sh $(1) $(2)

$(venv_stamp): $(locks)
	$(check_python)
	@$(PYTHON) -m venv --clear $(venv)
	@$(call install,$(venv),requirements/dev.txt)
	@touch $(run_stamp) $@

# The packages of the local service alone: 75 MB to fetch instead of 200. The whole environment has them too.
$(run_stamp): requirements/run.txt
	$(check_python)
	@test -x $(bin)/python || $(PYTHON) -m venv --clear $(venv)
	@$(call install,$(venv),requirements/run.txt)
	@touch $@

# The built layer for this machine, the deployed Python, and the environment of the benchmarks.
bench = $(tool) FERRY_ARCHITECTURE=$(host_arch) sh -c '. dev/layer/runtime-python.sh && \
  ARTIFACTS_DIR="$(CURDIR)/build/layer" $(MAKE) --no-print-directory -s -C layers/common build-CommonLayer && \
  PYTHONPATH=.:layers/common exec python3 -m dev.bench.$(1) $(ARGS)'

bench-cold: $(bench_stamp)  ## measure cold starts from the built layer against a bare S3 client (ARGS="--rounds 3": faster)
	@$(call bench,cold)

bench-speed: $(bench_stamp)  ## measure transfer speed against S3 clients and tus (ARGS="--rounds 1 --size 32": faster)
	@$(call bench,speed)

bench-api: $(bench_stamp)  ## measure uploads by the API against tus, boto3 and s5cmd (NETWORK=aws: with delays before S3 and DynamoDB)
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.bench.api $(ARGS)

bench-small-files: $(bench_stamp) $(awscli_stamp)  ## measure small files by one request and by three, of today and of an earlier commit, and by aws s3 cp
	@$(call bench,small_files)

bench-downloads: $(bench_stamp)  ## measure small files, ranges and redirects a second, of today and of an earlier commit
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.bench.downloads $(ARGS)

load: $(venv_stamp)  ## put load on a stack: URL=https://… (says plan and cost, then asks; YES=1: at once; ARGS="--uploads 100")
	@test -n "$(URL)" || { echo 'load: name the stack: make load URL=https://…' >&2; exit 2; }
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.bench.load "$(URL)" $(ARGS)

# Long proofs. Each writes docs/figures/NAME.json with the command, the commit, the machine, the date and the figures.
prove = $(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.prove

prove-cold: ARGS += --write
prove-cold: bench-cold  ## measure cold starts and write the figures, the plot and the table in docs/performance.md

prove-speed: ARGS += --write
prove-speed: bench-speed  ## measure transfer speed and write the figures, the plot and the table in docs/performance.md

prove-api: ARGS += --write
prove-api: bench-api  ## measure uploads by the API and write the figures, the plot and the table in docs/performance.md

prove-small-files: ARGS += --overhead --write
prove-small-files: bench-small-files  ## measure small files and write the figures, the plot and the table in docs/performance.md

prove-downloads: ARGS += --write
prove-downloads: bench-downloads  ## measure downloads and write the figures, the plot and the table in docs/performance.md

prove-layer: $(venv_stamp)  ## verify the layer and write its sizes and digests
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.layer.verify --write

prove-tests: $(venv_stamp)  ## run the tests and write their number and duration
	@$(prove) tests $(MAKE) --no-print-directory test

prove-stress: $(venv_stamp)  ## run the stress tests and write their number and duration
	@$(prove) stress $(MAKE) --no-print-directory test-stress

prove-races: $(venv_stamp)  ## run 50 rounds of each race on real servers and write the outcomes
	@$(prove) races $(MAKE) --no-print-directory test-backends ROUNDS=50 ARGS="--without-contracts -k race"

prove-append-races: $(venv_stamp)  ## run 1,002 rounds of appends that meet on real servers and write the outcomes
	@$(prove) append-races $(MAKE) --no-print-directory test-backends ROUNDS=334 ARGS="--without-contracts -k race_appends"

prove-kill: $(venv_stamp)  ## kill the service 30 times during uploads, 10 times on a full disk (root), and write what it kept
	@$(prove) kill $(bin)/python -m pytest -m stress tests/e2e/test_kill_rounds.py

prove-listing: $(venv_stamp)  ## list 100,000 files on DynamoDB Local and write rows, read units and duration of a page
	@$(prove) listing $(MAKE) --no-print-directory test-backends ARGS="--without-contracts --rows=100000 -k file_listings"

prove-protocols: $(venv_stamp)  ## run the public suites of tus and the IETF draft: TUS_SUITE=<checkout> IETF_SUITE=<file>
	@test -n "$(TUS_SUITE)" -a -n "$(IETF_SUITE)" || { echo "prove-protocols: TUS_SUITE=<checkout of sagikazarmark/tus-conformance-tests> IETF_SUITE=<rufh_conformity_test.py of tomdesair/tus-java-server>" >&2; exit 2; }
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.protocols "$(TUS_SUITE)" "$(IETF_SUITE)" --write

prove-tus-clients: $(venv_stamp)  ## upload 300 MB by each client of tus, with three cuts and three kills (ARGS="--only tuspy": some; ARGS="--sam": in Docker)
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.protocols.prove_clients --write $(ARGS)

prove-tus-speed: $(bench_stamp)  ## measure tuspy against Ferry and tus-node-server on one S3 server (ARGS="--rounds 3": faster)
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.protocols.speed --write $(ARGS)

prove-many-parts: $(venv_stamp)  ## upload a file of 2,000 parts (10 GB) to a real server and write calls and duration
	@$(prove) many-parts $(MAKE) --no-print-directory test-backends ARGS="--without-contracts --parts=2000 -k many_parts"

prove-lines: $(venv_stamp)  ## move files over models of bad lines and write rates and bytes sent twice (ARGS="--runs 1 --no-others": shorter)
	PYTHONPATH=.:layers/common $(bin)/python -m dev.bench.client_lines --write $(ARGS)

prove-client-install: $(venv_stamp)  ## install the client into fresh environments and write the seconds and the size
	PYTHONPATH=.:layers/common $(bin)/python -m dev.bench.client_install --write $(ARGS)

prove-client-kills: $(venv_stamp)  ## kill ferry 100 times during transfers over bad connections and write what it moved (ARGS="--size 60": smaller)
	PYTHONPATH=.:layers/common $(bin)/python -m dev.bench.client_kills --write $(ARGS)

prove-console-upload: $(venv_stamp)  ## upload 10 GB in Chromium and write how its memory grew (ARGS="--size 1000": 1 GB)
	PYTHONPATH=.:layers/common $(bin)/python -m dev.bench.console_upload --write $(ARGS)

prove-client: $(bench_stamp)  ## measure ferry against the s5cmd, aws-cli and rclone that are installed, and write the figures (ARGS="--large 256": smaller)
	PYTHONPATH=.:layers/common $(bin)/python -m dev.bench.client_speed --write $(ARGS)

docs-figures: $(bench_stamp)  ## draw the plots and tables of docs/performance.md again from docs/figures
	PYTHONPATH=.:layers/common $(bin)/python -m dev.bench.cold --redraw
	PYTHONPATH=.:layers/common $(bin)/python -m dev.bench.speed --redraw
	PYTHONPATH=.:layers/common $(bin)/python -m dev.bench.small_files --redraw
	PYTHONPATH=.:layers/common $(bin)/python -m dev.bench.downloads --redraw
	PYTHONPATH=.:layers/common $(bin)/python -m dev.bench.api --redraw
	PYTHONPATH=.:layers/common $(bin)/python -m dev.bench.api --redraw --network aws

docs-costs: $(bench_stamp)  ## write docs/costs.md and its plot from counted calls and the price table
	PYTHONPATH=.:layers/common $(bin)/python -m dev.bench.cost_page

$(web_stamp): $(web_tools)/package-lock.json
	@command -v npm >/dev/null || { echo "lint-web needs npm. On Debian and Ubuntu run: apt-get install npm" >&2; exit 1; }
	@cd $(web_tools) && npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

# Packages of the benchmarks, installed on first use into the same environment.
$(bench_stamp): $(venv_stamp) requirements/bench.txt
	@$(call install,$(venv),requirements/bench.txt)
	@touch $@

# Packages of the documentation site, installed on first use into the same environment.
$(docs_stamp): $(venv_stamp) requirements/docs.txt
	@$(call install,$(venv),requirements/docs.txt)
	@touch $@

# The security linter's pins conflict with those of the other tools, so it has its own environment.
$(checkov_stamp): $(venv_stamp) requirements/checkov.txt
	@$(PYTHON) -m venv --clear --without-pip $(checkov)
	@$(call install,$(checkov),requirements/checkov.txt)
	@touch $@

# The pins of the AWS CLI conflict with those of boto3, so it has its own environment.
$(awscli_stamp): $(venv_stamp) requirements/awscli.txt
	@$(PYTHON) -m venv --clear --without-pip $(awscli)
	@$(call install,$(awscli),requirements/awscli.txt)
	@touch $@

clean:  ## remove build output and caches; keeps .local, which holds uploaded files
	rm -rf $(venv) build .aws-sam .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(sources) -name __pycache__ -type d -prune -exec rm -rf {} +
