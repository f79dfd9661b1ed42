# Ferry: everything one does with it. `make` alone lists it.
# Only `python3` (3.11 or newer, with its venv module) and `make` must be there; every other tool comes with the locks.

PYTHON ?= python3
PORT ?= 3000
PARAMS ?=
TESTS ?= tests
ARCH ?= arm64

# The architecture of this machine, in Lambda's words.
host_arch := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)

venv := .venv
bin := $(venv)/bin
venv_stamp := $(venv)/.locked
bench_stamp := $(venv)/.bench-locked
checkov := build/checkov
checkov_stamp := $(checkov)/.locked
locks := layers/common/requirements.txt requirements/dev.txt
sources := admin dev functions layers/common tests

# Tools find the virtual environment's Python as python3, whatever the machine has.
# exec, so that a SIGTERM to make reaches the program and not a shell in front of it.
tool := exec env PATH="$(CURDIR)/$(bin):$$PATH"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Every target that says what it is for, below, is a name and no file.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))
export PORT PARAMS INSTANCES QUIET

help:  ## list these targets
	@awk 'BEGIN {FS = ":.*?## "; print "make TARGET, where TARGET is one of"} \
	  /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo 'Variables: PORT=3000 and PARAMS="TokenTtlSeconds=60 ..." for run and sam-local, TESTS=tests/unit for test,'
	@echo '           ARCH=arm64 (default) or x86_64 for build and layer, PYTHON=python3.13 for venv.'

run: $(venv_stamp)  ## the whole service on this machine, in the foreground (Ctrl-C stops it)
	@$(bin)/python -m dev.local --exit-with-parent

demo: $(venv_stamp)  ## a real transfer before your eyes: break it, go on, compare the checksums
	@$(bin)/python -m dev.local.demo

test: $(venv_stamp)  ## every test, with the floor on coverage (or TESTS=path for some, without it)
	$(bin)/python -m pytest $(TESTS) $(if $(filter tests,$(TESTS)),--numprocesses=3 --dist=loadfile --cov --cov-report=term)

test-stress: $(venv_stamp)  ## the engine against its model, thousands of schedules (minutes)
	$(bin)/python -m pytest tests/unit/uploads --hypothesis-profile=long

test-backends: $(venv_stamp)  ## contracts and races on SeaweedFS, DynamoDB Local, LocalStack (needs Java, npm, Python 3.13)
	@$(tool) PYTHONPATH=.:layers/common sh -c '. dev/layer/runtime-python.sh && exec "$(bin)/python" -m tests.backends $(if $(ROUNDS),--rounds=$(ROUNDS)) $(ARGS)'

test-clients: $(venv_stamp)  ## downloads by curl, wget, aria2, requests and Chromium, broken off and gone on with
	$(bin)/python -m pytest tests/clients

fuzz: $(venv_stamp)  ## the OpenAPI document against the local service, two minutes: no 5xx, nothing undocumented
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.fuzz.run $(if $(SEED),--seed $(SEED))

audit-deps: $(venv_stamp)  ## hashes and ages of the locks; known vulnerabilities where pip-audit is at hand
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.dependency_audit

lint: $(venv_stamp)  ## formatting, rules, types, and the direction of imports
	$(bin)/ruff format --check .
	$(bin)/ruff check .
	$(bin)/mypy
	PYTHONPATH=.:layers/common $(bin)/lint-imports

format: $(venv_stamp)  ## put the code into the one format, and mend what a machine can mend
	$(bin)/ruff check --fix-only --exit-zero --quiet .
	$(bin)/ruff format .

openapi: $(venv_stamp)  ## write the OpenAPI document from the routes and their models
	PYTHONPATH=.:layers/common $(bin)/python -m dev.openapi.document

openapi-check: $(venv_stamp)  ## fail when the OpenAPI document is not what the routes say
	PYTHONPATH=.:layers/common $(bin)/python -m dev.openapi.document --check

build: $(venv_stamp)  ## sam build, for ARCH
	@$(tool) FERRY_ARCHITECTURE=$(ARCH) sh dev/layer/build.sh

layer: $(venv_stamp)  ## the layer alone, for ARCH, in build/layer
	@$(tool) FERRY_ARCHITECTURE=$(ARCH) sh -c '. dev/layer/runtime-python.sh && \
	  ARTIFACTS_DIR="$(CURDIR)/build/layer" $(MAKE) --no-print-directory -C layers/common build-CommonLayer'

