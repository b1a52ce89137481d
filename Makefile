# Every command a person or a pipeline runs. `make` alone lists them.
STACK ?= dev
MODEL ?= credit-default
SCORE ?= credit-default=app/data/lending-club/row.json
BASE ?= main

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
unexport PYTHONDONTWRITEBYTECODE # without .pyc files every start compiles the SDKs anew

PYTHON := .venv/bin/python
APP := app/.venv/bin/python
UV = $$(lab/uv)
LAB := eval "$$($(PYTHON) -m lab env $(STACK))" &&
FERRY := .venv/bin/ferry
# A stack that names one below it takes releases from there; any other has its own built.
PINNED_BY = $(if $(shell grep '^ *below:' Pulumi.$(STACK).yaml),promote,release)
EACH_CORE := --numprocesses auto --dist worksteal
LABS_AT_ONCE := --numprocesses 2 --dist loadfile --no-loadscope-reorder
EXPORT := --frozen --quiet --no-emit-project --no-header --no-annotate

.PHONY: help up down purge env preview preview-offline rehearse refresh destroy drift release promote deliver \
    rollback retrain keep status unit validate-subset test trial check format lock bench bench-serving \
    bench-deliveries

help: ## List the commands
	@grep -hE '^[a-z -]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 26

up: .venv app/.venv ## From a bare machine to a scored loan: cluster, platform, model; again: no changes
	@$(PYTHON) -m lab.toolchain
	@$(PYTHON) -m lab up $(STACK)
	@$(LAB) exec {lock}> "$$PULUMI_HOME/make-up.lock" && \
	    { flock --nonblock $$lock || { echo "another make up of $(STACK) is running; waiting"; flock $$lock; }; } && \
	    $(MAKE) road

.PHONY: road
road: # what `up` does once the lab answers, one at a time
	@$(FERRY) check --stack $(STACK)
	@pulumi stack select --create $(STACK)
	@$(FERRY) verify --stack $(STACK) || [ $$? -eq 5 ] # what is down, `pulumi up` heals
	@$(FERRY) deliver --stack $(STACK)
	@$(FERRY) release show $(MODEL) --stack $(STACK) > /dev/null || \
	    { [ $$? -eq 3 ] && $(MAKE) $(PINNED_BY) && $(FERRY) deliver --stack $(STACK); } # 3: none is pinned, or it is not kept
	@$(FERRY) status --stack $(STACK) --score $(SCORE) --wait 60

release: .venv app/.venv ## Walk the model's road: snapshot, validate, train, register, image, pin
	@$(LAB) $(FERRY) exec --stack $(STACK) -- $(APP) -m app.ingest --model $(MODEL)
	@$(LAB) $(FERRY) exec --stack $(STACK) -- $(APP) -m app.validate --model $(MODEL)
	@$(LAB) $(FERRY) exec --stack $(STACK) -- $(APP) -m app.train --model $(MODEL)
	@$(LAB) $(FERRY) exec --stack $(STACK) -- $(APP) -m app.register --model $(MODEL)
	@$(LAB) $(FERRY) release build $(MODEL) --stack $(STACK)
	@$(LAB) $(FERRY) pin $(MODEL) --stack $(STACK)

promote: .venv ## Pin what the stack below serves, once every gate agrees
	@$(LAB) $(FERRY) promote $(MODEL) --to $(STACK)

deliver: .venv ## Bring STACK to its pins; what fails is put back
	@$(LAB) $(FERRY) deliver --stack $(STACK)

rollback: .venv ## Back to the release that STACK served before
	@$(LAB) $(FERRY) rollback $(MODEL) --stack $(STACK)

retrain: .venv ## Train MODEL on the newest rows, in the cluster, for a REASON; no pin is moved
	@[[ -n $${REASON:-} ]] || { echo 'say why: make retrain REASON="..."' >&2; exit 2; }
	@$(LAB) job="$(MODEL)-asked-$$(date +%s)"; in="--namespace=$(STACK)-jobs"; \
	    kubectl create job "$$job" "$$in" --from=cronjob/$(MODEL)-train --dry-run=client -o json \
	        | kubectl set env --local -f - "RETRAIN_REASON=$$REASON" -o json \
	        | kubectl annotate --local -f - "ferry.dev/reason=asked: $$REASON" -o json \
	        | kubectl create -f -; \
	    until ended=$$(kubectl get job "$$job" "$$in" -o 'jsonpath={.status.conditions[?(@.status=="True")].type}') \
	        && [[ $$ended =~ Complete|Failed ]]; do sleep 5; done; \
	    kubectl logs "job/$$job" "$$in" --all-containers; \
	    [[ $$ended =~ Complete ]]

keep: ## Commit and push what `ferry` wrote: STACK's pins and its ledger
	@git add Pulumi.$(STACK).yaml $(wildcard ledger)
	@git diff --cached --quiet || git commit --quiet --message "$(STACK): pins and ledger"
	@branch=$$(git symbolic-ref --short HEAD) && git pull --quiet --rebase origin "$$branch" && git push --quiet origin "$$branch"

