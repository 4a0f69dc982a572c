#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# rove send over a control socket whose connections are cut: nothing is lost, nothing comes twice.
. "$(dirname "$0")/lib.sh"

start one --load "$kinds/counter.so" --load "$kinds/echo.so"

cut() { # CUTS BYTES
    python3 "$here/cutter.py" "$work/cut.sock" "$work/one.sock" "$1" "$2" >cuts 2>cutter.err &
    cutter=$!
    pids="$pids $cutter"
    until_true 20 test -S cut.sock || fail "the cutter listens" "$(cat cutter.err)"
}

uncut() {
    kill "$cutter" && wait "$cutter" 2>/dev/null
    rm -f cut.sock
}

summary() { # LINES
    echo '{"event":"summary","sent":'"$1"',"applied":'"$1"',"errors":0,"refused":0,"unknown":0,"lost":0}'
}

# ---- many cuts ----
origin=$(on one spawn counter)
cut 20 60000
seq 30000 | on cut send "$origin" --outputs --json >out 2>err
is "cut again and again: exit status" "$?/$(cat err)" 0/
is "cut again and again: summary" "$(tail -n 1 out)" "$(summary 30000)"
seq 30000 >wanted
field seq <out | cmp -s - wanted && pass "each line has its output, in order" ||
    fail "each line has its output, in order"
# What counter puts out is how many events it had: one applied twice would show.
seq 30000 | od -An -v -tx1 -w1 | tr -d ' \n' | sed 's/0a/\n/g' >wanted
field output <out | cmp -s - wanted && pass "each was applied once" || fail "each was applied once"
is "it was cut" "$([ "$(grep -c cut cuts)" -ge 10 ] && echo often)" often
uncut

# ---- cut within the first frames, and lines larger than the credit ----
origin=$(on one spawn echo)
cut 6 30
seq 100 | on cut send "$origin" --outputs >out 2>err
seq 100 >wanted
is "cut before it has begun" "$?/$(cmp out wanted 2>&1)" 0/
uncut
cut 8 700000
awk 'BEGIN { for (i = 0; i < 30; i++) { printf "%d ", i; for (j = 0; j < 60000; j++) printf "word "; print "" } }' >long
on cut send "$origin" --outputs <long >out 2>err
is "long lines" "$?/$(cmp out long 2>&1)" 0/
is "long lines: it was cut" "$([ "$(grep -c cut cuts)" -ge 4 ] && echo often)" often
uncut

# ---- a node that hangs up without an answer is not dialled for ever, nor without a pause ----
cut 1000000 1
refuses "never an answer" 1 "rove: not sent: the node closes each connection*" \
    on cut send "$origin"
tries=$(grep -c cut cuts)
[ "$tries" -gt 1 ] && [ "$tries" -lt 200 ] && pass "there are pauses" ||
    fail "there are pauses" "tries: $tries"
uncut

# ---- nobody comes back to an old process, and nobody waits for a node that says goodbye ----
cut 0 0
mkfifo lines
on cut send "$origin" <lines >out 2>err &
pids="$pids $!"
exec 9>lines
seq 10 >&9
served() { on one ps --json | grep "$origin" | grep -q '"events":140,'; } # 100, 30, and now 10
until_true 20 served || fail "the lines are applied"
kill -TERM "$pid"
until_true 20 grep -q "would be lost" one.err
kill -TERM "$pid"
wait "$pid"
until_true 20 test -s err
like "the node says goodbye" "$(cat err)" "rove: the sending ended early*"
uncut
finish
