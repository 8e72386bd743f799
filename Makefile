# Everything a person or CI runs. `make` alone lists the targets.
#
# Tests and tools use one profile, release, so that whisper.cpp is compiled once.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup setup-tests build demo serve test test-gpu lint fuzz bench bench-server soak install uninstall clean distclean

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60
SERVE ?=
BACKEND ?= cuda
DEMO ?= tests/data/speech/jfk-inaugural.flac tests/data/speech/librispeech-2412-153948-0000.flac

# What GStreamer finds here comes from this build, and the user's own plugin registry stays as it is.
export GST_PLUGIN_PATH := $(CURDIR)/target/release$(if $(GST_PLUGIN_PATH),:$(GST_PLUGIN_PATH))
export GST_REGISTRY ?= $(CURDIR)/target/gstreamer-registry.bin
# Tools that set-up builds.
export PATH := $(CURDIR)/.deps/bin:$(PATH)

help: ## List the targets
	@echo 'Targets:'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'A fresh Debian 12 machine with Rust needs nothing else first: try `make demo`.'

setup: ## Install what building needs and is missing (apt packages, ONNX Runtime into .deps/)
	@scripts/setup.sh

setup-tests: ## The same and what the tests need (speech synthesisers, Python packages, cargo-nextest)
	@scripts/setup.sh --tests

build: setup ## Build plugin and programs in release mode
	$(CARGO) build --release --workspace

demo: build ## Transcribe the bundled speech at real-time pace, words shown as they arrive
	@scripts/demo.sh $(DEMO)

serve: build ## Transcribe what clients send to ws://127.0.0.1:8765/ws/transcribe (SERVE: more options)
	target/release/pipeline-server serve $(SERVE)

test: setup-tests lint ## Set up, check format and lints, run all tests
	$(CARGO) build --release --workspace
	$(CARGO) nextest run --release --workspace
	$(CARGO) test --release --workspace --doc
	@echo 'NOT RUN: the tests that need a GPU. On a machine with one: make test-gpu'

test-gpu: setup-tests ## Run the tests that need a GPU (BACKEND=cuda, vulkan, metal or hipblas)
	$(CARGO) nextest run --release -p transcribe-core --features $(BACKEND) --test engine_gpu --run-ignored all -j 1

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets -- -D warnings

fuzz: setup ## Feed the readers of model files and of clients' messages with broken ones, FUZZ_SECONDS (60) each
	@scripts/fuzz.sh '$(FUZZ_SECONDS)'

bench: build ## Measure speed, latency, accuracy and capacity on this machine, against peers (an hour and a half)
	$(CARGO) run --release -p e2e-tests --bin bench

bench-server: build ## Measure the server with 1, 8 and 32 clients that speak at the same time (5 minutes)
	$(CARGO) run --release -p e2e-tests --bin bench -- --only server

soak: build setup-tests ## Run hours of audio through elements and from cameras, thousands of sessions and of clients, and watch memory
	$(CARGO) run --release -p e2e-tests --bin soak
	$(CARGO) test --release -p e2e-tests --test server -- --ignored --nocapture --test-threads 1 a_long_storm soak:: hundreds_who_came_and_went

install: build ## Install into PREFIX (/usr/local), DESTDIR honoured
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install.sh install

uninstall: ## Remove what install put there
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install.sh uninstall

clean: ## Remove what was built
	$(CARGO) clean

distclean: clean ## The same and what set-up fetched into the clone
	rm -rf .deps
