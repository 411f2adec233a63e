# make serve reads the book, make test proves it; `make help` lists the rest.
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
READY := .venv/ready
BOOK := $(BIN)/jupyter-book build . -W -n --keep-going
export OMP_WAIT_POLICY ?= passive

.DEFAULT_GOAL := help
.PHONY: help serve html test lab experiment bench-site bench-upsampling bench-models clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-16s %s\n", $$1, $$2}'

serve: $(READY) ## build the book and serve it at http://127.0.0.1:8000 (PORT=... for another port)
	@$(BIN)/python -m tools.serve --check $(PORT)
	$(BOOK)
	@$(BIN)/python -m tools.serve $(PORT)

html: $(READY) ## build the book into _build/html
	$(BOOK)

test: $(READY) ## check everything: style, tests, notebooks, site, browser
	@$(BIN)/python -m tools.browser
	@$(BIN)/python -m tools.check

lab: $(READY) ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab book

experiment: $(READY) ## run one recorded experiment again: NAME=context
	@test -n "$(NAME)" || { echo "say which: make experiment NAME=context (the files of experiments/ are the names)"; exit 2; }
	$(BIN)/python -m experiments.$(NAME)

bench-site: html ## weigh every page and time its widgets on a slow line
	@$(BIN)/python -m tools.browser
	$(BIN)/python -m tools.bench_site

bench-upsampling: $(READY) ## time the book's own upsampling beside torch's
	@$(BIN)/python -m tools.bench_upsampling

bench-models: $(READY) _build/smp/ready ## time the book's U-Nets beside segmentation_models_pytorch's and a plain one
	@$(BIN)/python -m tools.bench_models

clean: ## remove everything that was built (the environment too)
	rm -rf _build .venv

$(READY): requirements.txt requirements-files.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found: install Python 3.11 or newer, or say PYTHON=/path/to/it"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is $$($(PYTHON) -V), the book needs 3.11 or newer: say PYTHON=/path/to/it"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) can't make environments: install its venv package (on Debian and Ubuntu: apt install python3-venv)"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -r requirements.txt
	$(BIN)/pip install --no-deps -r requirements-files.txt
	$(BIN)/pip install --no-deps -e .
	@touch $@

_build/smp/ready: requirements-bench.txt
	rm -rf _build/smp
	$(BIN)/pip install --no-deps --target _build/smp -r $<
	@touch $@
