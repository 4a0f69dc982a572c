#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Proves the rings: who includes whom, that the core asks nothing of the system, that the library
# keeps no writable data of its own and prints nothing.
#
# Usage: tools/check-rings.sh BUILD (a plain build, without sanitizers)
set -u
cd "$(dirname "$0")/.." || exit 1
build=${1-build}
bad=0

# ---- includes ----
# shellcheck disable=SC2046 # names without spaces
awk '
function ring(folder) {
    if (folder == "base" || folder == "crypto") return 0
    if (folder ~ /^(identity|state|capability|channel|mesh|net|compute|migration|durable|node)$/) return 1
    if (folder == "host" || folder == "shell" || folder == "store") return 2
    if (folder == "cli") return 3
    return -1
}
function complain(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; bad = 1 }
BEGIN {
    # stdlib.h for qsort alone: which functions are used is checked further down.
    split("stdint.h stddef.h stdbool.h stdatomic.h stdalign.h string.h limits.h inttypes.h " \
          "stdlib.h", list, " ")
    for (i in list) plain[list[i]] = 1
    extra["src/base/check.c", "assert.h"] = 1 # how a broken check ends
    extra["src/base/map.c", "xxhash.h"] = 1   # a pure function
    extra["include/rove/kind.h", "stdarg.h"] = 1 # rove_fail takes a format
}
FNR == 1 { split(FILENAME, part, "/"); own = part[1] == "src" ? part[2] : "public" }
/^[ \t]*#[ \t]*include/ {
    name = $0
    sub(/^[^<"]*[<"]/, "", name)
    sub(/[>"].*$/, "", name)
    n = split(name, path, "/")
    if (n > 1 && path[1] == "rove") next
    if (own == "public") {
        if (n > 1 || (!(name in plain) && !((FILENAME, name) in extra)))
            complain("a public header includes " name)
        next
    }
    mine = ring(own)
    theirs = n > 1 ? ring(path[1]) : -1
    if (theirs >= 0) {
        if (theirs > mine) complain("ring " mine " includes ring " theirs ": " name)
        next
    }
    if (mine >= 2) next
    # The wrappers over the crypto libraries; the slab of secrets is used by every thread of a node.
    if (own == "crypto" && (name ~ /^(sodium|xxhash|pthread)\.h$/ || path[1] == "openssl")) next
    if (!(name in plain) && !((FILENAME, name) in extra)) complain("the core includes " name)
}
END { exit bad }
' $(find src include -name '*.[ch]' | LC_ALL=C sort) || bad=1

# ---- what the core's objects need from outside ----
archive=$build/librove-core.a
[ -f "$archive" ] || {
    echo "$archive is missing: build first"
    exit 1
}
nm --format=posix "$archive" | awk '
/\[.*\]:$/ {
    object = $0
    sub(/^.*\[(.*\/)?/, "", object)
    sub(/\]:$/, "", object)
    next
}
$2 == "U" { needed[object, $1] = 1; next }
{ defined[$1] = 1 }
END {
    split("memcpy memmove memset memcmp memchr strlen strcmp strncmp strchr strnlen qsort " \
          "__memcpy_chk __memmove_chk __memset_chk __stack_chk_fail _GLOBAL_OFFSET_TABLE_", list, " ")
    for (i in list) allowed[list[i]] = 1
    for (pair in needed) {
        split(pair, part, SUBSEP)
        file = part[1]; symbol = part[2]
        if (symbol in defined || symbol in allowed) continue
        # Meson names objects after their path: src_base_alloc.c.o.
        if (file ~ /^src_crypto_/) continue
        if (file ~ /^src_base_map\.c/ && symbol ~ /^XXH3_/) continue
        if (file ~ /^src_base_alloc\.c/ && symbol ~ /^(malloc|realloc|free)$/) continue
        if (file ~ /^src_base_check\.c/ && symbol == "__assert_fail") continue
        printf "%s uses %s, which is not for the core\n", file, symbol
        bad = 1
    }
    exit bad
}' || bad=1

# The crypto wrappers may use their libraries, and nothing of the system either.
nm --format=posix "$archive" | awk '
/\[.*\]:$/ { object = $0; sub(/^.*\[(.*\/)?/, "", object); sub(/\]:$/, "", object); next }
object ~ /^src_crypto_/ && $2 == "U" &&
$1 ~ /^(open|close|read|write|ioctl|socket|send|recv|time|clock_.*|gettimeofday|getrandom|.*printf|fopen|fwrite|puts|getenv|syscall)$/ {
    printf "%s uses %s, which is not for the core\n", object, $1
    bad = 1
}
END { exit bad }' || bad=1

# ---- writable data ----
# Exceptions, each with its reason:
#   host/thread.c: a thread-local that says what this thread is doing (on a worker, inside of a
#   daemon), so that a call that would wait for itself is an error
#   host/thread: its thread-local says that the thread runs a daemon, or is a worker
for lib in "$archive" "$build/librove-shell.a"; do
    [ -f "$lib" ] || continue
    objdump -t "$lib" 2>/dev/null | awk '
    /^[^ ]*\.o:/ { object = $1; sub(/^.*\//, "", object); next }
    {
        for (i = 2; i <= NF; i++)
            if ($i ~ /^\.(data|bss|tdata|tbss)(\..*)?$/ || $i == "*COM*") break
        if (i > NF || $i ~ /^\.data\.rel\.ro/ || $NF ~ /^\./) next
        if (object ~ /rcu|host_thread/ && $i ~ /^\.t(data|bss)/) next
        printf "%s: %s is writable data (%s)\n", object, $NF, $i
        bad = 1
    }
    END { exit bad }' || bad=1
done

# ---- the library prints nothing and installs no signal handler ----
for lib in "$archive" "$build/librove-shell.a"; do
    [ -f "$lib" ] || continue
    nm --format=posix "$lib" | awk '
    /\[.*\]:$/ { object = $0; sub(/^.*\[(.*\/)?/, "", object); sub(/\]:$/, "", object); next }
    $2 == "U" && $1 ~ /^(printf|vprintf|puts|putchar|perror|__printf_chk|__vprintf_chk|stdout|stderr|signal|sigaction|exit|_exit|fork)$/ {
        printf "%s uses %s, which is not for a library\n", object, $1
        bad = 1
    }
    END { exit bad }' || bad=1
done

# ---- what the shared library shows ----
so=$build/librove.so
if [ -e "$so" ]; then
    nm -D --defined-only --format=posix "$so" |
        awk '$2 != "A" && $1 !~ /^rove_[a-z]/ { print "librove.so shows " $1; bad = 1 } END { exit bad }' ||
        bad=1
fi

exit $bad
