# Every target makes what it needs, inside this folder: .venv, node_modules, .cache, site/dist.
# Stamps lie in what they speak of, so that removing a folder is all it takes to have it made again.

.DEFAULT_GOAL := help
.PHONY: help env chromium site run test lint format bench lock clean distclean
.DELETE_ON_ERROR:

export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)
# a home that cannot be written to (containers, CI) is replaced by one of our own
export HOME := $(shell if [ -n "$$HOME" ] && [ -w "$$HOME" ]; then echo "$$HOME"; else mkdir -p "$(CURDIR)/.cache/home" && echo "$(CURDIR)/.cache/home"; fi)

PYTHON := .venv/bin/python
PYTHON_ENV := .venv/.made
NODE_ENV := node_modules/.made

help: ## print this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

env: $(PYTHON_ENV) $(NODE_ENV) ## create .venv and node_modules at the locked versions

$(PYTHON_ENV): .ci/setup .ci/requirements.txt pyproject.toml lite/pyproject.toml $(wildcard py/kernelspec/*)
	@.ci/setup python
	@touch $@

$(NODE_ENV): .ci/setup package.json package-lock.json .npmrc jskernel/package.json lite/package.json
	@.ci/setup node
	@touch $@

chromium: env ## find a Chromium for the tests, or install one, and print its path
	@$(PYTHON) .ci/chromium

site: env ## build the site into site/dist, as far as something changed
	@$(PYTHON) site/build.py

run: site ## build the site, serve it and print its address
	@$(PYTHON) site/serve.py

test: chromium lint site ## lint, build, and run every test
	npm test --workspaces --if-present
	LANEWAY_CHROMIUM="$$($(PYTHON) .ci/chromium)" && export LANEWAY_CHROMIUM && $(PYTHON) -m pytest

lint: env ## check style, types and layers
	ruff check .
	ruff format --check .
	pyright
	lint-imports
	npm run --silent lint
	npm run --silent typecheck --workspaces --if-present

format: env ## put Python and TypeScript in the house style
	ruff check --fix .
	ruff format .
	npm run --silent format

bench: env ## measure the kernel on this machine, beside ipykernel
	@$(PYTHON) -m compileall -q py/laneway # as where it is installed
	@$(PYTHON) tests/bench.py $(KERNELS)

lock: $(PYTHON_ENV) ## choose anew the versions that .ci/requirements.txt and package-lock.json pin
	@.ci/lock

clean: ## remove what was built; the environment stays
	rm -rf .cache .pytest_cache .ruff_cache .import_linter_cache dist site/dist jskernel/lib jskernel/dist lite/lib lite/dist \
	  lite/laneway_lite/labextension lite/laneway_lite/bundle
	find . \( -name node_modules -o -name .venv -o -name .git \) -prune -o \
	  \( -name __pycache__ -o -name '*.tsbuildinfo' -o -name '.jupyterlite.doit.db*' \) -exec rm -rf {} +

distclean: clean ## remove the environment too
	rm -rf .venv node_modules jskernel/node_modules lite/node_modules
