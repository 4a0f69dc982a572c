#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Sees to the Debian packages that a make target needs: does nothing when they are there, installs
# the missing ones by name with apt when it may, and else prints the line to run, and stops. For
# `interop` it does not stop: without Node.js those tests say why they are skipped.
#
# Usage: tools/setup.sh build|test|lint|fuzz|bench|interop
set -eu

build="gcc libc6-dev meson ninja-build pkg-config libsodium-dev libssl-dev libxxhash-dev \
liburcu-dev libjson-c-dev liblmdb-dev"
test="$build g++ libcmocka-dev iproute2 nftables"
lint="$test groff-base clang clang-tidy clang-format libclang-rt-14-dev"
bench="$build libzmq3-dev nats-server erlang-base"
fuzz="$build clang libclang-rt-14-dev llvm-14"
# Node.js may come from elsewhere than Debian, and then mostly brings npm.
interop=
command -v node >/dev/null 2>&1 || interop=nodejs
command -v npm >/dev/null 2>&1 || interop="$interop npm"
refused=1

case "${1-}" in
build) wanted=$build ;;
test) wanted=$test ;;
lint) wanted=$lint ;;
fuzz) wanted=$fuzz ;;
bench) wanted=$bench ;;
interop)
    wanted=$interop
    refused=0
    ;;
*)
    echo "usage: tools/setup.sh build|test|lint|fuzz|bench|interop" >&2
    exit 2
    ;;
esac

# Another system: its packages have other names, and Meson says what it misses.
command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 || exit 0

missing=
for package in $wanted; do
    state=$(dpkg-query -W -f='${db:Status-Status} ' "$package" 2>/dev/null) || state=
    case " $state" in
    *" installed "*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

line="apt-get update && apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    sudo=sudo
else
    echo "Some Debian packages are missing. Run this line as root, then try again:" >&2
    echo "  $line" >&2
    exit $refused
fi

echo "Installing the missing Debian packages:$missing"

$sudo apt-get update -qq || exit $refused
# shellcheck disable=SC2086 # a list of names
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing \
    >/dev/null || exit $refused
