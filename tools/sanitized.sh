#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds with sanitizers in a folder of its own and runs the tests there: all of them under the
# address and undefined behaviour sanitizers, those with threads under the thread sanitizer.
#
# Usage: tools/sanitized.sh FOLDER address,undefined|thread JOBS
set -eu
cd "$(dirname "$0")/.."
folder=$1
sanitizers=$2
jobs=$3

[ -f "$folder/build.ninja" ] ||
    meson setup "$folder" . "-Db_sanitize=$sanitizers" -Db_lundef=false >/dev/null
ninja -C "$folder" -j "$jobs" --quiet

export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:abort_on_error=1
export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1"
set -- --timeout-multiplier 5
[ "$sanitizers" != thread ] || set -- "$@" --suite threaded
exec tools/test.sh "$folder" "$jobs" "$@"
