#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The first daemon of the README, as it stands there: it compiles, and does what it should.
. "$(dirname "$0")/lib.sh"

awk '/^```c$/ { inside = 1; next } /^```/ { inside = 0 } inside' "$here/../../README.md" >hello.c
exits "it compiles" 0 cc -Wall -Wextra -Werror -shared -fPIC -I"$here/../../include" hello.c \
    -o hello.so
start one --load "$work/hello.so"
origin=$(on one spawn hello)
is "it answers" "$(echo world | on one send "$origin" --outputs 2>err)" "hello, world"
finish
