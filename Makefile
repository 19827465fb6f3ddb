# Every target makes what it needs, inside this folder: .venv, node_modules, .cache, site/dist.
# Stamps lie in what they speak of, so that removing a folder is all it takes to have it made again.

.DEFAULT_GOAL := help
.PHONY: help env browsers site run test engines servers projects soak dist lint format bench bench-browser lock clean distclean
.DELETE_ON_ERROR:

export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$(PATH)
# a home that cannot be written to (containers, CI) is replaced by one of our own
export HOME := $(shell if [ -n "$$HOME" ] && [ -w "$$HOME" ]; then echo "$$HOME"; else mkdir -p "$(CURDIR)/.cache/home" && echo "$(CURDIR)/.cache/home"; fi)

PYTHON := .venv/bin/python
PYTHON_ENV := .venv/.made
NODE_ENV := node_modules/.made
# what `make browsers` has found: the environment of the tests
BROWSERS := .cache/browsers

help: ## print this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

env: $(PYTHON_ENV) $(NODE_ENV) ## create .venv and node_modules at the locked versions

$(PYTHON_ENV): .ci/setup .ci/requirements.txt pyproject.toml hatch_build.py lite/pyproject.toml $(wildcard py/kernelspec/*)
	@.ci/setup python
	@touch $@

$(NODE_ENV): .ci/setup package.json package-lock.json .npmrc jskernel/package.json jskernel/cell/package.json lite/package.json lite/jobs/package.json recipes/package.json
	@.ci/setup node
	@touch $@

browsers: env ## find the browsers that the tests use, or install them, and print their paths
	@mkdir -p $(dir $(BROWSERS))
	@$(PYTHON) .ci/browser > $(BROWSERS)
	@cat $(BROWSERS)

site: env ## build the site into site/dist, as far as something changed
	@$(PYTHON) site/build.py

run: site ## build the site, serve it and print its address
	@$(PYTHON) site/serve.py

# --tb=native: pytest's own tracebacks parse sources, which before Python 3.13 can fail beside threads that compile
# (CPython's gh-106905): one test that fails would end all
test: browsers lint site ## lint, build, and run every test
	npm test --workspaces --if-present
	. $(BROWSERS) && $(PYTHON) -m pytest --numprocesses=2 --dist=loadfile --reruns=2 --rerun-show-tracebacks --tb=native -rfEsxXR --durations=15

engines: browsers site ## run all that there is for Firefox and WebKit; `make test` runs a part of it
	. $(BROWSERS) && $(PYTHON) -m pytest -m "" -k "firefox or webkit or test_engines" tests/conformance tests/browser/test_engines.py

servers: env ## the client and the kernelspec against the gateways and JupyterHub, which it installs into .cache/servers
	@.ci/servers
	$(PYTHON) -m pytest -m servers tests/client

projects: browsers site ## documentation of other projects, themes and extensions, which it installs into .cache/projects, with live cells
	@.ci/projects
	. $(BROWSERS) && $(PYTHON) -m pytest -m projects tests/lite

dist: browsers site ## build what is published into dist/, check it, install it into fresh environments and run it there
	@$(PYTHON) .ci/dist dist
	. $(BROWSERS) && LANEWAY_DIST=dist $(PYTHON) -m pytest -m "" tests/release

soak: browsers site ## the long form of the storms, half an hour: memory is flat, nothing is lost; every page of the documentation
	. $(BROWSERS) && LANEWAY_SOAK=1 $(PYTHON) -m pytest $(shell grep -lr "soak import" tests --include='test_*.py')

lint: env ## check style, types and layers
	ruff check .
	ruff format --check .
	pyright
	lint-imports
	npm run --silent typecheck --workspaces --if-present # first: it writes the types that others import
	npm run --silent lint

format: env ## put Python and TypeScript in the house style
	ruff check --fix .
	ruff format .
	npm run --silent format

bench: env ## measure the kernel on this machine, beside ipykernel
	@$(PYTHON) -m compileall -q py/laneway # as where it is installed
	@$(PYTHON) tests/bench.py $(KERNELS)

bench-browser: browsers site ## measure sites in Chromium: SITES="now=site/dist other=FOLDER", OPTIONS="--rounds 5"
	@. $(BROWSERS) && $(PYTHON) -m tests.bench_browser $(SITES) $(OPTIONS)

lock: $(PYTHON_ENV) ## choose anew the versions that .ci/requirements.txt and package-lock.json pin
	@.ci/lock

clean: ## remove what was built; the environment stays
	rm -rf .cache .pytest_cache .ruff_cache .import_linter_cache dist site/dist jskernel/lib jskernel/dist jskernel/cell/lib jskernel/cell/dist lite/lib lite/jobs/lib lite/dist recipes/dist \
	  lite/laneway_lite/labextension lite/laneway_lite/jobs lite/laneway_lite/bundle lite/laneway_lite/cell lite/laneway_lite/debugger lite/laneway_lite/service_worker
	find . \( -name node_modules -o -name .venv -o -name .git \) -prune -o \
	  \( -name __pycache__ -o -name '*.tsbuildinfo' -o -name '.jupyterlite.doit.db*' \) -exec rm -rf {} +

distclean: clean ## remove the environment too
	rm -rf .venv node_modules jskernel/node_modules jskernel/cell/node_modules lite/node_modules recipes/node_modules
