#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What an application gets: everything is installed into a folder of this script, and nothing but
# that is used from there on. The headers stand alone, the examples for embedding build by their own
# Makefile and do what they should, and a kind that was built there runs in the installed program.
. "$(dirname "$0")/lib.sh"
cc=${CC:-cc}
cxx=${CXX:-c++}
strict="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-qual -Wvla -Wswitch-enum -Wformat=2 \
-Werror -fsyntax-only"

if ! meson install -C "$build" --no-rebuild --destdir "$work/stage" >out 2>&1; then
    fail "it can be installed" "$(tail -n 5 out)"
    finish
fi
pass "it can be installed"
python3 "$here/../../tools/install-targets.py" "$build" >targets
is "make install builds what is installed, and nothing else" \
    "$(grep -cx rove targets)/$(grep -c '^tests/\|^bench/\|^sim' targets)" 1/0
while read -r file; do [ -s "$build/$file" ] || fail "make install builds $file"; done <targets
pc=$(find "$work/stage" -name rove.pc)
installed=$work/stage$(sed -n 's/^prefix=//p' "$pc")
export PKG_CONFIG_PATH="${pc%/rove.pc}"
export PKG_CONFIG="pkg-config --define-variable=prefix=$installed"
libdir=$($PKG_CONFIG --variable=libdir rove)
export LD_LIBRARY_PATH="$libdir"

# ---- what is there ----
is "the library has the name that programs ask for" \
    "$(readelf -d "$libdir/librove.so" | sed -n 's/.*soname: \[\(.*\)\]/\1/p')" librove.so.0
for file in bin/rove include/rove/rove.h include/rove/node.h; do
    exits "$file is installed" 0 test -s "$installed/$file"
done
exits "so are the kinds" 0 test -s "$($PKG_CONFIG --variable=kindsdir rove)/counter.so"
is "nothing of the inside is" "$(find "$installed/include" -name '*.h' ! -path '*/include/rove/*')" ""
is "the library shows rove_ names only" \
    "$(nm -D --defined-only "$libdir/librove.so" | awk '$2 != "A" && $3 !~ /^rove_/')" ""

# ---- headers ----
bad_headers=
for header in "$installed"/include/rove/*.h; do
    name=${header##*/}
    printf '#include <rove/%s>\nint alone;\n' "$name" >alone.c
    cp alone.c alone.cc
    # shellcheck disable=SC2086 # lists of flags
    "$cc" -std=c11 $strict -Wstrict-prototypes -I"$installed/include" alone.c 2>>headers.err &&
        "$cxx" -std=c++17 $strict -Wold-style-cast -I"$installed/include" \
            alone.cc 2>>headers.err || bad_headers="$bad_headers $name"
done
is "each header stands alone, as C11 and as C++17" "$bad_headers" ""
cat >use.cc <<'CC'
#include <rove/rove.h>
int main()
{
    rove_node_config node;
    rove_node_config_init(&node);
    rove_runtime_config runtime;
    rove_runtime_config_init(&runtime);
    rove_sender_config sender;
    rove_sender_config_init(&sender);
    rove_node *none = nullptr;
    return rove_node_new(&none, &node) == ROVE_E_USAGE && runtime.workers == 1 && !sender.sent ? 0 : 1;
}
CC
# shellcheck disable=SC2046
exits "a C++ program builds" 0 "$cxx" -std=c++17 -Wall -Wextra -Werror \
    $($PKG_CONFIG --cflags rove) use.cc -o use $($PKG_CONFIG --libs rove)
exits "and runs" 0 ./use

# ---- the examples, by their own Makefile ----
cp -r "$here/../../examples/embed" mine
exits "the examples build outside of the tree" 0 make -C mine CC="$cc" CFLAGS="-Wall -Wextra -Werror"
is "kinds that are compiled in" "$(mine/static_kinds hello 'once more' 2>&1)" "lines: 1 hello
shout: HELLO
lines: 2 once more
shout: ONCE MORE"
printf 'one\ntwo\nmove\nthree\nmove\nmove\nfour\nfive' | mine/two_nodes >out 2>err
is "two nodes in one thread, and three moves" "$(grep -v moved out)" "1 one
2 two
3 three
4 four
5 five"
is "of which each ended" "$(grep moved out)" "(moved to node 1)
(moved to node 0)
(moved to node 1)"
is "and nothing else was said" "$(cat err)" ""
awk 'BEGIN { for (i = 1; i <= 20000; i++) { print "line", i; if (i % 4000 == 0) print "move" } }' |
    mine/two_nodes >out 2>err
is "a stream that is not held up by moves" "$(grep -v moved out | awk '$1 != NR || $3 != NR' |
    head -n 3)$(grep -c -v moved out) $(grep -c moved out)" "20000 5"

# ---- without the shared library ----
# shellcheck disable=SC2046
exits "a program may hold all of it" 0 "$cc" -o all mine/static_kinds.o mine/lines.o mine/shout.o \
    "$libdir/librove.a" $($PKG_CONFIG --static --libs rove | sed 's/-lrove//')
is "and needs no librove.so then" "$(LD_LIBRARY_PATH='' ./all yes)" "lines: 1 yes
shout: YES"

# ---- a kind, and the program that was installed ----
rove=$installed/bin/rove
start one --load "$work/mine/lines.so"
origin=$(on one spawn lines)
is "the installed program runs a kind that was built here" \
    "$(printf 'a\nb\n' | on one send "$origin" --outputs 2>err)" "1 a
2 b"
finish
