# The short names of every habit. `make` alone lists them.

# One target folder for all checkouts of one user: the big dependencies are built once.
CACHE := $(or $(STYLEFLEET_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/stylefleet)
export CARGO_TARGET_DIR ?= $(CACHE)/target
BIN := $(CARGO_TARGET_DIR)/release

# The servers that tests use: this checkout's own.
export STYLEFLEET_TEST_SERVICES ?= $(CURDIR)/.services-test
SERVICES = deploy/services/services.sh

# Where set-up put libtorch and the weights; a LIBTORCH or STYLEFLEET_WEIGHTS of your own wins.
WITH_ENV = env=$$(deploy/setup/setup.sh --env) && eval "$$env" &&

.PHONY: help setup build demo dashboard-demo dist dist-check services services-stop test test-rabbitmq4 chaos deploy-check deploy-run lint arrows fmt fuzz bench bench-networks bench-fleet model clean
.DEFAULT_GOAL := help

help: ## list these names
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## fetch libtorch and the weights of VGG19, once
	@deploy/setup/setup.sh

build: ## build stylefleet and stylefleet-worker; their symbols land beside them, in files .debug
	@$(WITH_ENV) cargo build --release
	@deploy/dist/split.sh $(BIN)/stylefleet $(BIN)/stylefleet-worker

demo: build ## redraw the sample pictures, with a network at once and then by optimisation, into out/
	@$(WITH_ENV) $(BIN)/stylefleet apply deploy/samples/contents/lighthouse.png \
		--model deploy/samples/models/samples.safetensors --out out/network
	@echo "The first pictures are in out/network/, made by a network. Optimised ones come next."
	@$(WITH_ENV) $(BIN)/stylefleet run deploy/samples/contents/lighthouse.png \
		--style deploy/samples/styles/night.png --size 160 --evaluations 120 --out out/first
	@echo "The first of them is out/first/lighthouse.night.png. Larger ones come next."
	@$(WITH_ENV) $(BIN)/stylefleet run deploy/samples/contents \
		--style deploy/samples/styles/night.png --style deploy/samples/styles/wave.png \
		--style deploy/samples/styles/glass.png \
		--size 320 --out out
	@echo "The pictures are in out/."

dashboard-demo: build ## show the dashboard while sample pictures are made, in out/dashboard, until Ctrl-C
	@$(WITH_ENV) deploy/samples/dashboard.sh $(BIN) out/dashboard 127.0.0.1:8780 --size 320

dist: build ## pack a tarball, a .deb and a wheel into dist/, for machines that do not build
	@deploy/dist/dist.sh $(BIN) dist

dist-check: dist ## install what `make dist` packs into temporary folders and run it
	@$(WITH_ENV) DIST=dist "$${PYTHON:-python3}" -B -m unittest discover deploy/dist

services: ## start RabbitMQ and an S3 store on this machine, for development
	@$(SERVICES) start
	@echo 'To use them:  env=$$($(SERVICES) env) && eval "$$env"      To end them:  make services-stop'

services-stop: ## stop what `make services` started; its data stay in .services
	@$(SERVICES) stop

# What follows it has RabbitMQ and an S3 store in $STYLEFLEET_TEST_SERVICES, which stop in the end.
WITH_SERVICES = trap '$(SERVICES) --dir "$$STYLEFLEET_TEST_SERVICES" stop 2>/dev/null' EXIT; \
	trap 'exit 130' INT TERM; \
	$(WITH_ENV) $(SERVICES) --dir "$$STYLEFLEET_TEST_SERVICES" start && \
	env=$$($(SERVICES) --dir "$$STYLEFLEET_TEST_SERVICES" env) && eval "$$env" &&

test: build ## run every test, on a RabbitMQ and an S3 store of its own; those of the broker on RabbitMQ 4 too
	@$(WITH_ENV) "$$STYLEFLEET_PYTHON" -B -m unittest discover deploy/setup
	@$(WITH_SERVICES) cargo test --release --workspace --all-targets
	@$(WITH_ENV) cargo test --release --workspace --doc
	@$(WITH_ENV) tests/networks/check.sh "$(BIN)"
	@$(MAKE) --no-print-directory test-rabbitmq4

# Skipped where RabbitMQ 4 cannot be had: services.sh says so and exits 69.
test-rabbitmq4: export STYLEFLEET_TEST_RABBITMQ = 4
test-rabbitmq4: export STYLEFLEET_TEST_SERVICES := $(STYLEFLEET_TEST_SERVICES)-rabbitmq4
test-rabbitmq4: build ## run what depends on the broker's version, on RabbitMQ 4
	@$(SERVICES) --dir "$$STYLEFLEET_TEST_SERVICES" install broker || { [ $$? = 69 ] && exit; exit 1; }; \
	$(WITH_SERVICES) cargo test --release --workspace \
		--test brokers --test broker_link --test fleet_security --test users -- --skip memory

chaos: build ## kill, stop, cut and restart everything at random, then account for every job (JOBS=, FAULTS=, SEED=)
	@$(WITH_ENV) STYLEFLEET_CHAOS_JOBS=$(JOBS) STYLEFLEET_CHAOS_FAULTS=$(FAULTS) STYLEFLEET_CHAOS_SEED=$(SEED) \
		cargo test --release --workspace --test chaos -- --nocapture --include-ignored --test-threads 1

deploy-check: ## check what deploy/ has for containers and clusters
	@deploy/check/check.sh

deploy-run: ## try deploy/compose.yaml on the Docker engine that runs here
	@deploy/check/check.sh --run

lint: arrows ## formatting, spelling, clippy, documentation, the architecture's arrows, and the crates' licences
	@cargo fmt --check
	@deploy/lint/lint.sh
	@$(WITH_ENV) cargo clippy --release --workspace --all-targets -- -D warnings
	@$(WITH_ENV) RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps

arrows: ## check that dependencies run one way only
	@$(WITH_ENV) cargo test --release --workspace --test architecture

fmt: ## format the code
	@cargo fmt

FUZZ_SECONDS ?= 60
fuzz: ## fuzz the parsers, each for FUZZ_SECONDS; needs a nightly toolchain and cargo-fuzz
	@cp Cargo.lock tests/fuzz/
	@for door in messages documents models addresses batch_files; do \
		mkdir -p tests/fuzz/corpus/$$door && cargo +nightly fuzz run --fuzz-dir tests/fuzz \
			--target-dir "$(CACHE)/fuzz" $$door tests/fuzz/corpus/$$door tests/fuzz/seeds/$$door \
			-- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

bench: build ## measure against other tools; rewrites BENCHMARKS.md (about three and a half hours)
	@$(WITH_ENV) tests/bench/run.sh

bench-networks: build ## measure networks alone; rewrites their section of BENCHMARKS.md (about twenty minutes)
	@$(WITH_ENV) tests/bench/run.sh --networks

model: build ## train the model of the sample styles anew (about an hour)
	@$(WITH_ENV) deploy/samples/train.sh

bench-fleet: build ## measure a whole fleet on this machine; rewrites its section of BENCHMARKS.md
	@tests/bench/fleet.sh

clean: ## remove what this checkout made; the user's cache stays
	@$(SERVICES) stop
	@for tests in .services-test .services-test-rabbitmq4; do $(SERVICES) --dir "$(CURDIR)/$$tests" stop; done
	@rm -rf out dist .services .services-test .services-test-rabbitmq4
