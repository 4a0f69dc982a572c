#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The README, as it stands there: the first daemon compiles and does what it should, in a node and
# in a program of one's own.
. "$(dirname "$0")/lib.sh"

block() { # N: the nth piece of C
    awk -v wanted="$1" '/^```c$/ { inside = ++n == wanted; next } /^```/ { inside = 0 } inside' \
        "$here/../../README.md"
}

block 1 >hello.c
block 2 >app.c
exits "it compiles" 0 cc -Wall -Wextra -Werror -shared -fPIC -I"$here/../../include" hello.c \
    -o hello.so
start one --load "$work/hello.so"
origin=$(on one spawn hello)
is "it answers" "$(echo world | on one send "$origin" --outputs 2>err)" "hello, world"
sanitizer=$(nm -D "$build/librove.so" | sed -n 's/.* U __\([at]\)san_init$/\1/p' | sort -u)
case $sanitizer in
a) sanitizer=-fsanitize=address ;;
t) sanitizer=-fsanitize=thread ;;
esac
# shellcheck disable=SC2086 # none or one
exits "the program compiles" 0 cc -Wall -Wextra -Werror $sanitizer -DROVE_KIND_MAIN=hello_kind \
    -I"$here/../../include" hello.c app.c -o app -L"$build" -lrove -Wl,-rpath,"$build"
is "it answers in the program too" "$(./app 2>&1)" "hello, world"
finish
