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

# Only `make fuzz` builds the targets, which takes the sanitizers' build of everything.
fuzz_targets() {
    flags="-std=c11 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-qual -Wvla -Wswitch-enum"
    flags="$flags -Wformat=2 -Wstrict-prototypes -Werror -Isrc -Iinclude -Iexamples -fsyntax-only"
    bad=0
    for f in tests/fuzz/*.c; do
        # shellcheck disable=SC2086 # a list of flags
        clang $flags "-DROVE_SOURCE_ROOT=\"$PWD\"" $(pkg-config --cflags json-c) "$f" || bad=1
    done
    return $bad
}

# Each header alone, as C11; the public ones as C++17 too.
headers() {
    bad=0
    flags="-Wall -Wextra -Wpedantic -Werror -Isrc -Iinclude -Iexamples -fsyntax-only"
    for h in $(cd src && find . -name '*.h' | sed 's,^\./,,' | LC_ALL=C sort) \
        $(cd include && ls rove/*.h); do
        gnu=-D_GNU_SOURCE
        case $h in base/* | crypto/* | identity/* | state/* | mesh/* | net/* | compute/* | \
            migration/* | node/* | rove/*) gnu= ;; esac
        # shellcheck disable=SC2086 # lists of flags
        printf '#include <%s>\nint alone;\n' "$h" |
            gcc -std=c11 $flags $gnu $(pkg-config --cflags json-c) -x c - ||
            { echo "$h does not stand alone"; bad=1; }
    done
    for h in $(cd include && ls rove/*.h); do
        # shellcheck disable=SC2086
        printf '#include <%s>\nint alone;\n' "$h" | g++ -std=c++17 $flags -x c++ - ||
            { echo "$h is no C++"; bad=1; }
    done
    return $bad
}

# The analyzer gives up on a function after so many states: enough for these, and quick.
tidy() {
    bound="--extra-arg=-Xclang --extra-arg=-analyzer-config"
    bound="$bound --extra-arg=-Xclang --extra-arg=max-nodes=40000"
    # shellcheck disable=SC2086 # a list of flags
    find src examples sim bench -name '*.c' | LC_ALL=C sort |
        xargs -P "$jobs" -n 4 clang-tidy --quiet $bound -p build-lint-clang 2>/dev/null
}

# The pages as the build makes them; groff says what it does not understand.
man_pages() {
    bad=0
    for page in build-lint-gcc/docs/man/*.[13]; do
        head -n 1 "$page" | grep -q '^\.so ' && continue
        said=$(groff -man -Tutf8 -ww -z "$page" 2>&1) && [ -z "$said" ] ||
            { echo "$page: $said"; bad=1; }
    done
    python3 -m py_compile tools/man.py tools/install-targets.py || bad=1
    return $bad
}

step "formatting" formatting
step "licence lines" first_lines
step "gcc" compile gcc
step "clang" compile clang
step "fuzz targets" fuzz_targets
step "rings" tools/check-rings.sh build-lint-gcc
step "headers" headers
step "man pages" man_pages
step "clang-tidy" tidy
echo "lint: $passed passed, $failed failed"
[ "$failed" = 0 ]
