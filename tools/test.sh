#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs Meson's tests of a build folder and ends with one line that counts the real tests, those
# inside of the programs. Fails when one failed, or, where CI is set, was skipped.
#
# Usage: tools/test.sh BUILD JOBS [arguments of meson test]
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1
jobs=$2
shift 2

report=$build/meson-logs/testlog.junit.xml
rm -f "$report" "$build/meson-logs/testlog.json"
meson test -C "$build" --no-rebuild --num-processes "$jobs" --print-errorlogs "$@"
status=$?
[ "$status" = 0 ] || python3 tools/failures.py "$build"

count() {
    grep -o "<$1[ />]" "$report" 2>/dev/null | wc -l
}
all=$(count testcase)
failed=$(($(count failure) + $(count error)))
skipped=$(count skipped)
passed=$((all - failed - skipped))
if [ -n "${CI-}" ] && [ "$skipped" -gt 0 ]; then
    failed=$((failed + skipped))
    skipped=0
fi
# A program that ended badly between its tests, or that ran none, is a failure too.
[ "$status" = 0 ] || [ "$failed" -gt 0 ] || failed=1
[ "$all" -gt 0 ] || failed=$((failed + 1))
line="$passed passed, $failed failed"
[ "$skipped" = 0 ] || line="$line, $skipped skipped"
echo "$line"
[ "$failed" = 0 ]
