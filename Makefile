# make demo   compile and check a real model, from a bare machine
# make test   every check of the project, from a bare machine
#
# Both create .venv and install SmartMem into it. TORCH adds PyTorch, whose frontend is
# tested only where it is installed: make test TORCH=torch==2.13.0

PYTHON ?= python3
TORCH ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed$(if $(TORCH),-torch)

# Every start of a tool would compile all of its source.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test install vulkan library browser lint typecheck ctest lit pytest docs site clean
help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: install vulkan ## compile a small Swin for CPU and Vulkan, run it, check it
	$(BIN)/smartmem demo

# Side by side where one alone leaves a core idle. What the library needs comes first: it is
# built when SmartMem is installed, too.
SIDE_BY_SIDE := +@$(MAKE) --no-print-directory --jobs=2 --output-sync=target
test: library browser ## run all checks and tests
	$(SIDE_BY_SIDE) install ctest
	$(SIDE_BY_SIDE) typecheck lit lint site
	+@$(MAKE) --no-print-directory pytest

install: $(STAMP) ## create .venv and install SmartMem with its test tools

$(STAMP): pyproject.toml CMakeLists.txt runtime/CMakeLists.txt $(wildcard runtime/src/*)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "error: $(PYTHON) -m venv failed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' $(TORCH)
	@touch $@

vulkan: ## install the software Vulkan driver (lavapipe) if there is none
	@scripts/install-system-packages.sh driver

library: vulkan ## install what builds and tests the Vulkan library, if we may
	@scripts/install-system-packages.sh library

browser: ## install Chromium, which the report's page is tested in, if we may
	@scripts/install-system-packages.sh browser

lint: install ## ruff: style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# dialect/ and passes/ lie outside the package in the source tree: check as installed.
typecheck: install ## mypy, on the installed package
	@rm -rf build/typecheck
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target build/typecheck --config-settings=cmake.define.SMARTMEM_BUILD_RUNTIME=OFF .
	$(BIN)/mypy

ctest: library ## C++ tests of the Vulkan library, where it can be built
	@scripts/test-runtime.sh

sanitize: library ## the C++ tests under address and undefined behaviour, and thread sanitizers
	@SANITIZE=address,undefined scripts/test-runtime.sh
	@SANITIZE=thread scripts/test-runtime.sh

lit: install ## IR tests
	$(BIN)/lit --quiet test

# The tests of a file share what it sets up: workers take halves of the list, and of what is
# left of it when one of them is done.
pytest: install ## Python tests, on all cores
	$(BIN)/pytest --numprocesses auto --dist worksteal

docs: install ## write the reference from the code, and build the site in build/site
	$(BIN)/python scripts/generate_docs.py
	@$(MAKE) --no-print-directory site

# Without --quiet, which would keep warnings from --strict.
site: install ## build the site; a dead link is an error
	@mkdir -p build
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict >build/site.log 2>&1 || { cat build/site.log; exit 1; }

clean: ## remove what these targets made
	rm -rf $(VENV) build
