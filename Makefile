# spikeloop: a thin layer of verbs. Each recipe is one command that a person could type; CI calls the same ones.
# `make sim` and `make test` need nothing prepared: they check the system, make .venv and install into it.

SHELL        := /bin/bash
.SHELLFLAGS  := -eu -o pipefail -c
.DEFAULT_GOAL := help

# --- what you may override: make sim CONFIG=784-100-10 BITS=4 ---------------------------------------------------
PYTHON   ?= python3
CONFIG   ?=
BITS     ?=
DATA     ?=
BACKENDS ?=
CHIP     ?=
SAMPLES  ?=
SEED     ?= 0
JOBS     ?= 2

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
ITSELF := pip install --disable-pip-version-check --quiet -e '.[board,docs,farm,fast,indian-pines,nir,test,dev]'
LENET_CHIP := full,extension=4
# empty variables pass nothing: the command's own default stands
option = $(if $($(2)),$(1) "$($(2))")

.PHONY: help check install sim lenet test test-fast bench faults mutants texts hil-faults formal coverage fuzz sanitize lint format typecheck docs site rtl wheel sbom kills lock clean

help: ## this list
	@echo "spikeloop: make VERB [VARIABLE=value]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "variables: CONFIG (784-100-10) BITS (8) DATA (folder of MNIST IDX files) CHIP (zou2021)"
	@echo "           BACKENDS (golden,pysim,verilator) SAMPLES (all) SEED (0) JOBS (2) PYTHON (python3)"

sim: install ## the main job: train, quantise, map, build the RTL, run it on MNIST, compare every spike and membrane
	$(BIN)/spikeloop sim --seed $(SEED) $(call option,--config,CONFIG) $(call option,--bits,BITS) $(call option,--data,DATA) \
	  $(call option,--backends,BACKENDS) $(call option,--chip,CHIP) $(call option,--samples,SAMPLES)

lenet: install ## the four-spike LeNet on many cores: encode images, map, run the RTL, compare every spike and membrane
	$(BIN)/spikeloop pretrained zou-lenet-4 -o build/lenet $(call option,--data,DATA) $(call option,--samples,SAMPLES)
	$(BIN)/spikeloop map build/lenet/network.safetensors -o build/lenet/program --chip "$(or $(CHIP),$(LENET_CHIP))"
	$(BIN)/spikeloop compare build/lenet/program --stimulus build/lenet/stimulus.npz $(call option,--backends,BACKENDS)

test: install icarus-note ## every check
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --seed $(SEED) --hypothesis-seed=$(SEED)

test-fast: install icarus-note ## the checks that take seconds
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --seed $(SEED) --hypothesis-seed=$(SEED) -m "not slow"

bench: install ## ticks/s and SOPs/s of every way to run the same work
	$(BIN)/spikeloop bench

faults: install ## seed faults into the RTL; the regression must catch all of them
	$(BIN)/python -m tests.campaigns.faults

mutants: install ## N random mutants of the RTL's sources (300); those no argument covers must be killed
	JOBS=$(JOBS) $(BIN)/python -m tests.campaigns.mutants $(or $(N),300) $(SEED)

texts: install ## every generated Verilog: seeds of names, modes of Icarus, Verilator's lint
	$(BIN)/python -m tests.campaigns.texts

hil-faults: install ## a million faulted frames between driver and host link; the table of what became of them
	$(BIN)/python -m tests.campaigns.hil_faults $(or $(FRAMES),1000000) $(SEED)

formal: install ## prove properties of the RTL; each proof must find its planted fault
	$(BIN)/python -m tests.formal

coverage: install ## line, toggle and functional coverage of the RTL
	$(BIN)/python -m tests.campaigns.coverage

fuzz: install ## mutated inputs for every reader; each is refused in one sentence, or accepted and used
	$(BIN)/python -m tests.campaigns.fuzz $(or $(INPUTS),51000) $(SEED)

sanitize: install ## the regression on models and harness compiled with AddressSanitizer and UBSan
	$(BIN)/python -m tests.campaigns.sanitize

