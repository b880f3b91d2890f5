# Everything is done by a target here; `make help` lists them. What a target
# needs (libxgboost, the page's scripts, linters, a browser) it installs itself,
# pinned, into a cache outside the tree.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/drumbeat
GO ?= go
PYTHON ?= python3
DIR ?= drumbeat-data

XGBOOST_VERSION := 3.2.0
LINT_VERSION := v2.15.0
DELTALAKE_VERSION := 1.6.6
VERSITYGW_VERSION := v1.8.0
KAFKA_VERSION := 4.3.1
SPARK_VERSION := 4.2.0
DELTA_SPARK_VERSION := 4.4.0
DUCKDB_VERSION := 2.0.0
PYARROW_VERSION := 26.0.1
PANDAS_VERSION := 3.1.1
POLARS_VERSION := 2.1.0

XGBOOST := $(CACHE)/xgboost-cpu-$(XGBOOST_VERSION)/xgboost/lib/libxgboost.so
LINT := $(CACHE)/golangci-lint-$(LINT_VERSION)/golangci-lint
READERS := $(CACHE)/readers-deltalake-$(DELTALAKE_VERSION)-duckdb-$(DUCKDB_VERSION)/bin/python
VERSITYGW := $(CACHE)/versitygw-$(VERSITYGW_VERSION)/versitygw
KAFKA := $(CACHE)/kafka-$(KAFKA_VERSION)/jars
SPARK := $(CACHE)/spark-$(SPARK_VERSION)-delta-$(DELTA_SPARK_VERSION)
PEERS := $(CACHE)/peers-pandas-$(PANDAS_VERSION)-polars-$(POLARS_VERSION)/bin/python
ASSETS := web/assets/vendor/.complete
AXE := web/node_modules/axe-core/axe.min.js

# Package registries hiccup: three tries, with a pause that grows.
retry = for i in 1 2 3; do $(1) && break || { [ $$i = 3 ] && exit 1; sleep $$((i * 5)); }; done

# A folder of Python with packages, whole or not at all; packages of Debian.
venv = rm -rf $(1) && mkdir -p $(CACHE) && $(PYTHON) -m venv $(1) && { ( $(call retry,$(1)/bin/python -m pip install -q --disable-pip-version-check $(2)) ) || { rm -rf $(1); exit 1; }; }
apt = $(call retry,apt-get update -qq); $(call retry,apt-get install -y -qq --no-install-recommends $(1) >/dev/null)

export DRUMBEAT_XGBOOST = $(XGBOOST)
export DRUMBEAT_PYTHON = $(READERS)
export DRUMBEAT_VERSITYGW = $(VERSITYGW)
export DRUMBEAT_KAFKA = $(KAFKA)
export DRUMBEAT_SPARK = $(SPARK)/jars
export DRUMBEAT_SPARK_PYTHON = $(SPARK)/bin/python
export DRUMBEAT_PEERS = $(PEERS)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: quickstart
quickstart: build $(XGBOOST) ## build, then the whole loop on simulated machines until Ctrl-C
	./bin/drumbeat quickstart --dir $(DIR)

.PHONY: build
build: $(ASSETS) ## bin/drumbeat, without cgo
	CGO_ENABLED=0 $(GO) build -o bin/drumbeat ./cmd/drumbeat

.PHONY: check
check: $(ASSETS) lint vet ## the quick part: format, lint, vet, short race tests; no service
	$(GO) test -race -short ./...

.PHONY: test
test: build lint vet $(XGBOOST) $(READERS) $(VERSITYGW) $(KAFKA) $(SPARK)/jars $(AXE) browser-ready mosquitto-ready ## everything: lint, race tests, real parts, browser, the two loops
	$(GO) test -race -tags real,browser -timeout 30m ./...
	$(GO) test -tags failpoint -run Killed ./delta ./topic/embedded
	$(GO) test -timeout 20m -run 'AFleetAsUsual|AShiftIsSeen|AShiftedSensor' ./monitor

.PHONY: lint
lint: $(LINT) $(ASSETS) ## format and lint; fails on any finding
	$(LINT) fmt --diff
	$(LINT) run --allow-parallel-runners --build-tags real,browser,failpoint ./...

.PHONY: fmt
fmt: $(LINT) ## format the code
	$(LINT) fmt

.PHONY: vet
vet: $(ASSETS) ## go vet, with every build tag
	$(GO) vet -tags real,browser ./...
	$(GO) vet -tags failpoint ./delta ./topic/embedded ./failpoint

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (default 20s)
	@for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep ^Fuzz || true); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $${FUZZTIME:-20s} $$pkg; \
	  done; \
	done

.PHONY: bench
bench: $(PEERS) ## against the peers, all or ID=P12; writes docs/benchmarks.md
	$(GO) run ./bench -id "$(ID)"