status: ## URLs, pinned releases, health
	@$(LAB) $(FERRY) status --stack $(STACK)

env: .venv ## Print the exports that put tools, kubeconfig and state on the path
	@$(PYTHON) -m lab env $(STACK)

preview: .venv ## The engine's own, on STACK
	@$(LAB) pulumi preview --stack $(STACK) $(PREVIEW_OPTIONS)

refresh destroy: .venv ## The engine's own, on STACK; both ask first
	@$(LAB) pulumi $@ --stack $(STACK)

drift: .venv ## Fails if anything of STACK is not as it was left; changes nothing
	@$(LAB) pulumi refresh --preview-only --expect-no-changes --stack $(STACK)

rehearse: .venv app/.venv ## Make, change and destroy STACK, whose foundation is aws, in an emulated account
	@$(PYTHON) -m lab.rehearsal $(STACK)

preview-offline: .venv ## What the working tree changes against BASE: resources, policy, cost; needs nothing
	@$(PYTHON) -m preview --base $(BASE)

down: .venv ## Stop the lab of STACK; its data stay
	@$(PYTHON) -m lab down $(STACK)

purge: .venv ## Stop the lab of STACK, delete its data, and take the pins out that point into it
	@$(PYTHON) -m lab purge $(STACK)
	@$(FERRY) unpin --all --stack $(STACK)
	@rm -f ledger/$(STACK).jsonl # of what is deleted, and its mirror with it
	@sed -i '/^encryptionsalt:/d' Pulumi.$(STACK).yaml # its passphrase is gone with the state

unit: .venv app/.venv ## Unit tests, with mocks: seconds
	@command -v redis-server > /dev/null || $(PYTHON) -c 'from lab.toolchain import debian; debian(["redis-server"])'
	$(PYTHON) -m pytest $(EACH_CORE)
	$(APP) -m pytest -c app/pyproject.toml --rootdir . $(EACH_CORE) -m "not slow" tests/app

validate-subset: app/.venv ## Great Expectations over the rows kept in Git, and over corruptions of them
	$(APP) -m pytest -c app/pyproject.toml --rootdir . tests/app/test_data.py tests/app/test_suites.py

test: unit ## Everything: unit, engine, lab
	$(APP) -m pytest -c app/pyproject.toml --rootdir . $(EACH_CORE) -m slow tests/app
	$(PYTHON) -m lab.toolchain
	$(PYTHON) -m pytest $(LABS_AT_ONCE) -m "lab and not trial" tests/lab

trial: .venv app/.venv ## Lab tests that `make test` leaves out: not seen to pass yet, or long
	$(PYTHON) -m lab.toolchain
	$(PYTHON) -m pytest -m trial tests/lab

check: .venv app/.venv ## Format, lint, types, locks, ledgers
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/ty check --quiet
	app/.venv/bin/ruff format --check app tests/app
	app/.venv/bin/ruff check app tests/app
	app/.venv/bin/ty check --quiet --project app app tests/app
	$(UV) lock --check && $(UV) lock --check --project app && $(UV) lock --check --project analysis
	$(FERRY) verify-ledger

format: .venv app/.venv ## Put format and import order right
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
	app/.venv/bin/ruff format app tests/app
	app/.venv/bin/ruff check --fix app tests/app

lock: ## Lock the dependencies again, and export what the images install
	$(UV) lock && $(UV) lock --project app && $(UV) lock --project analysis
	$(UV) export --project app $(EXPORT) --only-group serve --output-file app/requirements.txt
	$(UV) export --project app $(EXPORT) --only-group train --only-group build-data --output-file app/requirements-jobs.txt
	$(UV) export --project analysis $(EXPORT) --output-file analysis/requirements.txt

bench: .venv app/.venv ## Measure what the README claims
	@$(LAB) $(PYTHON) -m benchmarks $(STACK)
	@$(PYTHON) -m benchmarks.verdicts
	@$(PYTHON) -m benchmarks.models

bench-serving: .venv app/.venv ## Measure the server and the data checks beside their peers
	@command -v wrk > /dev/null || $(PYTHON) -c 'from lab.toolchain import debian; debian(["wrk"])'
	$(PYTHON) -m benchmarks.serving
	$(PYTHON) -m benchmarks.serving_load
	$(PYTHON) -m benchmarks.grpc_serving
	$(APP) -m benchmarks.validation

bench-deliveries: .venv ## Measure deliveries: killed, at once, and on a lab of its own under load
	@$(PYTHON) -m lab.toolchain
	$(PYTHON) -m benchmarks.contest
	$(PYTHON) -m benchmarks.kills
	$(PYTHON) -m benchmarks.deliveries --folder "$$HOME/.cache/ferry/bench"

.venv: uv.lock pyproject.toml
	@$(UV) sync --locked --compile-bytecode && touch $@

app/.venv: app/uv.lock app/pyproject.toml
	@$(UV) sync --project app --locked --compile-bytecode && touch $@
