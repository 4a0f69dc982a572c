#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs one of the scripts beside it against the program and the original. The original comes from
# the package registry that npm is set up for, in the version and with the hash of package-lock.json;
# it stays in the build folder. Without Node.js, or where it cannot be installed, a test skips and
# says why; where CI is set that is a failure.
#
# Usage: tests/interop/run.sh BUILD SCRIPT [argument]...
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:?the build folder}" && pwd)
script=${2:?the script}
shift 2
place=$build/interop
log=$place/npm.log

skip() {
    case $script-${CI:+ci} in
    test_*-ci)
        echo "1..1"
        echo "not ok 1 - $1"
        exit 1
        ;;
    test_*)
        echo "1..0 # SKIP $1"
        exit 0
        ;;
    *)
        echo "skipped: $1" >&2
        [ -z "${CI-}" ] || exit 1
        exit 77
        ;;
    esac
}

# Installed already, from this very lock?
installed() {
    cmp -s "$here/package-lock.json" "$place/package-lock.json" && [ -f "$place/complete" ]
}

install_original() {
    rm -rf "$place/complete" "$place/node_modules"
    mkdir -p "$place"
    cp "$here/package.json" "$here/package-lock.json" "$place" || return 1
    (cd "$place" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier \
        --fetch-retries=1 --fetch-retry-mintimeout=1000) \
        >"$log" 2>&1 </dev/null || return 1
    : >"$place/complete"
}

case $(uname -sm) in
"Linux x86_64") ;;
*) skip "the original is only there for Linux on x86-64" ;;
esac
command -v node >/dev/null 2>&1 || skip "Node.js is missing (tools/setup.sh interop)"
if ! installed; then
    command -v npm >/dev/null 2>&1 || skip "npm is missing (tools/setup.sh interop)"
    install_original ||
        skip "npm cannot install the original: $(grep -m 1 'npm [a-z]*[!]* *error code' "$log" ||
            grep -m 1 -i err "$log" || echo "see $log")"
fi
NODE_PATH=$place/node_modules
export NODE_PATH
exec node "$here/$script.js" "$build" "$@"
