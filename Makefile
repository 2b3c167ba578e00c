# Two commands matter: `make demo` shows what Matagi does, `make test` runs everything that CI runs.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test check-tools build-demo reference clean

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
MATAGI := $(TARGET)/demo/matagi
DEMO := demo
# One selection of packages and features for every step: another one would build the engine a second time.
ALL := --workspace --all-features

help: ## Show this list
	@echo "Matagi: evidence in, explained incident out."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "The first build of the demo takes about twelve minutes on 2 cores; later ones a minute."

check-tools: ## Say which tools are missing, and where to get them
	@./.ci/tools

build-demo: check-tools
	@echo "== building (profile demo); the first time takes about twelve minutes"
	$(CARGO) build $(ALL) --bins --profile demo

reference: build-demo ## Fetch reference data (owners and countries of addresses, ATT&CK) into one local file
	@echo "== reference data"
	$(TARGET)/demo/xtask reference --optional --matagi $(MATAGI)

demo: reference ## Build, make a sample company's evidence, hunt in it, write reports in English and Japanese
	@rm -rf $(DEMO)
	@echo "== writing a month of evidence of a company with 60 people"
	$(MATAGI) synth --seed 7 --users 60 --days 30 --out $(DEMO)
	@echo "== hunting"
	$(MATAGI) hunt $(DEMO)/evidence --lake $(DEMO)/lake --report $(DEMO)/report.html
	@echo "== the same in Japanese"
	$(MATAGI) report --lake $(DEMO)/lake --lang ja --out $(DEMO)/report.ja.html
	@echo
	@echo "report (English):   $(DEMO)/report.html"
	@echo "report (Japanese):  $(DEMO)/report.ja.html"
	@echo "what was planted:   $(DEMO)/truth.json"
	@echo "ask for more:       $(MATAGI) incidents --lake $(DEMO)/lake"

test: check-tools ## Everything that CI runs: format, lints, house rules, tests, examples in documents
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(ALL) --all-targets -- -D warnings
	$(CARGO) build $(ALL) --all-targets
	$(TARGET)/debug/xtask tidy
	$(CARGO) test $(ALL) --doc
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	  $(CARGO) nextest run $(ALL) --no-fail-fast; \
	else \
	  echo "cargo-nextest is not installed; cargo test takes a little longer"; \
	  $(CARGO) test $(ALL) --lib --bins --tests; \
	fi

clean: ## Remove what the demo and the builds made
	rm -rf $(DEMO)
	$(CARGO) clean
