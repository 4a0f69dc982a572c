# SPDX-License-Identifier: Apache-2.0
#
# The front door. Meson does the building; each target first sees to the packages that it needs.
BUILD ?= build
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
FUZZ_SECONDS ?= 60
STORE_KILLS ?= 1000

.PHONY: all build demo test test-asan test-tsan store-crash interop bench bench-interop fuzz fuzz-build fuzz-coverage lint install clean

all: build

build: $(BUILD)/build.ninja
	@ninja -C $(BUILD) -j $(JOBS) --quiet

$(BUILD)/build.ninja: | packages-build
	@meson setup $(BUILD) . >/dev/null || { rm -rf $(BUILD); meson setup $(BUILD) .; }

.PHONY: packages-build packages-test packages-lint packages-fuzz packages-bench packages-interop
packages-build packages-test packages-lint packages-fuzz packages-bench packages-interop:
	@tools/setup.sh $(@:packages-%=%)

demo: packages-build
	@$(MAKE) --no-print-directory build
	@$(BUILD)/rove demo

test: packages-test
	@$(MAKE) --no-print-directory build
	@tools/test.sh $(BUILD) $(JOBS)

test-asan: packages-test
	@tools/sanitized.sh build-asan address,undefined $(JOBS)

test-tsan: packages-test
	@tools/sanitized.sh build-tsan thread $(JOBS)

store-crash: packages-test
	@$(MAKE) --no-print-directory build
	@ROVE_STORE_KILLS=$(STORE_KILLS) $(BUILD)/tests/test_store_crash

interop: packages-test packages-interop
	@$(MAKE) --no-print-directory build
	@tools/test.sh $(BUILD) 1 --suite interop

bench: packages-bench
	@$(MAKE) --no-print-directory build
	@$(BUILD)/bench/bench
	@$(BUILD)/bench/durable
	@$(BUILD)/rove demo

bench-interop: packages-interop
	@$(MAKE) --no-print-directory build
	@tests/interop/run.sh $(BUILD) bench

fuzz-build: packages-fuzz
	@tools/fuzz.sh build build-fuzz $(JOBS)

fuzz: fuzz-build
	@tools/fuzz.sh run build-fuzz $(FUZZ_SECONDS)

fuzz-coverage: packages-fuzz
	@tools/fuzz.sh coverage build-fuzz-cov $(FUZZ_SECONDS)

lint: packages-lint
	@tools/lint.sh $(JOBS)

# make install [PREFIX=DIR] [DESTDIR=DIR]
install: packages-build
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	@[ -z "$(PREFIX)" ] || meson configure $(BUILD) -Dprefix="$(abspath $(PREFIX))" -Dlibdir=lib
	@ninja -C $(BUILD) -j $(JOBS) --quiet build.ninja
	@ninja -C $(BUILD) -j $(JOBS) --quiet $$(python3 tools/install-targets.py $(BUILD))
	@meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf build build-*
