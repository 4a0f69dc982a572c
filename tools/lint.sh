#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What `make lint` does: formatting, warning-free builds under gcc and clang, the rings, the public
# headers, clang-tidy. Every step runs even when an earlier one failed; fails when any did.
#
# Usage: tools/lint.sh [JOBS]
set -u
cd "$(dirname "$0")/.." || exit 1
jobs=${1-2}
failed=0
passed=0

step() {
    name=$1
    shift
    begun=$(date +%s)
    if "$@"; then
        passed=$((passed + 1))
        echo "lint: $name: ok ($(($(date +%s) - begun)) s)"
    else
        failed=$((failed + 1))
        echo "lint: $name: FAILED ($(($(date +%s) - begun)) s)"
    fi
}

sources() {
    find src include examples sim bench tests -name '*.c' -o -name '*.h' | LC_ALL=C sort
}

formatting() {
    sources | xargs clang-format --dry-run -Werror
}

first_lines() {
    bad=0
    for f in $(sources); do
        head -n 1 "$f" | grep -q '^/\* SPDX-License-Identifier: Apache-2.0' || {
            echo "$f: does not begin with its licence"
            bad=1
        }
    done
    return $bad
}

compile() {
    folder=build-lint-$1
    if [ ! -f "$folder/build.ninja" ]; then
        CC=$1 meson setup "$folder" . -Dwerror=true >"$folder.log" 2>&1 || {
            cat "$folder.log"
            rm -rf "$folder" "$folder.log"
            return 1
        }
        rm -f "$folder.log"
    fi
    ninja -C "$folder" -j "$jobs" --quiet
}

# Each header alone, as C11; the public ones as C++17 too.
headers() {
    bad=0
    for h in $(find src include -name '*.h' | LC_ALL=C sort); do
        gnu=-D_GNU_SOURCE
        case $h in src/base/* | src/crypto/* | src/identity/* | src/state/* | src/mesh/* | \
            src/compute/* | src/migration/* | src/node/*) gnu= ;; esac
        gcc -std=c11 -Wall -Wextra -Wpedantic -Werror $gnu -Isrc -Iinclude -Iexamples \
            -fsyntax-only -x c "$h" -Wno-pragma-once-outside-header || bad=1
    done
    for h in include/rove/*.h; do
        g++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only -x c++ "$h" || bad=1
    done
    return $bad
}

tidy() {
    find src examples sim bench -name '*.c' | LC_ALL=C sort |
        xargs -P "$jobs" -n 4 clang-tidy --quiet -p build-lint-clang 2>/dev/null
}

step "formatting" formatting
step "licence lines" first_lines
step "gcc" compile gcc
step "clang" compile clang
step "rings" tools/check-rings.sh build-lint-gcc
step "headers" headers
step "clang-tidy" tidy
echo "lint: $passed passed, $failed failed"
[ "$failed" = 0 ]
