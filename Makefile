# The README's two commands are `make run` and `make test`; the rest is for those who change Drover.

LISTEN ?= 127.0.0.1:2379
DATA ?= ./data
# Release builds go to a directory of their own: their flags differ from those of the tests.
RELEASE = --configuration release --static-swift-stdlib --scratch-path .build-release \
	-Xswiftc -enforce-exclusivity=unchecked
ifeq ($(shell uname),Linux)
# Each function in a section of its own, and none exported: the linker leaves out what nobody calls.
RELEASE += -Xswiftc -Xfrontend -Xswiftc -function-sections -Xcc -ffunction-sections -Xcc -fdata-sections \
	-Xlinker "--version-script=$(CURDIR)/scripts/hidden.map"
# Functions that are the same are kept once, and relocations are packed where the loader (glibc 2.36) can read them so.
RELEASE += -Xswiftc -use-ld=lld -Xlinker --icf=all \
	$(shell getconf GNU_LIBC_VERSION 2>/dev/null | awk '{ split($$2, v, "."); if (v[1] > 2 || v[2] >= 36) print "-Xlinker -z -Xlinker pack-relative-relocs" }')
endif
BINARY = .build-release/release/drover
KERNELS = .build-release/release/drover-kernels

.PHONY: run build release kernels test test-all lint format bench instructions bench-quick bench-size bench-latency examples fuzz clean packages-run packages-test packages-all toolchain

run: build
	@mkdir -p "$(DATA)"
	exec $(BINARY) serve --endpoint "sqlite://$(DATA)/drover.db" --listen-address $(LISTEN)

build: packages-run toolchain
	swift build $(RELEASE) --product drover

# A stripped executable that needs no Swift runtime on the machine it runs on.
release: build
	@mkdir -p release
	strip -o release/drover $(BINARY)
	@ls -l release/drover
	@test $$(stat -c %s release/drover) -le 30000000 || { echo "the executable is larger than 30 MB" >&2; exit 1; }
	@! grep -q icudt release/drover || { echo "the executable holds ICU's data" >&2; exit 1; }

# Optimized, since unoptimized code takes three times as long for what the tests wait for; CONFIGURATION=debug for one
# that is quicker to build again after a change.
CONFIGURATION ?= release
TESTS = --configuration $(CONFIGURATION) -Xswiftc -enable-testing

test: packages-test toolchain
	swift build $(TESTS) --build-tests
	swift test $(TESTS) --skip-build --no-parallel
	$(MAKE) instructions
	$(MAKE) examples

# Instructions of the pieces that need no database server, as the tests have built them, against committed thresholds.
instructions:
	@scripts/packages count
	test $(CONFIGURATION) = debug || python3 Benchmarks/instructions.py .build/release/drover-kernels --build tests

# The long campaigns, at most 80 minutes, beside etcd 3.5.1; `make test` has Debian's, which may be 3.4.
test-all: packages-all toolchain
	swift build $(TESTS) --build-tests
	etcd=$$(scripts/etcd-3.5) && DROVER_TEST_ETCD=$$etcd/etcd DROVER_TEST_ETCDCTL=$$etcd/etcdctl DROVER_TEST_WIDE=1 DROVER_TEST_LEASES=2000 DROVER_TEST_LEASE_ROUNDS=50 DROVER_TEST_LIST_KEYS=262100 DROVER_TEST_ORACLE_CALLS=102000 DROVER_TEST_KILL_ROUNDS=250 DROVER_TEST_HISTORY_ROUNDS=8 DROVER_TEST_STALL_SECONDS=300 swift test $(TESTS) --skip-build --no-parallel
	$(MAKE) fuzz FUZZ_SECONDS=300

# Feeds mutated inputs to every decoder; what crashes one is left in Fuzz/Found, to be kept in Fuzz/Corpus.
FUZZ_SECONDS ?= 60
fuzz: packages-run toolchain
	DROVER_FUZZ=1 swift build --sanitize=fuzzer --scratch-path .build-fuzz --product drover-fuzz
	@mkdir -p Fuzz/Found .build-fuzz/corpus
	.build-fuzz/debug/drover-fuzz -max_total_time=$(FUZZ_SECONDS) -timeout=5 -rss_limit_mb=2048 -max_len=4096 \
		-artifact_prefix=Fuzz/Found/ .build-fuzz/corpus Fuzz/Corpus

# A program outside this package that links the library alone.
examples: packages-run toolchain
	cd Examples/Counter && swift run counter

lint: toolchain
	swift format lint --strict --recursive Sources Tests Fuzz Benchmarks Examples Package.swift
	@if grep -rnE --exclude-dir=Generated '^(@[A-Za-z_]+ )*([a-z]+ )?import ([a-z]+ )?Foundation([. ]|$$)' Sources; then \
		echo "import FoundationEssentials there: the whole of Foundation brings 43 MB of tables into the executable"; exit 1; fi

format: toolchain
	swift format --in-place --recursive Sources Tests Fuzz Benchmarks Examples Package.swift

# The pieces of the hot path, as programs that a counter of instructions can be put around.
kernels: packages-run toolchain
	swift build $(RELEASE) --product drover-kernels

# Instructions of each piece against the committed thresholds, engines included, and its times.
bench: kernels
	scripts/packages bench
	python3 Benchmarks/instructions.py $(KERNELS) --databases
	python3 Benchmarks/times.py

# Drover beside a real etcd, driven with the same frames; prints ratios.
bench-quick: build
	scripts/packages bench
	python3 Benchmarks/quick/bench_quick.py $(BINARY)

# How soon a watch on one instance sees what another commits.
bench-latency: build
	scripts/packages bench
	python3 Benchmarks/quick/watch_latency.py $(BINARY) postgres
	python3 Benchmarks/quick/watch_latency.py $(BINARY) mysql

# Memory and start-up, with a hundred thousand and a million keys.
bench-size: build
	scripts/packages bench
	python3 Benchmarks/quick/size.py $(BINARY)

packages-run:
	@scripts/packages run

packages-all:
	@scripts/packages all

packages-test:
	@scripts/packages test

toolchain:
	@command -v swift >/dev/null || { echo "There is no swift in PATH; install a Swift 6.2 or newer toolchain first."; exit 1; }

clean:
	rm -rf .build .build-release .build-fuzz .build-micro Examples/Counter/.build release