lint-template: $(venv_stamp) $(checkov_stamp)  ## lint the templates, and hold them to a security linter's rules
	@$(tool) sh -c 'for template in template.yaml monitoring.yaml; do \
	  AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 sam validate --lint --template "$$template" || exit 1; done; \
	  PYTHONPATH=.:layers/common exec $(bin)/python -m dev.template.checkov $(checkov)/bin/checkov'

verify-layer: $(venv_stamp)  ## build the layer twice for each architecture: the same bytes, small enough, importable
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.layer.verify

deploy-check: $(venv_stamp)  ## a deploy to a stand-in for CloudFormation, and what is there then compared with the template
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.deploy_check

runtime-image: $(venv_stamp)  ## a stand-in for Lambda's container image, where AWS's registry is out of reach (Debian, Docker, root)
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.docker image

sam-local: $(venv_stamp)  ## the same service behind `sam local start-api`, functions in Docker containers
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.docker

sam-smoke: $(venv_stamp)  ## build, start in Docker, move files through it, stop everything
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.docker smoke

test-sam: $(venv_stamp)  ## the whole end-to-end suite on functions in Docker behind SAM CLI, and each event of events/
	@$(tool) PYTHONPATH=.:layers/common $(bin)/python -m dev.docker test

lock: $(venv_stamp)  ## resolve the dependencies anew (UPGRADE=1: to their latest versions)
	@$(tool) sh -c 'compile() { uv pip compile --quiet --no-config --universal --python-version $${python:-3.11} --generate-hashes \
	    --no-emit-index-url --no-header $(if $(UPGRADE),--upgrade) "$$@"; }; unset PIP_FIND_LINKS; \
	  compile layers/common/requirements.in --output-file layers/common/requirements.txt && \
	  compile requirements/dev.in --constraint layers/common/requirements.txt --output-file requirements/dev.txt && \
	  compile requirements/bench.in --constraint requirements/dev.txt --output-file requirements/bench.txt && \
	  compile requirements/checkov.in --output-file requirements/checkov.txt && \
	  python=3.13 compile requirements/localstack.in --output-file requirements/localstack.txt'

venv: $(venv_stamp)  ## the virtual environment, from the locks (the other targets see to it themselves)

$(venv_stamp): $(locks)
	@command -v $(PYTHON) >/dev/null || { echo "Ferry needs Python 3.11 or newer, and there is no '$(PYTHON)' here. Elsewhere? make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Ferry needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Another one? make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$$($(PYTHON) -V) comes without its venv module here. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "installing into $(venv) (once, a minute or two)"
	@$(PYTHON) -m venv --clear $(venv)
	@$(bin)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: -r requirements/dev.txt
	@touch $@

bench-cold: $(bench_stamp)  ## cold starts from the built layer, beside a bare S3 client (ARGS="--rounds 15 --write")
	@$(tool) FERRY_ARCHITECTURE=$(host_arch) sh -c '. dev/layer/runtime-python.sh && \
	  ARTIFACTS_DIR="$(CURDIR)/build/layer" $(MAKE) --no-print-directory -s -C layers/common build-CommonLayer && \
	  PYTHONPATH=.:layers/common exec python3 -m dev.bench.cold $(ARGS)'

bench-api: $(bench_stamp)  ## warm speed through the API and straight to S3, beside S3's clients and tus (ARGS="--rounds 5 --write")
	@$(tool) FERRY_ARCHITECTURE=$(host_arch) sh -c '. dev/layer/runtime-python.sh && \
	  ARTIFACTS_DIR="$(CURDIR)/build/layer" $(MAKE) --no-print-directory -s -C layers/common build-CommonLayer && \
	  PYTHONPATH=.:layers/common exec python3 -m dev.bench.api $(ARGS)'

docs-costs: $(bench_stamp)  ## docs/costs.md and its plot, from counted calls and the table of prices
	PYTHONPATH=.:layers/common $(bin)/python -m dev.bench.cost_page

# What the measurements need, on top of the rest: nobody who only runs or tests Ferry waits for it.
$(bench_stamp): $(venv_stamp) requirements/bench.txt
	@$(bin)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: -r requirements/bench.txt
	@touch $@

# A security linter with pins of its own.
$(checkov_stamp): $(venv_stamp) requirements/checkov.txt
	@echo "installing into $(checkov) (once, a minute)"
	@$(PYTHON) -m venv --clear $(checkov)
	@$(checkov)/bin/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: -r requirements/checkov.txt
	@touch $@

clean:  ## remove what was built and cached (what was uploaded, .local, stays)
	rm -rf $(venv) build .aws-sam .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(sources) -name __pycache__ -type d -prune -exec rm -rf {} +
