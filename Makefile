# The commands of daily work. Each installs what it needs first (Debian 12, root or sudo); where
# that is unwanted: make build DEPENDENCIES=true
DEPENDENCIES ?= tools/install_dependencies.sh
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
PROMPT ?= Once upon a time
FUZZ_SECONDS ?= 300

.DEFAULT_GOAL := help
.PHONY: help build run unit test bench install format lint fuzz coverage clean

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

build: ## The release binary, build/release/bin/ruvllm
	@$(DEPENDENCIES) build
	@cmake --preset release -DRUVLLM_BUILD_TESTS=OFF -DRUVLLM_BUILD_BENCH=OFF
	@cmake --build --preset release -j $(JOBS)

run: build ## Let the bundled model answer: make run PROMPT="..."
	@build/release/bin/ruvllm run -p "$(PROMPT)" -n 60

unit: ## Unit, golden-model and end-to-end tests of the release build, with the structure checks
	@$(DEPENDENCIES) build test
	@cmake --preset release -DRUVLLM_BUILD_TESTS=ON -DRUVLLM_BUILD_BENCH=ON
	@cmake --build --preset release -j $(JOBS)
	@ctest --preset release -j $(JOBS)

test: ## Everything: also sanitizers, second compiler, fuzzing, format, lint of the lowest layers and the installed package
	@$(DEPENDENCIES) build test
	@cmake --preset release -DRUVLLM_BUILD_TESTS=ON -DRUVLLM_BUILD_BENCH=ON
	@cmake --build --preset release -j $(JOBS)
	@ctest --preset all -j $(JOBS)

bench: ## A quick set of benchmarks beside the limits of this machine; JSON in build/release/bench
	@$(DEPENDENCIES) build test
	@cmake --preset release -DRUVLLM_BUILD_BENCH=ON
	@cmake --build --preset release --target benchmarks -j $(JOBS)
	@tools/quick_bench.sh build/release

install: build ## Install under PREFIX (/usr/local)
	@cmake --install build/release --prefix "$(PREFIX)"

format: ## Rewrite the sources with clang-format
	@$(DEPENDENCIES) test
	@tools/ci/format.sh --fix

lint: ## clang-tidy: make lint FILES="src/base/core/error.cc" for some files only
	@$(DEPENDENCIES) build test
	@cmake --preset release -DRUVLLM_BUILD_TESTS=ON
	@tools/ci/lint.py $(FILES)

fuzz: ## Run each fuzz target for FUZZ_SECONDS (300)
	@$(DEPENDENCIES) build test
	@cmake --preset fuzz -DRUVLLM_FUZZ_SECONDS=$(FUZZ_SECONDS)
	@cmake --build --preset fuzz -j $(JOBS)
	@ctest --preset fuzz -L '^fuzz$$' -j $(JOBS)

coverage: ## Line coverage of the unit tests, per file
	@$(DEPENDENCIES) build test
	@tools/ci/coverage.sh

clean: ## Remove all builds
	@rm -rf build