.PHONY: microbench
microbench: $(XGBOOST) ## the benchmarks beside the code
	$(GO) test -tags real -run '^$$' -bench . -benchmem ./...

.PHONY: soak
soak: $(PEERS) ## minutes of load and of random kills; SOAK=10m says how long
	$(GO) run ./bench -id SOAK -soak $${SOAK:-10m}
	DRUMBEAT_SOAK=$${SOAK:-10m} $(GO) test -tags real -count 1 -timeout 0 -v -run KilledAtRandom ./e2e

.PHONY: clean
clean: ## what make build and make quickstart left in the tree
	rm -rf bin web/assets/vendor web/node_modules $(DIR)

# The library out of the wheel: both folders stay, libxgboost.so finds its
# libgomp beside it.
$(XGBOOST):
	@echo "installing libxgboost $(XGBOOST_VERSION)"
	@rm -rf $(CACHE)/xgboost.tmp && mkdir -p $(CACHE)/xgboost.tmp
	@$(call retry,$(PYTHON) -m pip download -q --disable-pip-version-check --no-deps -d $(CACHE)/xgboost.tmp xgboost-cpu==$(XGBOOST_VERSION))
	@cd $(CACHE)/xgboost.tmp && $(PYTHON) -m zipfile -e xgboost_cpu-*.whl . && rm xgboost_cpu-*.whl
	@rm -rf $(CACHE)/xgboost-cpu-$(XGBOOST_VERSION) && mv $(CACHE)/xgboost.tmp $(CACHE)/xgboost-cpu-$(XGBOOST_VERSION)

$(LINT):
	@echo "installing golangci-lint $(LINT_VERSION)"
	@mkdir -p $(@D)
	@$(call retry,GOBIN=$(@D) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION))

$(READERS):
	@echo "installing the readers of Delta tables: deltalake $(DELTALAKE_VERSION), DuckDB $(DUCKDB_VERSION)"
	@$(call venv,$(@D:/bin=),deltalake==$(DELTALAKE_VERSION) duckdb==$(DUCKDB_VERSION) pyarrow==$(PYARROW_VERSION))

$(VERSITYGW):
	@echo "installing the S3 server versitygw $(VERSITYGW_VERSION)"
	@mkdir -p $(@D)
	@$(call retry,GOBIN=$(@D) $(GO) install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW_VERSION))

.PHONY: mosquitto-ready
mosquitto-ready:
	@command -v mosquitto >/dev/null && command -v mosquitto_pub >/dev/null || { echo "installing mosquitto"; $(call apt,mosquitto mosquitto-clients); }

.PHONY: java-ready
java-ready:
	@command -v mvn >/dev/null && command -v java >/dev/null || { echo "installing Java and Maven"; $(call apt,openjdk-17-jre-headless maven); }

$(KAFKA): topic/kafkatest/pom.xml | java-ready
	@echo "installing Apache Kafka $(KAFKA_VERSION)"
	@rm -rf $(KAFKA).tmp && mkdir -p $(@D)
	@$(call retry,mvn -q -B -f topic/kafkatest/pom.xml -Dkafka.version=$(KAFKA_VERSION) dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(KAFKA).tmp)
	@rm -rf $(KAFKA) && mv $(KAFKA).tmp $(KAFKA) && touch $(KAFKA)

$(SPARK)/jars: delta/judges/pom.xml | java-ready
	@echo "installing Spark $(SPARK_VERSION) with Delta $(DELTA_SPARK_VERSION)"
	@$(call venv,$(SPARK),pyspark==$(SPARK_VERSION))
	@$(call retry,mvn -q -B -f delta/judges/pom.xml -Ddelta.version=$(DELTA_SPARK_VERSION) dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(SPARK)/jars.tmp)
	@mv $(SPARK)/jars.tmp $(SPARK)/jars && touch $(SPARK)/jars

$(PEERS):
	@echo "installing pandas $(PANDAS_VERSION) and polars $(POLARS_VERSION)"
	@$(call venv,$(@D:/bin=),pandas==$(PANDAS_VERSION) polars==$(POLARS_VERSION) deltalake==$(DELTALAKE_VERSION) pyarrow==$(PYARROW_VERSION))

# npm ci installs what the lock file pins; the bundle goes into an ignored,
# embedded folder.
$(ASSETS) $(AXE) &: web/package.json web/package-lock.json
	@echo "installing the page's scripts"
	@$(call retry,npm ci --prefix web --no-audit --no-fund --loglevel=error)
	@npm run --silent --prefix web bundle
	@touch $(ASSETS) $(AXE)

.PHONY: browser-ready
browser-ready:
	@command -v chromium >/dev/null || { echo "installing chromium"; $(call apt,chromium fonts-dejavu-core); }