lint: install ## style, format and likely mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install ## mend what lint can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/ruff format .

typecheck: install ## types
	$(BIN)/mypy

docs: install ## write the generated pages
	$(BIN)/python -m spikeloop.cosim.pages.memory_map
	$(BIN)/python -m spikeloop.cosim.pages.frames

site: install ## the docs as pages with search, in build/site (mkdocs serve shows them)
	$(BIN)/mkdocs build --strict

rtl: install ## write the Verilog of CHIP to build/rtl
	$(BIN)/spikeloop verilog --chip $(or $(CHIP),zou2021) --output build/rtl

wheel: install ## source archive and wheel in dist/
	$(BIN)/python -m build --no-isolation --outdir dist

sbom: install ## bill of materials of the environment, CycloneDX, in dist/
	rm -rf build/sbom && $(PYTHON) -m venv build/sbom && mkdir -p dist
	build/sbom/bin/pip install --disable-pip-version-check --quiet 'cyclonedx-bom==7.5.0'
	build/sbom/bin/cyclonedx-py environment --of JSON -o dist/spikeloop.cdx.json $(VENV)

kills: install ## kill -9 comparisons in the middle; what goes on must end in the same bytes
	$(BIN)/python -m tests.campaigns.kills

lock: ## write requirements.lock and torch.lock from a clean install of all extras, with the hash of every file
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/$(ITSELF)
	build/lock/bin/pip freeze --exclude-editable | sed 's/+cpu$$//' > build/lock/all
	build/lock/bin/pip install --disable-pip-version-check --quiet uv
	{ sed '/^[^#]/d;/^$$/d' requirements.lock; sed '/^torch==/d' build/lock/all \
	  | build/lock/bin/uv pip compile --quiet --no-deps --universal --python-version 3.11.5 --generate-hashes --no-header --no-annotate -; } > build/lock/new
	{ sed '/^[^#]/d;/^$$/d' torch.lock; grep '^torch==' build/lock/all; } > build/lock/torch
	mv build/lock/new requirements.lock && mv build/lock/torch torch.lock && rm -rf build/lock

clean: ## remove what was built (not .venv)
	rm -rf build dist .pytest_cache .hypothesis .ruff_cache .mypy_cache
	find cosim golden hdl pysim tests -name __pycache__ -type d -exec rm -rf {} +

# --- the environment ---------------------------------------------------------------------------------------------
install: $(STAMP)

$(STAMP): requirements.lock torch.lock pyproject.toml | check
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV), once: a minute or two and the downloads (PyTorch is the large one)"
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11, 5))'; then \
	  $(BIN)/pip install --disable-pip-version-check --quiet --no-deps --require-hashes -r requirements.lock && \
	  $(BIN)/pip install --disable-pip-version-check --quiet -r torch.lock && \
	  $(BIN)/$(ITSELF) --no-deps --no-build-isolation; \
	else echo "note: requirements.lock is of Python 3.11.5 and newer; on older ones the ranges of pyproject.toml are installed"; \
	  $(BIN)/pip install --disable-pip-version-check --quiet --upgrade pip && $(BIN)/$(ITSELF); fi
	@touch $@

# what the system must bring; each sentence ends with the line that brings it (Debian, Ubuntu)
check:
	@missing=; for tool in g++ make perl; do command -v $$tool > /dev/null || missing="$$missing $$tool"; done; \
	 test -z "$$missing" || { echo "spikeloop needs$$missing, not found here: sudo apt-get install$$missing" >&2; exit 2; }
	@command -v $(PYTHON) > /dev/null && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	 echo "spikeloop needs Python 3.10 or newer, not found as '$(PYTHON)': sudo apt-get install python3, or make PYTHON=..." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { \
	 echo "spikeloop needs Python's venv module, not found here: sudo apt-get install python3-venv" >&2; exit 2; }

.PHONY: icarus-note
icarus-note:
	@command -v iverilog > /dev/null || \
	 echo "note: Icarus is not installed; the checks that need it are named below and counted as skipped: sudo apt-get install iverilog"
